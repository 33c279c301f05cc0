"""Compare fused_attn with stock PyTorch on the CPU: ``python -m bench --help``."""

import argparse
import os
import platform
import re
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import torch

try:
    import matplotlib  # noqa: F401  (so that a missing one is noticed before the measurements, not after)
    from tqdm import tqdm
except ImportError as error:
    sys.exit(f"bench needs {error.name}, which is not installed: run `pip install matplotlib tqdm`.")

from bench import report
from bench.cases import Case, all_cases
from bench.measure import TimeRow, measure_time, settings
from bench.memory import MemoryRow, longest_with_memory_goal, measure_memory

HERE = Path(__file__).parent
RESULTS = HERE / "results"
QUICK_LENGTH = 512


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split(":")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help=f"only cases up to L = {QUICK_LENGTH}: a smoke run")
    size.add_argument("--full", action="store_true", help="every case at every length, at least five rounds each")
    parser.add_argument("--only", metavar="PATTERN", default="", help="only cases whose name matches this regex")
    parser.add_argument("--list", action="store_true", help="print the names of the cases, and measure nothing")
    parser.add_argument("--report", action="store_true", help="write plot and README anew from results/cpu.json")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of cpu.json, cpu.md and cpu.png; default: bench/results for a complete run, otherwise bench/out",
    )
    return parser.parse_args()


def environment() -> dict:
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average_before": round(os.getloadavg()[0], 2),
        **settings(),
    }


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def available_gib() -> float:
    """Return the memory that can still be used, or infinity where the system does not say."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return float("inf")
    line = next(line for line in info.read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) / 2**20


def enough_memory(case: Case) -> bool:
    available = available_gib()
    if available < case.needs_gib:
        tqdm.write(f"{case.name}: left out, needs {case.needs_gib:.1f} GiB of free memory, but {available:.1f} are")
    return available >= case.needs_gib


def run(cases: list[Case]) -> tuple[list[TimeRow], list[MemoryRow]]:
    times: list[TimeRow] = []
    memory: list[MemoryRow] = []
    with tqdm(total=len(cases) + len(longest_with_memory_goal(cases)), unit="case", dynamic_ncols=True) as progress:
        for case in cases:
            progress.set_description(case.name)
            if enough_memory(case):
                rows = measure_time(case)
                times += rows
                tqdm.write("\n".join(map(report.time_line, rows)))
            progress.update()
        for case in longest_with_memory_goal(cases):
            progress.set_description(f"memory: {case.name}")
            if enough_memory(case):
                memory.append(measure_memory(case))
                tqdm.write(report.memory_line(memory[-1]))
            progress.update()
    return times, memory


def write_all(folder: Path, about: dict, times: list[TimeRow], memory: list[MemoryRow]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = report.markdown(about, times, memory)
    (folder / "cpu.md").write_text(text)
    report.plot(folder / "cpu.png", about, times)
    if folder == RESULTS:
        report.update_readme(HERE / "README.md", text)


def main() -> None:
    options = parse_arguments()
    if options.report:
        write_all(RESULTS, *report.read_json(RESULTS / "cpu.json"))
        return
    cases = [case for case in all_cases(options.full) if re.search(options.only, case.name)]
    if options.quick:
        cases = [case for case in cases if case.length <= QUICK_LENGTH]
    if options.list:
        print("\n".join(case.name for case in cases))
        return
    if not cases:
        sys.exit(f"no case's name matches {options.only!r}: `python -m bench --list` prints them.")
    complete = not (options.quick or options.only)
    folder = options.output or (RESULTS if complete else HERE / "out")

    torch.set_grad_enabled(False)
    about, start = environment(), time.perf_counter()
    times, memory = run(cases)
    about["minutes"] = round((time.perf_counter() - start) / 60, 1)
    folder.mkdir(parents=True, exist_ok=True)
    report.write_json(folder / "cpu.json", about, times, memory)
    write_all(folder, about, times, memory)
    print("\n" + "\n".join(report.summary(times, memory)))
    print(f"\n{about['minutes']} minutes; cpu.json, cpu.md and cpu.png are in {folder}")


if __name__ == "__main__":
    main()
