"""Metal kernels on an NVIDIA GPU: ours, PyTorch's, MLX's and a naive one, through metalsim.cuda.

    python -m bench.gpu prepare       on a machine with clang-19: kernel_plan's choices and PTX, to bench/out/gpu
    python -m bench.gpu assemble      where ptxas is: machine code in place of PTX, so that loading takes no time
    python -m bench.gpu correctness   on a machine with an NVIDIA GPU: every kernel at size, against float64 and torch
    python -m bench.gpu races         there: compute-sanitizer over every kernel at small sizes
    python -m bench.gpu timings       there: medians by device events
    python -m bench.gpu all           there: the last four, one after the other, in less than five minutes on an H200
    python -m bench.gpu gather DIR    joins what the last three wrote in bench/results/gpu.json

The machine with the GPU needs this repository, bench/out/gpu, torch and cuda-bindings; nothing is downloaded there, and the
package's extension is not needed. Times are an NVIDIA GPU's, and say nothing about Apple's.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
PACKAGE = HERE / "out" / "gpu"
RESULT = HERE / "results" / "gpu.json"
MEASURED = ("correctness", "races", "timings")


def environment() -> dict[str, Any]:
    """Return what the figures were measured on."""
    properties = torch.cuda.get_device_properties(0)
    query = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm", "--format=csv,noheader"]
    driver, clock = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().split(", ")
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "gpu": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "L2 bytes": properties.L2_cache_size,
        "memory bytes": properties.total_memory,
        "driver": driver,
        "highest clock": clock,
        "torch": torch.__version__,
        "python": sys.version.split()[0],
    }


def correctness(options: argparse.Namespace) -> dict[str, Any]:
    """Run problems, and judge them."""
    from bench.nvidia.correctness import run_problems
    from bench.nvidia.pipelines import Loaded
    from bench.nvidia.problems import read_problems

    store = Loaded(options.package)
    deadline = time.monotonic() + options.seconds
    result = {}
    for part in options.parts.split(","):
        problems = [
            problem for problem in read_problems(options.package / f"{part}.json") if options.only in problem.name
        ]
        result[part] = run_problems(problems, store, deadline, not options.unjudged)
    return result


def races(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the small problems under compute-sanitizer."""
    from bench.nvidia.races import run_tools

    return run_tools(options.package, options.only, options.seconds)


def timings(options: argparse.Namespace) -> dict[str, Any]:
    """Time all kernels."""
    from bench.nvidia.pipelines import Loaded
    from bench.nvidia.timing_cases import decode_timings, prefill_timings
    from bench.nvidia.timings import copy_bandwidth, time_cases

    store = Loaded(options.package)
    deadline = time.monotonic() + options.seconds
    cases = [case for case in (*decode_timings(), *prefill_timings()) if options.only in case.name]
    bandwidth = copy_bandwidth()
    print(f"copies: {bandwidth / 1e12:.2f} TB/s", flush=True)
    return {"copy_bytes_per_second": bandwidth, "rows": time_cases(cases, store, deadline)}


def gather(folder: Path) -> None:
    """Join the files of one run; parts that are missing stay as they were."""
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for part in MEASURED:
        path = folder / f"gpu-{part}.json"
        if path.exists():
            result[part] = json.loads(path.read_text())
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["prepare", "assemble", *MEASURED, "all", "gather"])
    parser.add_argument("folder", type=Path, nargs="?", default=PACKAGE, help="gather: where the parts are")
    parser.add_argument("--package", type=Path, default=PACKAGE, help="what prepare writes and the others read")
    parser.add_argument("--output", type=Path, default=PACKAGE, help="folder of gpu-correctness.json, ...")
    parser.add_argument("--parts", default="", help="prepare, correctness: of matrix, sizes, small (and timings)")
    parser.add_argument("--only", default="", help="only calls whose name contains this")
    parser.add_argument("--unjudged", action="store_true", help="correctness: run the kernels, and look at no result")
    parser.add_argument("--seconds", type=float, default=500, help="begin no call after this")
    return parser.parse_args()


def main() -> None:
    """Run a command."""
    options = _arguments()
    torch.set_grad_enabled(False)
    if options.command == "gather":
        gather(options.folder)
    elif options.command == "prepare":
        from bench.nvidia.prepare import PARTS, TIMINGS, prepare

        prepare(options.package, options.parts.split(",") if options.parts else [*PARTS, TIMINGS])
    elif options.command == "assemble":
        from bench.nvidia.pipelines import assemble

        assemble(options.package)
    elif options.command == "all":
        for command in ("assemble", *MEASURED):
            # Processes of their own: a kernel that harms the GPU's context ends one of them.
            subprocess.run([sys.executable, "-m", "bench.gpu", command, *sys.argv[2:]], check=False)
    else:
        options.parts = options.parts or "matrix,sizes"
        run = {"correctness": correctness, "races": races, "timings": timings}[options.command]
        result = {"environment": environment(), options.command: run(options)}
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / f"gpu-{options.command}.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
