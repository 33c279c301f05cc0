"""The command line, and the order in which the doctor looks at things."""

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from torch_fused_attn.doctor import environment
from torch_fused_attn.doctor.finding import Finding, Status, skipped

REPORT = "torch_fused_attn_report.md"
KERNELS, SELF_CHECK = "kernels", "self-check"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m torch_fused_attn", description="Tools of torch_fused_attn.")
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser(
        "doctor",
        help="say what works on this machine, and for what does not the next step",
        description="Say what works on this machine, and for what does not the next step. The exit status is 1 if anything "
        "does not.",
    )
    doctor.add_argument(
        "--report",
        nargs="?",
        type=Path,
        const=Path(REPORT),
        metavar="FILE",
        help=f"also time a few calls on a Mac's GPU, half a minute, and write a file for an issue (default: {REPORT})",
    )
    return parser


def examine() -> Iterator[Finding]:
    """Look at everything, from the machine up, and yield what is found when it is found."""
    yield from environment.check_platform()
    for name, check in (("torch", environment.check_torch), ("torch_fused_attn._C", environment.check_extension)):
        yield from check()
        # A failure need not be the end: without MPS there is still a CPU.
        if name not in sys.modules:
            yield skipped(KERNELS, "not tried: the extension is not loaded")
            yield skipped(SELF_CHECK, "not tried: the extension is not loaded")
            return
    yield from environment.check_device()
    # These import torch, which is there by now.
    yield from importlib.import_module("torch_fused_attn.doctor.kernels").check_kernels(KERNELS)
    yield from importlib.import_module("torch_fused_attn.doctor.self_check").check_operators(SELF_CHECK)


def print_findings(findings: Iterator[Finding]) -> list[Finding]:
    """Print findings under their sections as they come, and return them."""
    seen: list[Finding] = []
    for finding in findings:
        if not seen or seen[-1].section != finding.section:
            print(finding.section)
        print("\n".join(finding.lines), flush=True)
        seen.append(finding)
    return seen


def main(arguments: Sequence[str]) -> int:
    """Run a command: 0 if all is well, 1 if the doctor found something that does not work."""
    options = _parser().parse_args(arguments)
    findings = print_findings(examine())
    failures = sum(finding.status is Status.FAILED for finding in findings)
    if options.report is not None:
        report = importlib.import_module("torch_fused_attn.doctor.report")
        report.write(options.report, findings)
        print(f"\nthe report is in {options.report}")
    print(f"\n{failures} failed" if failures else "\nall is well")
    return 1 if failures else 0


def run_instead_of_import() -> NoReturn:
    """Run the command in place of an import of the package that failed."""
    sys.exit(main(sys.argv[1:]))
