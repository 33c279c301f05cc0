"""A file for an issue: what the doctor found, what is predicted for this GPU, and then what the calls took.

The predictions are on the disk before anything is timed, so that nobody can have chosen them by what came out.
"""

import datetime
import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from torch_fused_attn._version import __version__
from torch_fused_attn.doctor import environment, predictions
from torch_fused_attn.doctor.finding import Finding

#: Takes the times of a call: ours, and stock PyTorch's.
Timer = Callable[[Any], tuple[Any, Any]]


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]


def _put(file: IO[str], lines: Iterable[str]) -> None:
    """Write lines through to the disk."""
    file.write("\n".join(lines) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _version_rows() -> Iterator[tuple[str, str]]:
    """Yield what is installed, as far as it can be found out."""
    torch: Any = sys.modules.get("torch")
    yield "torch_fused_attn", __version__
    try:
        yield "built against torch", importlib.import_module("torch_fused_attn._build_info").TORCH_VERSION
    except ImportError:
        yield "built against torch", "not built"
    yield "torch", torch.__version__ if torch else "cannot be imported"
    yield "Python", f"{platform.python_version()}, {platform.machine()}"
    yield "system", f"macOS {environment.macos_version()}" if environment.macos_version() else platform.platform()
    yield "processor", environment.chip_name() or "without a name"
    memory = environment.system_value("hw.memsize") if sys.platform == "darwin" else ""
    if memory.isdigit():
        yield "memory", f"{int(memory) / 2**30:.0f} GiB"


def _heading(findings: Sequence[Finding]) -> list[str]:
    lines = ["# torch_fused_attn: report of the doctor", "", f"Begun {_now()}.", ""]
    lines += [*_table(("", "version"), _version_rows()), "", "## Findings", "", "```"]
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            lines.append(section)
        lines += finding.lines
    lines += ["```", ""]
    for finding in findings:
        if finding.details:
            lines += [f"### {finding.section}: {finding.text.split(':')[0]}", "", "```", finding.details, "```", ""]
    return lines


def _untimed() -> str:
    """Return why nothing is timed here, or ""."""
    torch: Any = sys.modules.get("torch")
    if torch is None or "torch_fused_attn._C" not in sys.modules:
        return "Nothing is timed, since the extension does not load."
    if not torch.backends.mps.is_available():
        return "Nothing is timed, since there is no mps device. `python -m bench`, in the sources, measures the CPU."
    if environment.is_simulated():
        return "Nothing is timed, since the mps device is simulated: its times say nothing about a Mac."
    try:
        environment.describe_device()
    except Exception as error:
        return f"Nothing is timed, since the MPS backend does not answer: {' '.join(str(error).split())}"
    return ""


def _predicted(gpu: str, cores: int, found: dict[str, predictions.Prediction]) -> list[str]:
    lines = ["## Predictions", "", f"For {gpu} with {cores} cores, written {_now()}, before anything was timed. "]
    if not found:
        known = ", ".join(f"{name} ({number})" for name, number in predictions.known_chips())
        return [*lines[:-1], f"There is no prediction for {gpu} with {cores} GPU cores. There is for: {known}.", ""]
    rows = [(call, f"{p.us:.0f}", f"{p.low_us:.0f} to {p.high_us:.0f}", p.bound) for call, p in found.items()]
    lines[-1] += predictions.note()
    return [*lines, "", *_table(("call", "modelled, never run, us", "range, us", "bound by"), rows), ""]


def _timed_row(call: Any, prediction: predictions.Prediction | None, time_call: Timer) -> tuple[str, ...]:
    expected = f"{prediction.low_us:.0f} to {prediction.high_us:.0f}" if prediction else "none"
    try:
        ours, theirs = time_call(call)
    except Exception as error:
        return (call.name, f"failed: {' '.join(str(error).split())}", "", "", expected, "")
    us = ours.median * 1e6
    spread = f"{us:.0f} ({ours.low * 1e6:.0f} to {ours.high * 1e6:.0f})"
    verdict = prediction.verdict(us) if prediction else "none"
    return (call.name, spread, f"{theirs.median * 1e6:.0f}", f"{ours.median / theirs.median:.2f}", expected, verdict)


_TIMED = ("call", "ours, us: median (range)", "SDPA, us", "ours ÷ SDPA", "predicted range, us", "prediction")


def _put_times(file: IO[str], found: dict[str, predictions.Prediction], time_call: Timer) -> None:
    """Time the calls, each written down at once: who knows whether the next one ends."""
    _put(file, ["## Timings", "", "Medians of calls that follow each other, with one wait for many.", ""])
    _put(file, _table(_TIMED, []))
    verdicts = []
    # Imports torch.
    for call in importlib.import_module("torch_fused_attn.doctor.calls").CALLS:
        row = _timed_row(call, found.get(call.name), time_call)
        _put(file, _table(row, [])[:1])
        verdicts.append(row[-1])
    judged = [verdict for verdict in verdicts if verdict not in ("", "none")]
    hits = f"{judged.count(predictions.HIT)} of {len(judged)} predictions were hits. " if judged else ""
    _put(file, ["", f"{hits}Ended {_now()}."])


def write(path: Path, findings: Sequence[Finding], time_call: Timer | None = None) -> None:
    """Write the report; times are taken on a Mac's GPU alone.

    Args:
        path: of the file, which is replaced.
        findings: what the doctor found.
        time_call: takes the times of a call, ours and stock PyTorch's; default: :func:`.timing.time_call`.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8") as file:
        _put(file, _heading(findings))
        reason = _untimed()
        if reason:
            _put(file, ["## Timings", "", reason])
            return
        gpu, _, cores = environment.describe_device()
        found = predictions.find(gpu, cores)
        _put(file, _predicted(gpu, cores, found))
        print("timing (half a minute)", flush=True)
        _put_times(file, found, time_call or importlib.import_module("torch_fused_attn.doctor.timing").time_call)
