"""What the software mps device costs on this machine: ``METALSIM=1 python -m bench.metalsim_device``.

Times of calls that return before anything has run, as a GPU's do, and the time to build the device's libraries with
``--build``. Nothing of it says anything about a GPU.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from metalsim import toolchain

# The probe is an extension in Objective-C++ that launches one kernel; the tests have it.
sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "metalsim" / "mps")]

ROUNDS = 30
CALLS = 200


def microseconds(call: Callable[[], object], finish: Callable[[], object] = lambda: None) -> float:
    """Return the median over rounds of a call's time; what is left to run is finished outside of the measurement."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        times.append((time.perf_counter() - start) / CALLS * 1e6)
        finish()
    return statistics.median(times)


def row(what: str, value: str, goal: str = "", met: bool | None = None) -> str:
    verdict = "" if met is None else "met" if met else "MISSED"
    return f"| {what} | {value} | {goal} | {verdict} |"


def calls() -> list[str]:
    from probe_extension import operators

    probe = operators()
    x = torch.ones(1000, device="mps")
    on_cpu = torch.ones(1000)
    launch = microseconds(lambda: probe.scale(x, 2.0), torch.mps.synchronize)

    def launch_and_wait() -> None:
        probe.scale(x, 2.0)
        torch.mps.synchronize()

    return [
        row("custom operator that launches a kernel", f"{launch:.1f} µs", "at most 20 µs", launch <= 20),
        row("the same, waited for", f"{microseconds(launch_and_wait):.0f} µs"),
        row("torch.add on mps (the CPU's kernel)", f"{microseconds(lambda: x + 1):.1f} µs"),
        row("torch.add on the CPU", f"{microseconds(lambda: on_cpu + 1):.1f} µs"),
        row("x.cpu()", f"{microseconds(lambda: x.cpu()):.1f} µs"),
    ]


def build() -> str:
    from metalsim.mps.build import device_libraries

    runtime = toolchain.runtime_library()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["METALSIM_CACHE"] = folder
        toolchain.runtime_library = lambda: runtime
        start = time.perf_counter()
        device_libraries.__wrapped__()
        seconds = time.perf_counter() - start
    return row("building the device's libraries", f"{seconds:.0f} s", "at most 30 s", seconds <= 30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", action="store_true", help="time the compilation of the device's libraries instead")
    rows = [build()] if parser.parse_args().build else calls()
    print("\n".join(["| what | measured | goal |  |", "| --- | --- | --- | --- |", *rows]))
    return 1 if any("MISSED" in line for line in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
