"""Count our Metal kernels, PyTorch's and MLX's under metalsim, and model their times: ``python -m bench.kernels --help``.

Nothing of it has run on Apple hardware, and nothing of it depends on how fast this machine is.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from kernel_case import TOLERANCE
from tqdm import tqdm

from bench.kernels import auxiliary, goals, others, ours, report
from bench.kernels.cases import (
    CONTEXT,
    FAMILIES,
    HEADS,
    LENGTH,
    Auxiliary,
    Decode,
    Prefill,
    auxiliary_cases,
    decode_cases,
    prefill_cases,
)
from bench.kernels.counting import DECODE_LENGTHS, PREFILL_LENGTHS, Launch, count_call
from bench.kernels.figures import (
    AuxiliaryFigures,
    DecodeFigures,
    PrefillFigures,
    auxiliary_figures,
    decode_figures,
    prefill_figures,
)
from bench.report import update_readme
from metalsim import toolchain

HERE = Path(__file__).parents[1]
RESULTS = HERE / "results"


def prefill_rows(case: Prefill) -> dict[str, dict[str, PrefillFigures]]:
    """Return the figures of a call by chip and kernel."""
    tolerance = TOLERANCE[case.dtype]
    counted = {name: partial(others.run_prefill, name, case) for name in others.PREFILL}
    theirs = {name: count_call(run, PREFILL_LENGTHS, LENGTH, HEADS, tolerance)[0] for name, run in counted.items()}
    rows = {}
    for chip, family in FAMILIES.items():
        (launch,) = count_call(partial(ours.run_prefill, case, chip), PREFILL_LENGTHS, LENGTH, HEADS, tolerance)
        kernels = {
            goals.OURS: (launch, ours.shape_of(case, chip)),
            **{name: (x, others.shape_of(case)) for name, x in theirs.items()},
        }
        rows[chip] = {
            name: prefill_figures(case, found, cut, chip, family, HEADS) for name, (found, cut) in kernels.items()
        }
    return rows


def decode_rows(case: Decode, theirs: dict[str, list[Launch]]) -> dict[str, dict[str, DecodeFigures]]:
    """Return the figures of a call by chip and kernels."""
    rows = {}
    for chip, family in FAMILIES.items():

        def run(_: int, chip: str = chip):
            return ours.run_decode(case, chip)

        kernels = {goals.OURS: count_call(run, [CONTEXT], CONTEXT, case.kv_heads, TOLERANCE[case.dtype]), **theirs}
        rows[chip] = {name: decode_figures(case, launches, chip, family) for name, launches in kernels.items()}
    return rows


def their_decode(case: Decode) -> dict[str, list[Launch]]:
    return {
        name: count_call(
            partial(others.run_decode, name, case), DECODE_LENGTHS, CONTEXT, case.kv_heads, TOLERANCE[case.dtype]
        )
        for name in others.DECODE
    }


def compile_ahead(prefill: Iterable[Prefill], decode: Iterable[Decode]) -> None:
    """Compile every attention kernel, on all cores: what a run does first, and most of its time where no cache has them."""
    jobs: list[Callable[[], None]] = []
    for case in prefill:
        jobs += [partial(others.compile_prefill, name, case) for name in others.PREFILL]
        jobs += [partial(ours.compile_plan, case, chip) for chip in FAMILIES]
    for call in decode:
        jobs += [] if call.is_paged else [partial(others.compile_decode, name, call) for name in others.DECODE]
        jobs += [partial(ours.compile_plan, call, chip) for chip in FAMILIES]
    toolchain.build_everything()
    with ThreadPoolExecutor(toolchain.JOBS) as pool:
        running = [pool.submit(job) for job in jobs]
        for done in tqdm(running, desc="compiling", unit="kernel", dynamic_ncols=True, leave=False):
            done.result()


def auxiliary_rows(case: Auxiliary) -> dict[str, dict[str, AuxiliaryFigures]]:
    """Return the figures of a call by chip."""
    return {
        chip: {goals.OURS: auxiliary_figures(*auxiliary.count(case, chip), chip, family)}
        for chip, family in FAMILIES.items()
    }


def count_all(
    prefill: list[Prefill], decode: list[Decode], others_of_ours: list[Auxiliary]
) -> tuple[goals.PrefillTable, goals.DecodeTable, goals.AuxiliaryTable]:
    prefill_table: dict[tuple[Prefill, str], dict[str, PrefillFigures]] = {}
    decode_table: dict[tuple[Decode, str], dict[str, DecodeFigures]] = {}
    auxiliary_table: dict[tuple[Auxiliary, str], dict[str, AuxiliaryFigures]] = {}
    theirs: dict[Decode, dict[str, list[Launch]]] = {}
    calls = len(prefill) + len(decode) + len(others_of_ours)
    with tqdm(total=calls, desc="counting", unit="call", dynamic_ncols=True, leave=False) as bar:
        for case in prefill:
            for chip, row in prefill_rows(case).items():
                prefill_table[case, chip] = row
            bar.update()
        for call in decode:
            if call.contiguous not in theirs:
                theirs[call.contiguous] = their_decode(call.contiguous)
            for chip, decode_row in decode_rows(call, theirs[call.contiguous]).items():
                decode_table[call, chip] = decode_row
            bar.update()
        for moving in others_of_ours:
            for chip, moved in auxiliary_rows(moving).items():
                auxiliary_table[moving, chip] = moved
            bar.update()
    return prefill_table, decode_table, auxiliary_table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__.split(":")[0])
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        default="",
        help="only calls whose name matches this regex; prints them and leaves bench/results as it is",
    )
    parser.add_argument("--list", action="store_true", help="print the names of the calls, and count nothing")
    options = parser.parse_args()
    prefill = [case for case in prefill_cases() if re.search(options.only, case.name)]
    decode = [case for case in decode_cases() if re.search(options.only, case.name)]
    others_of_ours = [case for case in auxiliary_cases() if re.search(options.only, case.name)]
    if options.list:
        print("\n".join(case.name for case in (*prefill, *decode, *others_of_ours)))
        return
    if not (prefill or decode or others_of_ours):
        sys.exit(f"no call's name matches {options.only!r}: `python -m bench.kernels --list` prints them.")

    start = time.perf_counter()
    torch.set_grad_enabled(False)
    compile_ahead(prefill, decode)
    tables = count_all(prefill, decode, others_of_ours)
    text = report.markdown(*tables)
    print(text)
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")
    if not options.only:
        (RESULTS / "kernels.md").write_text(text)
        (RESULTS / "kernels.json").write_text(report.json_text(*tables))
        update_readme(HERE / "README.md", text, report.BEGIN, report.END)
        print(f"kernels.md and kernels.json are in {RESULTS}")


if __name__ == "__main__":
    main()
