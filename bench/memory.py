"""Measures how far one call makes a fresh process grow: ``python -m bench.memory CASE CONTENDER`` prints the bytes."""

import ctypes
import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.cases import Call, Case, all_cases

MIB = 2**20


@dataclass(frozen=True)
class MemoryRow:
    """Peak growth of the process during one call, its output included."""

    group: str
    variant: str
    length: int
    dtype: str
    ours_mib: float
    baseline: str
    baseline_mib: float
    output_mib: float
    goal: float

    @property
    def met(self) -> bool:
        return self.ours_mib <= self.goal


def measure_memory(case: Case) -> MemoryRow:
    """Return the growth of two fresh processes: one that makes our call, and one that makes the first baseline's."""
    assert case.memory_goal_mib is not None
    ours, baseline = (run_alone(case, contender) for contender in (0, 1))
    return MemoryRow(
        case.group,
        case.variant,
        case.length,
        case.dtype,
        ours["growth"] / MIB,
        baseline["name"],
        baseline["growth"] / MIB,
        ours["output"] / MIB,
        case.memory_goal_mib,
    )


def longest_with_memory_goal(cases: list[Case]) -> list[Case]:
    """Return, of each kind of case that has a memory goal, the longest."""
    longest = {(c.group, c.variant, c.dtype): c for c in sorted(cases, key=lambda c: c.length) if c.memory_goal_mib}
    return [case for case in cases if case in longest.values()]


def run_alone(case: Case, contender: int) -> dict:
    command = [sys.executable, "-m", "bench.memory", case.name, str(contender)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {process.stderr.strip()[-500:]}")
    return json.loads(process.stdout)


def resident_bytes(field: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (peak); where there is no /proc, the peak stands for both."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def settle() -> None:
    """Give freed memory back to the system, and lower the peak to the present level, where the system allows it.

    Without this a call could live off what earlier calls have freed, and would seem to need nothing.
    """
    if sys.platform == "linux":
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if malloc_trim is not None:
            malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")


def growth_of(case: Case, contender: int) -> dict:
    """Return the contender's name, and the bytes of its growth and of its output. Contender 0 is ours."""
    alike = [c for c in all_cases() if (c.group, c.variant, c.dtype) == (case.group, case.variant, case.dtype)]
    shortest = min(alike, key=lambda c: c.length)
    select(shortest, contender)[1]()  # starts threads and libraries, whose memory is not the call's
    name, call = select(case, contender)
    settle()
    before = resident_bytes("VmRSS")
    output = call()
    return {"name": name, "growth": resident_bytes("VmHWM") - before, "output": output.nbytes}


def select(case: Case, contender: int) -> tuple[str, Call]:
    ours, baselines = case.setup()
    return [("ours", ours), *baselines.items()][contender]


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    named = {case.name: case for case in all_cases()}
    print(json.dumps(growth_of(named[sys.argv[1]], int(sys.argv[2]))))
