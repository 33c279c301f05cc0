"""Building the device's libraries, and Objective-C++ host code that is to run on it.

Everything is compiled by clang for its macOS object ABI, against the headers in ``metalsim/apple``, and kept in the cache
under the content of its sources.
"""

import functools
import os
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from metalsim import cache, toolchain

APPLE = toolchain.PACKAGE / "apple"

#: Part of every cache key; to be raised when a command line of this file changes.
RECIPE = "2"

#: Objective-C as clang compiles it for macOS 14, with metalsim's runtime in place of Apple's.
OBJECTIVE_CPP = ("-x", "objective-c++", "-fobjc-runtime=macosx-14.0", "-fblocks")

_WARNINGS = ("-Wall", "-Wextra", "-Wno-unused-parameter")


@dataclass(frozen=True)
class DeviceLibraries:
    """The three libraries of the device, in the order in which they are loaded."""

    metal: Path  #: Objective-C's runtime, Foundation and Metal; knows neither torch nor Python
    bridge: Path  #: Python module that brings metalsim's compiler and checks to Metal
    mps: Path  #: torch's MPS backend


@functools.cache
def torch_folder() -> Path:
    """Return the folder of the installed torch package."""
    import torch

    return Path(torch.__file__).parent


def headers() -> tuple[str, ...]:
    """Return the flags with which host code finds Apple's headers."""
    linux = APPLE / "linux"
    return ("-I", str(APPLE / "frameworks"), "-I", str(linux), "-include", str(linux / "darwin.h"))


def torch_headers() -> tuple[str, ...]:
    """Return the flags with which host code finds torch's headers."""
    include = torch_folder() / "include"
    folders = (include, include / "torch" / "csrc" / "api" / "include", Path(sysconfig.get_path("include")))
    return (*(word for folder in folders for word in ("-isystem", str(folder))), "-Wno-deprecated-declarations")


def _sanitizer(sanitize: bool) -> tuple[str, ...]:
    return ("-fsanitize=address", "-shared-libasan", "-fno-omit-frame-pointer") if sanitize else ()


def compile_command(
    source: Path, target: Path, *, torch: bool, arc: bool = False, sanitize: bool = False, flags: Sequence[str] = ()
) -> list[str | Path]:
    """Return the command that compiles one file of host code.

    Args:
        source: C++ (.cpp), Objective-C++ (.mm), C (.c) or assembly (.S).
        target: the object file.
        torch: whether it includes torch's headers.
        arc: automatic reference counting.
        sanitize: compile for AddressSanitizer.
        flags: more of the compiler's flags.
    """
    common: list[str | Path] = ["-O1", "-g1", "-fPIC", "-fvisibility=hidden", *_sanitizer(sanitize)]
    if source.suffix in (".c", ".S"):
        return [toolchain.program("clang"), *common, "-c", source, "-o", target]
    language = [*OBJECTIVE_CPP, *(["-fobjc-arc"] if arc else [])] if source.suffix == ".mm" else []
    includes = [*headers(), *(torch_headers() if torch else ())]
    return [
        *(toolchain.program("clang++"), "-std=c++20", *common, *_WARNINGS, *includes, *flags, *language),
        *("-c", source, "-o", target),
    ]


def link_command(
    objects: Iterable[Path],
    target: Path,
    libraries: Iterable[Path],
    *,
    sanitize: bool = False,
    is_program: bool = False,
    flags: Sequence[str] = (),
) -> list[str | Path]:
    """Return the command that links object files to a shared library, or to a program; every symbol must be defined."""
    command: list[str | Path] = [toolchain.program("clang++"), *_sanitizer(sanitize)]
    command += [] if is_program else ["-shared", "-Wl,--no-undefined", f"-Wl,-soname,{target.name}"]
    command += [*objects, "-o", target]
    for library in libraries:
        command += [library, f"-Wl,-rpath,{library.parent}"]
    return [*command, *flags, "-lpthread", "-ldl"]


def torch_libraries() -> list[Path]:
    """Return the libraries of torch that host code links against."""
    return [torch_folder() / "lib" / name for name in ("libtorch_cpu.so", "libc10.so")]


def _units(folder_name: str, scratch: Path) -> list[Path]:
    """Return what to compile of a folder of native sources: few files, each of which includes many.

    Most of the time would otherwise go into reading the same headers again. Objective-C++ and C++ stay apart, so that both
    cores have work. So does a file of base classes: where clang sees a class before the implementation of its superclass,
    and that later, it takes for constant an offset that it has computed without the superclass's instance variables.
    """
    folder = toolchain.NATIVE / folder_name
    alone = [path for path in (folder / "objects.mm", *folder.glob("*.S")) if path.exists()]
    units = []
    for suffix in (".mm", ".cpp"):
        sources = sorted(path for path in folder.glob(f"*{suffix}") if path not in alone)
        if sources:
            unit = scratch / f"{folder_name}{suffix}"
            unit.write_text("".join(f'#include "{source}"\n' for source in sources))
            units.append(unit)
    return [*units, *alone]


@functools.cache
def _source_key() -> str:
    native = toolchain.NATIVE
    folders = [native / name for name in ("objc", "foundation", "metal", "bridge", "mps")] + [APPLE]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return cache.digest_files([*files, *native.glob("*.h"), *(native / "runtime").glob("*.h")])


def _torch_key() -> str:
    import torch

    return f"{torch.__version__} {torch_folder()} {sysconfig.get_config_var('SOABI')}"


