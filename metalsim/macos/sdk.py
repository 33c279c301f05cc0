"""What an Apple SDK is to the compiler and to the linker: headers, and the names that the system's libraries have.

Headers of the C library, of Objective-C's runtime and of dispatch are Apple's own, from its open sources, as the ziglang
wheel carries them. Those of the frameworks are metalsim's (apple/frameworks). libc++'s are Debian's, told to keep to what the
oldest macOS has.

A name is taken to be in one of Apple's libraries only if the libraries of one version of torch, which are for macOS 14 and
newer, import it from there, or if apple_symbols.txt says why it is.
"""

import functools
import os
from collections import defaultdict
from pathlib import Path

from metalsim import cache, toolchain
from metalsim.errors import ToolchainError
from metalsim.macos import packages, torch_wheel

HERE = Path(__file__).parent
FRAMEWORKS = toolchain.PACKAGE / "apple" / "frameworks"
SYMBOLS = HERE / "apple_symbols.txt"

#: Part of every cache key; to be raised when what this file writes changes.
RECIPE = "1"

#: The version of torch whose imports show what Apple's libraries have; it is for macOS 14.
EVIDENCE = "2.13.0"

_ZIGLANG = "ziglang==0.17.1"
_DARWIN = "ziglang/lib/libc/include/any-darwin-any/"

#: Libraries whose names a program may use that links only to the first: Apple's re-exports.
_REEXPORTS = {
    "/System/Library/Frameworks/Foundation.framework/Versions/C/Foundation": (
        "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
        "/usr/lib/libobjc.A.dylib",
    )
}


@functools.cache
def darwin_headers() -> Path:
    """Return the folder of Apple's open headers."""

    def build(folder: Path) -> None:
        packages.unpack_wheel(_ZIGLANG, 101, folder, wanted=lambda name: name.startswith(_DARWIN))

    return cache.entry("macos_sdk", f"darwin-{cache.digest(_ZIGLANG, _DARWIN)[:8]}", build) / _DARWIN


@functools.cache
def libcxx_headers() -> tuple[Path, Path]:
    """Return the folders of libc++'s headers: its configuration for Apple's systems, and Debian's package."""
    folder = toolchain.libcxx_headers()
    site = folder / "__config_site"
    if not site.is_file():
        raise ToolchainError(
            f"the check for macOS needs libc++'s headers, not in {folder}: run `apt-get install libc++-19-dev`."
        )
    # Apple's libc++ says since which macOS it has a function; Debian's leaves that out.
    text = site.read_text().replace("#define _LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS", "")

    def build(place: Path) -> None:
        (place / "__config_site").write_text(text)

    return cache.entry("macos_sdk", f"libcxx-{cache.digest(text)[:8]}", build), folder


@functools.cache
def compile_flags(frameworks: Path = FRAMEWORKS) -> tuple[str, ...]:
    """Return what the compiler is told beside the words of setup.py: the system, and where its headers are.

    Args:
        frameworks: the folder of the frameworks' headers.
    """
    compiler = toolchain.run([toolchain.program("clang++"), "-print-resource-dir"], "asking clang++-19 for its headers")
    folders = (*libcxx_headers(), Path(compiler.strip()) / "include", darwin_headers(), frameworks)
    return (
        "--target=arm64-apple-darwin",
        *("-nostdinc++", "-nostdlibinc"),
        *(word for folder in folders for word in ("-isystem", str(folder))),
        # Apple's newest math.h takes them from a header of a compiler newer than clang 19.
        *("-DINFINITY=__builtin_inff()", '-DNAN=__builtin_nanf("")'),
    )


@functools.cache
def key() -> str:
    """Return a name for everything that compile_flags() stands for."""
    frameworks = cache.digest_files(path for path in FRAMEWORKS.rglob("*") if path.is_file())
    folders = (*libcxx_headers(), darwin_headers())
    return cache.digest(toolchain.compiler_version(), frameworks, *map(str, folders), RECIPE)


def _known_symbols() -> list[tuple[str, str]]:
    """Return library and symbol of each line of apple_symbols.txt."""
    rows = (line.split() for line in SYMBOLS.read_text().splitlines() if line and not line.startswith("#"))
    return [(words[0], words[1]) for words in rows]


def _stub(library: str, symbols: set[str]) -> str:
    """Return the text-based stub of a library (TBD version 4)."""
    prefix = "_OBJC_CLASS_$_"
    classes = sorted(name.removeprefix(prefix) for name in symbols if name.startswith(prefix))
    others = sorted(name for name in symbols if not name.startswith((prefix, "_OBJC_METACLASS_$_")))
    lines = ["--- !tapi-tbd", "tbd-version: 4", "targets: [ arm64-macos ]", f"install-name: '{library}'"]
    if library in _REEXPORTS:
        names = ", ".join(f"'{name}'" for name in _REEXPORTS[library])
        lines += ["reexported-libraries:", "  - targets: [ arm64-macos ]", f"    libraries: [ {names} ]"]
    lines += ["exports:", "  - targets: [ arm64-macos ]"]
    lines += [f"    symbols: [ {', '.join(repr(name) for name in others)} ]"] if others else []
    lines += [f"    objc-classes: [ {', '.join(repr(name) for name in classes)} ]"] if classes else []
    return "\n".join([*lines, "...", ""])


def _places(library: str) -> list[str]:
    """Return where the linker looks for a library's stub: under its own name, and under that of its newest version."""
    if library.endswith(".dylib"):
        name = library.removesuffix(".dylib")
        return [f"{name}.tbd", f"{os.path.dirname(library)}/{os.path.basename(library).split('.')[0]}.tbd"]
    framework, name = library.split("/Versions/")[0], os.path.basename(library)
    return [f"{library}.tbd", f"{framework}/{name}.tbd"]


@functools.cache
def linker_root() -> Path:
    """Return a folder with stubs of Apple's libraries, in the places that an SDK has them in."""
    names = defaultdict(set)
    for library, symbol in (*torch_wheel.get(EVIDENCE).apple_symbols(), *_known_symbols()):
        names[library].add(symbol)

    def build(folder: Path) -> None:
        for library, symbols in names.items():
            for place in _places(library):
                path = folder / place.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_stub(library, symbols))

    parts = [f"{library} {' '.join(sorted(symbols))}" for library, symbols in sorted(names.items())]
    return cache.entry("macos_sdk", f"libraries-{cache.digest(*parts, RECIPE)[:16]}", build)
