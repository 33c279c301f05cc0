"""Gets kernels that Apple's compiler takes out of published packages: PyTorch's and MLX's wheels for macOS, ggml's sources.

They are downloaded with pip once, 110, 45 and 77 MB, and only what is used stays in the cache (cache.py): of PyTorch the
Metal headers and the libraries embedded in libtorch_cpu.dylib, of MLX the kernels' headers and mlx.metallib, of ggml, which
the source distribution of llama-cpp-python carries, the kernels. Nothing of a wheel is executed. Versions are fixed, so that
a name of a kernel or a struct of arguments means the same every time.
"""

import functools
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from metalsim import cache, toolchain
from metalsim.air.metallib import MetalLibrary, embedded
from metalsim.errors import MetalsimError
from metalsim.macos import packages

TORCH_VERSION = "2.13.0"
MLX_VERSION = "0.32.4"
LLAMA_CPP_PYTHON_VERSION = "0.3.36"

_TORCH_HEADERS = ("torch/include/ATen/native/mps/kernels/", "torch/include/c10/metal/")
_TORCH_LIBRARY = "torch/lib/libtorch_cpu.dylib"
_MLX_HEADERS = ("mlx/include/mlx/backend/metal/kernels/",)
_MLX_LIBRARY = "mlx/lib/mlx.metallib"
_GGML_SOURCES = "vendor/llama.cpp/ggml/src"
_GGML_KERNELS = ("ggml-common.h", "ggml-metal/ggml-metal-impl.h", "ggml-metal/kernels")


class WheelUnavailableError(MetalsimError):
    """A wheel that is not in the cache cannot be downloaded, for instance because there is no network."""


#: What could not be downloaded: a process asks once.
_failures: dict[str, WheelUnavailableError] = {}


def _download(requirement: str, megabytes: int, folder: Path) -> Path:
    """Download the wheel of a requirement for macOS into a folder and return its path."""
    if requirement in _failures:
        raise _failures[requirement]
    toolchain.progress(f"downloading {requirement} for macOS (about {megabytes} MB, once)")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ]
    command += ["--platform", "macosx_14_0_arm64", "--python-version", "3.11", "--implementation", "cp"]
    command += ["--retries", "2", "--dest", str(folder), requirement]
    # pip draws its progress on standard output; whatever a program's own output is for, progress belongs to standard error.
    done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[
            -1:
        ]
        reason = reasons[-1] if reasons else "pip gave no reason"
        error = WheelUnavailableError(
            f"{requirement} for macOS is not in metalsim's cache ({cache.directory() / 'wheels'}) and cannot be downloaded: "
            f"{reason}. Run `python -m metalsim.air.wheels` where the package index can be reached, with METALSIM_CACHE "
            "naming the folder to use here."
        )
        _failures[requirement] = error
        raise error
    return wheels[0]


def _extract(wheel: zipfile.ZipFile, prefix: str, destination: Path) -> None:
    """Unpack the members below a prefix; the prefix itself is not part of their new paths."""
    members = [name for name in wheel.namelist() if name.startswith(prefix) and not name.endswith("/")]
    if not members:
        raise MetalsimError(
            f"'{Path(wheel.filename or '').name}' has nothing below '{prefix}': its layout is not the expected one."
        )
    for name in members:
        target = (destination / name[len(prefix) :]).resolve()
        if not target.is_relative_to(destination.resolve()):
            raise MetalsimError(f"'{name}' in '{wheel.filename}' points outside of the folder that it is unpacked to.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with wheel.open(name) as source, target.open("wb") as copy:
            while chunk := source.read(1 << 20):
                copy.write(chunk)


def _carve(library: Path, destination: Path) -> None:
    """Copy the Metal libraries embedded in a file to ``0.metallib``, ``1.metallib`` ..., the oldest Metal version first."""
    destination.mkdir()
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for number, (offset, size) in enumerate(embedded(data)):
            (destination / f"found{number}").write_bytes(data[offset : offset + size])
    found = sorted(destination.iterdir(), key=lambda path: MetalLibrary(path).language_version)
    if not found:
        raise MetalsimError(f"'{library.name}' holds no Metal library: its layout is not the expected one.")
    for number, path in enumerate(found):
        path.rename(destination / f"{number}.metallib")


def _entry(requirement: str, megabytes: int, unpack: Callable[[zipfile.ZipFile, Path, Path], None]) -> Path:
    """Return the cache's folder of what ``unpack(wheel, folder, scratch folder)`` keeps of a wheel."""

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="download.", dir=folder) as scratch:
            path = _download(requirement, megabytes, Path(scratch))
            with zipfile.ZipFile(path) as wheel:
                unpack(wheel, folder, Path(scratch))

    # An entry holds what was kept when it was made.
    kept = cache.digest(*_TORCH_HEADERS, _TORCH_LIBRARY, *_MLX_HEADERS, _MLX_LIBRARY)[:8]
    return cache.entry("wheels", f"{requirement.replace('==', '-')}-{kept}", build)


