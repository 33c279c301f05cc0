"""The command line: ``python -m metalsim --help``."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from metalsim import model, spec, toolchain
from metalsim.counts import Counts
from metalsim.errors import CompileError, MetalsimError
from metalsim.library import compile
from metalsim.mps import build


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m metalsim", description="Check, run and count Metal kernels without a Mac."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def source_options(command: argparse.ArgumentParser) -> None:
        command.add_argument("-I", dest="include_dirs", action="append", default=[], help="folder of includes")
        command.add_argument("-D", dest="defines", action="append", default=[], metavar="NAME[=VALUE]", help="macro")
        command.add_argument("--language-version", default="3.1", help="of the Metal Shading Language (default: 3.1)")

    check = commands.add_parser("check", help="say what Apple's compiler would refuse; one line for each finding")
    check.add_argument("files", nargs="+", metavar="FILE")
    source_options(check)

    kernels = commands.add_parser("kernels", help="list the kernels of a file, their parameters and function constants")
    kernels.add_argument("file", metavar="FILE")
    source_options(kernels)

    count = commands.add_parser(
        "count", help="run a kernel and print what it costs, in counts and modelled for some chips"
    )
    count.add_argument("file", metavar="FILE")
    count.add_argument("kernel", metavar="KERNEL")
    count.add_argument("--spec", required=True, type=Path, help="the dispatch, in JSON (see metalsim/spec.py)")
    count.add_argument("--lines", action="store_true", help="each source line's accesses too")
    count.add_argument("--check", action="store_true", help="report faults of memory and synchronisation")
    count.add_argument("--chip", action="append", help="a chip to model, by default M1 Max, M3 Max, M4 Pro and M4 Max")
    source_options(count)

    commands.add_parser("setup", help="install clang-19 where it is missing, and compile metalsim's native parts")
    return parser


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    defines = dict(text.split("=", 1) if "=" in text else (text, "1") for text in arguments.defines)
    return {
        "include_dirs": arguments.include_dirs,
        "defines": defines,
        "language_version": arguments.language_version,
    }


def _check(arguments: argparse.Namespace) -> int:
    failed = 0
    for file in arguments.files:
        try:
            library = compile(file, **_options(arguments))
        except CompileError as error:
            failed += 1
            print("\n".join(map(str, error.diagnostics)) or str(error))
        else:
            print(f"{file}: accepted, {len(library.kernel_names)} kernels")
    return 1 if failed else 0


def _kernels(arguments: argparse.Namespace) -> int:
    library = compile(arguments.file, **_options(arguments))
    for name, index in library.function_constants.items():
        print(f"function constant {index}: {name}")
    for name in library.kernel_names:
        print(f"kernel {name}")
        for parameter in library.parameters(name):
            enabled = f", if {parameter.enabled_by}" if parameter.enabled_by else ""
            bound = f"({parameter.index})" if parameter.kind in ("buffer", "threadgroup_memory") else ""
            print(f"    {parameter.type} {parameter.name} [[{parameter.kind}{bound}]]{enabled}")
    return 0


def _count(arguments: argparse.Namespace) -> int:
    dispatch = spec.read(arguments.spec)
    pipeline = compile(arguments.file, **_options(arguments)).pipeline(arguments.kernel, dispatch.constants)
    run = pipeline.dispatch(**dispatch.arguments, check=arguments.check, count="lines" if arguments.lines else True)
    print(describe(run.counts))
    print()
    print(model.report(run.counts, chips=arguments.chip))
    return 0


def describe(counted: Counts) -> str:
    """Return counts as lines of text, zeros left out."""
    lines: list[str] = []

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{name} {key}", inner)
        elif isinstance(value, (int, float)) and value:
            lines.append(f"{name.replace('_', ' '):52}{value:>18,}")

    table = asdict(counted)
    source_lines = table.pop("lines")
    for name, value in table.items():
        add(name, value)
    for line in source_lines:
        where = f"{Path(line['file']).name}:{line['line']}"
        cost = (
            f"{line['transactions']:,} transactions"
            if line["space"] == "device"
            else f"{line['cycles_apple7']:,} bank cycles"
        )
        lines.append(f"{where:32}{line['space']:12}{line['kind']:6}{line['bytes']:>14,} bytes  {cost}")
    return "\n".join(lines)


def main() -> int:
    """Run the command that the arguments name: 0 if all went well, 1 for findings, 2 for a call that cannot be done."""
    arguments = _parser().parse_args()
    try:
        if arguments.command == "setup":
            toolchain.install()
            toolchain.build_everything()
            build.device_libraries()
            return 0
        return {"check": _check, "kernels": _kernels, "count": _count}[arguments.command](arguments)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    except (MetalsimError, FileNotFoundError) as error:
        print(f"metalsim: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
