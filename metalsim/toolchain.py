"""clang-19 and metalsim's own native parts: where they are, and how they are built.

The native parts are the runtime (a shared library that Python loads), three plugins (two of LLVM passes, one that checks
clang's AST) and the shim's precompiled headers. Each is compiled at first use and kept in the cache under its sources'
content.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

from metalsim import cache
from metalsim.errors import ToolchainError

PACKAGE = Path(__file__).parent.resolve()
NATIVE = PACKAGE / "native"
SHIM = PACKAGE / "shim"

#: The last two are for the check of the build for macOS.
DEBIAN_PACKAGES = (
    *("clang-19", "llvm-19", "llvm-19-dev", "libclang-19-dev", "libclang-rt-19-dev"),
    *("lld-19", "libc++-19-dev"),
)
#: Part of every cache key; to be raised when a command line of this file changes.
RECIPE = "4"
#: Compilations at a time: as many as the small machines of continuous integration have cores.
JOBS = 2

#: The processor that kernels and the runtime are compiled for; AVX2 and FMA carry the matrix products.
MACHINE = ("-march=x86-64-v3",)

#: Metal's address spaces as real types, which clang has in the device half of SYCL; code is generated for the host.
LANGUAGE = (
    "-std=c++17",
    *("-Xclang", "-fsycl-is-device", "-Xclang", "-aux-triple", "-Xclang", "x86_64-pc-linux-gnu"),
    # Each operation of half and bfloat rounds.
    *("-Xclang", "-ffloat16-excess-precision=none", "-Xclang", "-fbfloat16-excess-precision=none"),
    "-ffp-contract=on",
    "-fno-math-errno",
    "-fno-trapping-math",
    *MACHINE,
)


class Flavour(Enum):
    """The ways in which the shim is compiled."""

    PLAIN = "plain"
    INSTRUMENTED = "instrumented"  #: reports accesses and events
    STRICT = "strict"  #: is only checked, never run

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the compiler's flags that the shim and the kernels of this flavour share."""
        if self is Flavour.STRICT:
            return (*LANGUAGE, "-DMETALSIM_STRICT")
        # A tail call would leave findings without the line of the kernel's last barrier.
        common = (*LANGUAGE, "-O2", "-g1", "-fPIC", "-fvisibility=hidden", "-fno-plt", "-fno-optimize-sibling-calls")
        if self is Flavour.INSTRUMENTED:
            # Names of values are for messages; vectorised accesses would not be those of the source.
            names = ("-DMETALSIM_INSTRUMENTED", "-fno-discard-value-names")
            return (*common, *names, "-fno-vectorize", "-fno-slp-vectorize")
        return common


def program(name: str) -> str:
    """Return the path of a program of LLVM 19, for instance ``clang++``."""
    path = shutil.which(f"{name}-19")
    if path is None:
        raise ToolchainError(
            f"metalsim needs {name}-19, which is not on PATH: run `apt-get install {' '.join(DEBIAN_PACKAGES)}` "
            "(Debian 12 or newer)."
        )
    return path


def install() -> None:
    """Install Debian's packages of clang and LLVM where they are missing and this user may.

    Raises:
        ToolchainError: if it may not, or there is no apt-get; it says what to run.
    """
    programs = ("clang++-19", "llvm-config-19", "ld64.lld-19")
    if all(map(shutil.which, programs)) and address_sanitizer().is_file() and libcxx_headers().is_dir():
        return
    packages = " ".join(DEBIAN_PACKAGES)
    advice = f"run `apt-get install {packages}` as root (Debian 12 or newer), then try again."
    if shutil.which("apt-get") is None:
        raise ToolchainError(
            f"metalsim needs clang-19 and LLVM 19 with headers, and this system has no apt-get: install {packages}."
        )
    elevate = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if elevate and subprocess.run([*elevate, "true"], capture_output=True, check=False).returncode != 0:
        raise ToolchainError(
            f"metalsim needs clang-19 and LLVM 19 with headers, and this user may not install them: {advice}"
        )
    progress(f"installing {packages} (about 600 MB)")
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *DEBIAN_PACKAGES],
    ):
        run([*elevate, *environment, *command], f"`{' '.join(command[:2])}`")


def run(command: Sequence[str | Path], what: str) -> str:
    """Run a command to its end and return what it wrote to standard output; a failure is a ToolchainError with its errors."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{what} failed:\n{done.stderr.strip()[-4000:]}")
    return done.stdout


@functools.cache
def compiler_version() -> str:
    """Return the compiler's version, a part of every cache key."""
    return run([program("clang++"), "--version"], "asking clang++-19 for its version").splitlines()[0]


@functools.cache
def llvm_headers() -> Path:
    """Return the folder of LLVM's and clang's C++ headers."""
    folder = Path(run([program("llvm-config"), "--includedir"], "asking llvm-config-19 for its headers").strip())
    for header in ("llvm/Passes/PassPlugin.h", "clang/Frontend/FrontendPluginRegistry.h"):
        if not (folder / header).is_file():
            raise ToolchainError(
                f"metalsim needs {header}, which is not in {folder}: run `apt-get install {' '.join(DEBIAN_PACKAGES)}`."
            )
    return folder


def address_sanitizer() -> Path:
    """Return the library of AddressSanitizer, to be preloaded by a program that is not compiled for it; it may be missing."""
    question = [program("clang++"), "-print-file-name=libclang_rt.asan-x86_64.so"]
    return Path(run(question, "asking clang++-19 for AddressSanitizer").strip())


