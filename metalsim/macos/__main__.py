"""The command line: ``python -m metalsim.macos --help``."""

import argparse
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

from metalsim import toolchain
from metalsim.errors import MetalsimError
from metalsim.macos import check, torch_wheel
from metalsim.macos.torch_wheel import TorchWheel

#: The oldest torch that the package supports, the one that is developed with, and the newest.
VERSIONS = ("2.9.0", "2.13.0", "2.15.0")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m metalsim.macos",
        description="Compile and link the extension for macOS as setup.py would there, against torch's wheels for macOS.",
    )
    parser.add_argument(
        "--torch",
        action="append",
        metavar="VERSION",
        help=f"a version of torch; may be given several times (default: {', '.join(VERSIONS)})",
    )
    return parser


def _check(version: str, wheel: Future[TorchWheel]) -> bool:
    """Check the build for one version, print its line, and return whether all is well."""
    started = time.monotonic()
    try:
        result = check.run(wheel.result())
    except MetalsimError as error:
        print(f"torch {version}: FAILED: {error}", flush=True)
        return False
    print(f"torch {version}: ok: {result} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


def main() -> int:
    """Check the build for each version and print a line for each: 0 if all went well, 1 for any failure."""
    versions = _parser().parse_args().torch or VERSIONS
    try:
        toolchain.install()
    except MetalsimError as error:
        print(f"metalsim.macos: {error}", file=sys.stderr)
        return 1
    # The next wheel is downloaded while the extension is compiled for the last.
    with ThreadPoolExecutor(1) as pool:
        wheels = [pool.submit(torch_wheel.get, version) for version in versions]
        passed = [_check(version, wheel) for version, wheel in zip(versions, wheels, strict=True)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
