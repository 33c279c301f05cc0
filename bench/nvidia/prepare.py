"""The machine without a GPU: asks kernel_plan for every call, and compiles every pipeline to one file."""

from collections.abc import Sequence
from pathlib import Path

from bench.nvidia import correctness, problems, timing_calls
from bench.nvidia.matrix import matrix_problems
from bench.nvidia.pipelines import Recorder
from bench.nvidia.sizes import size_problems
from bench.nvidia.timing_cases import decode_timings, prefill_timings

#: Parts, in the order in which they are compiled.
PARTS = {
    "matrix": lambda: matrix_problems(is_small=False),
    "sizes": size_problems,
    "small": lambda: matrix_problems(is_small=True),
}
TIMINGS = "timings"


def prepare(folder: Path, parts: Sequence[str] = (*PARTS, TIMINGS)) -> None:
    """Write problems, plans and pipelines to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    recorder = Recorder()
    for part, make in PARTS.items():
        found = make()
        problems.write_problems(folder / f"{part}.json", found)
        if part in parts:
            for problem in found:
                correctness.bind(problem, problems.build(problem, "meta"), recorder)
    if TIMINGS in parts:
        for case in (*prefill_timings(), *decode_timings()):
            timing_calls.note(case, recorder)
    recorder.write(folder)