def libcxx_headers() -> Path:
    """Return the folder of libc++'s headers, which code for macOS is compiled with; it may be missing."""
    prefix = run([program("llvm-config"), "--prefix"], "asking llvm-config-19 for its folder")
    return Path(prefix.strip()) / "include" / "c++" / "v1"


def progress(message: str) -> None:
    """Tell the user what takes long, on standard error."""
    print(f"metalsim: {message}", file=sys.stderr, flush=True)


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (NATIVE / folder).glob("*.cpp"))


def _key(*folders: str) -> str:
    folders_files = (path for folder in folders for path in (NATIVE / folder).rglob("*") if path.is_file())
    files = [*NATIVE.glob("*.h"), *folders_files]
    return cache.digest(compiler_version(), cache.digest_files(files), RECIPE)


def _compile_all(sources: Sequence[Path], flags: Sequence[str | Path], output: Path) -> None:
    """Compile sources, JOBS at a time, and link them to a shared library."""
    clang = program("clang++")

    def compile_one(source: Path) -> Path:
        target = output.with_name(f"{source.parent.name}_{source.stem}.o")
        run(
            [clang, "-std=c++17", "-fPIC", *flags, "-c", source, "-o", target],
            f"compiling {source.relative_to(PACKAGE)}",
        )
        return target

    with ThreadPoolExecutor(JOBS) as pool:
        objects = list(pool.map(compile_one, sources))
    run([clang, "-shared", "-Wl,-Bsymbolic", *objects, "-o", output, "-lpthread", "-ldl"], f"linking {output.name}")
    for path in objects:
        path.unlink()


@functools.cache
def runtime_library() -> Path:
    """Return the shared library that runs, checks and counts kernels."""

    def build(folder: Path) -> None:
        progress("compiling the runtime")
        flags = ["-O3", "-g", *MACHINE, "-fno-plt", "-Wall", "-Wextra"]
        _compile_all(_sources("runtime", "checker"), flags, folder / "libmetalsim.so")

    return cache.entry("native", _key("runtime", "checker"), build) / "libmetalsim.so"


def _plugin(folder_name: str) -> Path:
    def build(folder: Path) -> None:
        progress(f"compiling the {folder_name} plugin")
        flags: list[str | Path] = ["-O0", "-fno-rtti", "-isystem", llvm_headers(), "-D_GNU_SOURCE"]
        flags += ["-D__STDC_CONSTANT_MACROS", "-D__STDC_LIMIT_MACROS", "-D__STDC_FORMAT_MACROS"]
        _compile_all(_sources(folder_name), flags, folder / f"{folder_name}.so")

    return cache.entry("native", _key(folder_name), build) / f"{folder_name}.so"


@functools.cache
def instrument_plugin() -> Path:
    """Return the LLVM pass plugin that every kernel is compiled with."""
    return _plugin("instrument")


@functools.cache
def strict_plugin() -> Path:
    """Return the clang plugin that refuses what Apple's compiler refuses."""
    return _plugin("strict")


@functools.cache
def air_plugin() -> Path:
    """Return the LLVM pass plugin that lowers Apple's AIR."""
    return _plugin("air")


@functools.cache
def shim_key() -> str:
    """Return a name for the content of the shim."""
    files = [*NATIVE.glob("*.h"), *(path for path in SHIM.rglob("*") if path.is_file() and path.suffix != ".pyc")]
    return cache.digest(compiler_version(), cache.digest_files(files), RECIPE)


@functools.cache
def shim_folder() -> Path:
    """Return a folder with a copy of the shim, and of the headers that ``shim/generate.py`` writes in ``generated``.

    A precompiled header is good only as long as the times of the files that it was made of stay the same, which those of a
    checkout do not.
    """

    def build(folder: Path) -> None:
        shutil.copytree(SHIM, folder / "shim")
        (folder / "native").mkdir()
        for header in NATIVE.glob("*.h"):
            shutil.copy(header, folder / "native")
        (folder / "generated").mkdir()
        run([sys.executable, SHIM / "generate.py", folder / "generated"], "generating the shim's tables")

    return cache.entry("shim", shim_key(), build)


@functools.cache
def shim_includes() -> tuple[str, ...]:
    """Return the flags with which the shim's headers find each other."""
    return ("-I", str(shim_folder() / "generated"))


@functools.cache
def precompiled_shim(flavour: Flavour) -> Path:
    """Return the shim as a precompiled header, to be given with ``-include-pch``."""

    def build(folder: Path) -> None:
        command: list[str | Path] = [program("clang++"), *flavour.flags, *SHIM_WARNINGS, *shim_includes()]
        header = shim_folder() / "shim" / "metalsim.h"
        output = folder / "metalsim.pch"
        run([*command, "-x", "c++-header", header, "-o", output], f"compiling the shim ({flavour.value})")

    return cache.entry("precompiled_shim", cache.digest(shim_key(), *flavour.flags), build) / "metalsim.pch"


#: Kernels are other people's code; what is wrong with it the strict pass says.
SHIM_WARNINGS = ("-Wno-everything", "-Werror=vla", "-Werror=vla-cxx-extension")


def build_everything() -> None:
    """Build all native parts, so that the first kernel does not wait for them."""
    with ThreadPoolExecutor(JOBS) as pool:
        parts = [runtime_library, strict_plugin, instrument_plugin, air_plugin]
        pending = [pool.submit(part) for part in parts]
        pending += [pool.submit(precompiled_shim, flavour) for flavour in Flavour]
        for result in pending:
            result.result()