def _unpack_torch(wheel: zipfile.ZipFile, folder: Path, scratch: Path) -> None:
    for prefix in _TORCH_HEADERS:
        _extract(wheel, prefix, folder / prefix.removeprefix("torch/"))
    library = scratch / "library"
    _extract(wheel, _TORCH_LIBRARY, library)
    _carve(library, folder / "metallibs")


def _unpack_mlx(wheel: zipfile.ZipFile, folder: Path, scratch: Path) -> None:
    for prefix in _MLX_HEADERS:
        _extract(wheel, prefix, folder / prefix.removeprefix("mlx/"))
    _extract(wheel, _MLX_LIBRARY, folder / "mlx.metallib")


@functools.cache
def _torch() -> Path:
    return _entry(f"torch=={TORCH_VERSION}", 110, _unpack_torch)


@functools.cache
def _mlx() -> Path:
    return _entry(f"mlx-metal=={MLX_VERSION}", 45, _unpack_mlx)


@functools.cache
def _ggml() -> Path:
    requirement = f"llama-cpp-python=={LLAMA_CPP_PYTHON_VERSION}"

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="download.", dir=folder) as scratch:
            sources = packages.unpacked_sources(requirement, Path(scratch)) / _GGML_SOURCES
            for name in _GGML_KERNELS:
                target = folder / name
                target.parent.mkdir(exist_ok=True)
                if (sources / name).is_dir():
                    shutil.copytree(sources / name, target)
                else:
                    shutil.copyfile(sources / name, target)

    return cache.entry("wheels", f"{requirement.replace('==', '-')}-{cache.digest(*_GGML_KERNELS)[:8]}", build)


def torch_headers() -> Path:
    """Return the include folder of PyTorch's Metal headers, ``ATen/native/mps/kernels`` and ``c10/metal``.

    Raises:
        WheelUnavailableError: if the wheel is neither in the cache nor to be had.
    """
    return _torch() / "include"


def torch_metallibs() -> list[Path]:
    """Return the libraries inside PyTorch, the one for the oldest version of Metal first.

    Raises:
        WheelUnavailableError: if the wheel is neither in the cache nor to be had.
    """
    return sorted((_torch() / "metallibs").iterdir())


def mlx_headers() -> Path:
    """Return the include folder of MLX's kernels, ``mlx/backend/metal/kernels``.

    Raises:
        WheelUnavailableError: if the wheel is neither in the cache nor to be had.
    """
    return _mlx() / "include"


def mlx_metallib() -> Path:
    """Return MLX's library.

    Raises:
        WheelUnavailableError: if the wheel is neither in the cache nor to be had.
    """
    return _mlx() / "mlx.metallib"


def ggml_kernels() -> Path:
    """Return the folder of ggml's sources: ``ggml-metal/kernels``, and the headers that they include.

    Raises:
        PackageUnavailableError: if the source distribution is neither in the cache nor to be had.
    """
    return _ggml()


def main() -> None:
    """Download what is missing, and say where it is."""
    for path in (torch_headers(), *torch_metallibs(), mlx_headers(), mlx_metallib(), ggml_kernels()):
        print(os.fspath(path))


if __name__ == "__main__":
    main()
