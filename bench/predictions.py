"""Write torch_fused_attn/doctor/predictions.json: ``python -m bench.predictions``. Modelled, never run.

The calls of the doctor's report, counted under metalsim as ``python -m bench.kernels`` does it, and the cost model's times
for every chip that it knows, with the numbers of GPU cores that Apple sells it with. Whoever has a Mac sees by
``python -m torch_fused_attn doctor --report`` which of them were right.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bench.kernels import cases, ours
from bench.kernels.counting import PREFILL_LENGTHS, Launch, count_call
from bench.kernels.figures import kv_bytes, modelled
from metalsim import model
from metalsim.model import Chip
from torch_fused_attn.doctor import calls, predictions

# isort: split
# bench.kernels has put the tests' folder on the path.
from kernel_case import TOLERANCE

FILE = Path(predictions.__file__).with_name(predictions.FILE)

#: Chips as sold with fewer GPU cores and the same DRAM [Apple's technical specifications].
FEWER_CORES = {"M1": 7, "M1 Pro": 14, "M1 Max": 24, "M1 Ultra": 48, "M2": 8, "M2 Pro": 16, "M2 Max": 30, "M2 Ultra": 60}
FEWER_CORES |= {"M3": 8, "M3 Pro": 14, "M4": 8, "M4 Pro": 16}

NOTE = (
    f"{model.CALIBRATION} Keys and values of decoding come from DRAM; those of prefill are taken to be in the caches. A miss "
    "is as welcome as a hit: it says where the model, or the kernel, is wrong."
)


def chips() -> Iterator[Chip]:
    """Yield every chip that is predicted for."""
    for chip in model.CHIPS.values():
        yield chip
        if chip.name in FEWER_CORES:
            yield replace(chip, cores=FEWER_CORES[chip.name])


def family_of(chip: Chip) -> int:
    """Return n of MTLGPUFamilyApple<n>; 7 also for the M2's, whose kernels are the same."""
    return int(chip.family.name.removeprefix("Apple").split("/")[0])


@contextmanager
def known_to_the_kernels(chip: Chip) -> Iterator[None]:
    """Let bench.kernels plan for a chip that its own tables do not have."""
    families: dict[Any, int] = cases.FAMILIES
    families[chip] = family_of(chip)
    try:
        yield
    finally:
        del families[chip]


def case_of(call: calls.Prefill | calls.Decode) -> cases.Prefill | cases.Decode:
    """Return a call of the report as bench.kernels has it.

    Raises:
        ValueError: bench.kernels counts other sizes.
    """
    theirs: tuple[int, ...]
    if isinstance(call, calls.Prefill):
        theirs, case = (cases.LENGTH, cases.HEADS), cases.Prefill(call.dtype_name, call.head_dim, call.is_causal)
        sizes: tuple[int, ...] = (call.length, call.num_heads)
    else:
        theirs, sizes = (cases.CONTEXT, cases.DECODE_HEADS, cases.BLOCK_SIZE), (call.length, call.num_heads, 16)
        case = cases.Decode(call.dtype_name, call.head_dim, call.group, call.is_paged)
    if sizes != theirs:
        raise ValueError(f"{call.name}: bench.kernels counts calls of {theirs}, not of {sizes}; make them the same.")
    return case


class Counter:
    """Counts calls, each choice of kernels once."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], list[Launch]] = {}

    def launches(self, case: cases.Prefill | cases.Decode, chip: Chip) -> list[Launch]:
        """Return the launches of a call with the kernels that the chip gets."""
        key = (case.name, json.dumps(ours.plan_of(case, chip), sort_keys=True))
        if key not in self._counted:
            self._counted[key] = self._count(case, chip)
        return self._counted[key]

    def _count(self, case: cases.Prefill | cases.Decode, chip: Chip) -> list[Launch]:
        tolerance = TOLERANCE[case.dtype]
        if isinstance(case, cases.Prefill):
            run = partial(ours.run_prefill, case, chip)
            return count_call(run, PREFILL_LENGTHS, cases.LENGTH, cases.HEADS, tolerance)
        return count_call(
            lambda _: ours.run_decode(case, chip), [cases.CONTEXT], cases.CONTEXT, case.kv_heads, tolerance
        )


def predict(call: calls.Prefill | calls.Decode, chip: Chip, counter: Counter) -> dict[str, Any]:
    """Return a call's modelled time on a chip: the fields of :class:`torch_fused_attn.doctor.predictions.Prediction`."""
    case = case_of(call)
    with known_to_the_kernels(chip):
        launches = counter.launches(case, chip)
    time = modelled(launches, chip, kv_bytes(case) if isinstance(case, cases.Decode) else 0)
    microseconds = {"us": time.seconds, "low_us": time.low, "high_us": time.high}
    return {**{name: round(seconds * 1e6, 1) for name, seconds in microseconds.items()}, "bound": time.bound}


def predict_all(every: Iterable[Chip], counter: Counter) -> list[dict[str, Any]]:
    """Return the predictions of each chip."""
    return [
        {
            # "M3 Max (30 cores)" is an M3 Max, too.
            "name": chip.name.split(" (")[0],
            "cores": chip.cores,
            "calls": {call.name: predict(call, chip, counter) for call in calls.CALLS},
        }
        for chip in every
    ]


def text_of(found: list[dict[str, Any]]) -> str:
    """Return the file's text: JSON, a line for each prediction."""
    lines = []
    for chip in found:
        entries = [f"   {json.dumps(name)}: {json.dumps(time)}" for name, time in chip["calls"].items()]
        head = f'  {{"name": {json.dumps(chip["name"])}, "cores": {chip["cores"]}, "calls": {{\n'
        lines.append(head + ",\n".join(entries) + "}}")
    return f'{{"note": {json.dumps(NOTE)},\n "chips": [\n' + ",\n".join(lines) + "]}\n"


def main() -> None:
    torch.set_grad_enabled(False)
    every = list(chips())
    found = predict_all(tqdm(every, unit="chip", dynamic_ncols=True, leave=False), Counter())
    FILE.write_text(text_of(found))
    print(f"{len(every)} chips, {len(calls.CALLS)} calls: {FILE}")


if __name__ == "__main__":
    main()