@dataclass(frozen=True)
class _Part:
    """A library of the device and what it is made of."""

    name: str
    folders: tuple[str, ...]
    needs_torch: bool


_PARTS = (
    # The longest compilations first.
    _Part("libmetalsim_mps.so", ("mps",), needs_torch=True),
    _Part("_bridge.so", ("bridge",), needs_torch=True),
    _Part("libmetalsim_metal.so", ("objc", "foundation", "metal"), needs_torch=False),
)

#: Registers a library's classes and selectors with the runtime; part of every library with Objective-C.
IMAGE = toolchain.NATIVE / "objc" / "image.c"


def _compile_device(folder: Path, sanitize: bool) -> None:
    """Compile all parts side by side, then link them in the order of their dependences."""
    objects: dict[str, list[Path]] = {}
    jobs: list[Callable[[], str]] = []
    scratch: list[Path] = []
    for part in _PARTS:
        units = [unit for name in part.folders for unit in _units(name, folder)]
        scratch += [unit for unit in units if unit.parent == folder]
        for source in [*units, IMAGE]:
            target = folder / f"{part.name}.{source.name}.o"
            objects.setdefault(part.name, []).append(target)
            command = compile_command(source, target, torch=part.needs_torch, sanitize=sanitize)
            jobs.append(functools.partial(toolchain.run, command, f"compiling {source.name} of the mps device"))
    with ThreadPoolExecutor(toolchain.JOBS) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()

    metal = folder / "libmetalsim_metal.so"
    needs: dict[str, tuple[list[Path], list[str]]] = {
        "libmetalsim_metal.so": ([toolchain.runtime_library()], []),
        # The interpreter has Python's symbols; no library need be named for them.
        "_bridge.so": ([metal], ["-Wl,--unresolved-symbols=ignore-all"]),
        "libmetalsim_mps.so": (
            [metal, *torch_libraries(), torch_folder() / "lib" / "libtorch_python.so"],
            ["-Wl,--unresolved-symbols=ignore-all"] if sanitize else [],
        ),
    }
    for name in ("libmetalsim_metal.so", "_bridge.so", "libmetalsim_mps.so"):
        libraries, flags = needs[name]
        command = link_command(objects[name], folder / name, libraries, sanitize=sanitize, flags=flags)
        toolchain.run([*command, "-Wl,-rpath,$ORIGIN"], f"linking {name}")
    for path in [*scratch, *(path for paths in objects.values() for path in paths)]:
        path.unlink()


@functools.cache
def device_libraries(*, sanitize: bool | None = None) -> DeviceLibraries:
    """Return the device's libraries, compiled at the first call.

    Args:
        sanitize: compile them for AddressSanitizer; by default if METALSIM_SANITIZE=1.
    """
    sanitized = os.environ.get("METALSIM_SANITIZE") == "1" if sanitize is None else sanitize

    def build(folder: Path) -> None:
        toolchain.progress("compiling the mps device (half a minute)")
        _compile_device(folder, sanitized)

    parts = (
        toolchain.compiler_version(),
        _source_key(),
        _torch_key(),
        str(toolchain.runtime_library()),
        str(sanitized),
    )
    folder = cache.entry("device", cache.digest(*parts, RECIPE), build)
    return DeviceLibraries(folder / "libmetalsim_metal.so", folder / "_bridge.so", folder / "libmetalsim_mps.so")


def host_library(
    name: str,
    sources: Sequence[Path],
    *,
    torch: bool = True,
    arc: bool = False,
    include_dirs: Sequence[Path] = (),
    depends: Sequence[Path] = (),
    flags: Sequence[str] = (),
    is_program: bool = False,
    sanitize: bool | None = None,
) -> Path:
    """Compile host code for the device, an extension of torch for instance, and return its shared library.

    Args:
        name: of the library's file, without a suffix.
        sources: C++ and Objective-C++ files.
        torch: whether they use torch; else only Metal and Foundation are linked.
        arc: automatic reference counting in the Objective-C++ files.
        include_dirs: folders of their headers (.h), which are part of the cache's key.
        depends: more files that they include.
        flags: more of the compiler's flags.
        is_program: link a program instead.
        sanitize: as in :func:`device_libraries`.
    """
    libraries = device_libraries(sanitize=sanitize)
    sanitized = os.environ.get("METALSIM_SANITIZE") == "1" if sanitize is None else sanitize
    included = [*depends, *(path for folder in include_dirs for path in sorted(folder.rglob("*.h")))]
    key = cache.digest(
        str(libraries.mps), cache.digest_files([*sources, *included]), *flags, str((torch, arc, is_program))
    )
    file = name if is_program else f"{name}.so"

    def build(folder: Path) -> None:
        objects = []
        jobs = []
        more = [*flags, *(word for include in include_dirs for word in ("-I", str(include)))]
        for source in [*sources, IMAGE]:
            objects.append(folder / f"{source.name}.o")
            command = compile_command(source, objects[-1], torch=torch, arc=arc, sanitize=sanitized, flags=more)
            jobs.append(functools.partial(toolchain.run, command, f"compiling {source.name}"))
        with ThreadPoolExecutor(toolchain.JOBS) as pool:
            for done in [pool.submit(job) for job in jobs]:
                done.result()
        linked = [libraries.metal, toolchain.runtime_library(), *([libraries.mps, *torch_libraries()] if torch else [])]
        command = link_command(objects, folder / file, linked, sanitize=sanitized, is_program=is_program)
        toolchain.run(command, f"linking {file}")
        for path in objects:
            path.unlink()

    return cache.entry("host", cache.digest(key, RECIPE), build) / file
