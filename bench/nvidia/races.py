"""compute-sanitizer over the small problems: accesses out of bounds, and races in threadgroup memory."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

#: Kernels of metalsim.cuda have this name; memcheck does not look at torch's own. racecheck breaks down where some kernels
#: are left out; it is spared torch's by not judging results, which memcheck's run does.
_FILTER = ("--kernel-regex", "kns=metalsim_kernel")
_TOOLS: dict[str, tuple[str, ...]] = {"racecheck": (), "memcheck": _FILTER}


def _environment() -> dict[str, str]:
    # Blocks of torch's allocator would hide what goes beyond a tensor.
    return {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}


def run_tool(tool: str, package: Path, only: str, seconds: float) -> dict[str, Any]:
    """Run the small problems under a tool in a process of their own, and return what it says."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        program = [sys.executable, "-m", "bench.gpu", "correctness", "--parts", "small", "--package", str(package)]
        program += [] if _TOOLS[tool] else ["--unjudged"]
        program += ["--output", scratch, "--seconds", str(seconds), "--only", only]
        # What torch asks the driver about memory that is not its own is an error by design, and none of a kernel.
        options = ["--tool", tool, *_TOOLS[tool], "--report-api-errors", "no", "--print-limit", "20"]
        command = ["compute-sanitizer", *options, *program]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, env=_environment(), check=False, timeout=seconds + 60
            )
            output = done.stdout + done.stderr
        except subprocess.TimeoutExpired as expired:
            output = f"{(expired.stdout or b'').decode()}\ntimed out after {seconds + 60} s"
        written = Path(scratch) / "gpu-correctness.json"
        verdicts = json.loads(written.read_text())["correctness"]["small"] if written.exists() else []
    summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (.*)", output)
    found = [line for line in output.splitlines() if line.startswith("=========")]
    return {
        "tool": tool,
        "summary": summary[-1] if summary else "none: the tool did not end",
        "problems": len(verdicts),
        "right": sum(verdict["is_right"] for verdict in verdicts),
        "findings": found[:60] if not summary or not re.match(r"0 (errors|hazards)", summary[-1]) else [],
        "end_of_output": "" if verdicts else output[-2000:],
        "seconds": round(time.perf_counter() - start, 1),
    }


def run_tools(package: Path, only: str, seconds: float) -> list[dict[str, Any]]:
    """Run all tools, each for its part of the time."""
    results = []
    for tool in _TOOLS:
        result = run_tool(tool, package, only, seconds / len(_TOOLS))
        results.append(result)
        print(f"{tool}: {result['summary']}; {result['right']} of {result['problems']} problems right", flush=True)
        for line in (*result["findings"][:40], *result["end_of_output"].splitlines()[-15:]):
            print(f"  {line[:200]}", flush=True)
    return results
