"""Compiles and links the extension for macOS with the commands that setup.py would run there.

clang-19, which is what Apple's clang 17 is made of, takes the place of the Mac's compiler and lld that of its linker. What is
added to setup.py's words says where an SDK is, and makes errors of warnings that a Mac's build would let pass. One word is
replaced: a Mac's Python has extensions linked with `-undefined dynamic_lookup`, which defers every missing symbol to the
user's machine; here only Python's own are.
"""

import ctypes
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from metalsim import cache, toolchain
from metalsim.errors import MetalsimError
from metalsim.macos import sdk
from metalsim.macos.plan import Call, Plan, source_of
from metalsim.macos.sources import Included, included
from metalsim.macos.torch_wheel import TorchWheel

#: Part of every cache key; to be raised when a command line of this file changes.
RECIPE = "1"

PLATFORM_VERSION = Path(__file__).with_name("platform_version.c")

#: Headers of others are theirs to keep free of warnings.
_FOREIGN = ("ATen/", "c10/", "torch/", "caffe2/", "pybind11/", "Python.h")

#: What the compiler says of our own files counts as an error; what a Mac's build is told to be silent about does not.
STRICTNESS = (
    "-Werror",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wunguarded-availability",
    "-Wundeclared-selector",
    "-Wno-unreachable-code",
    *(f"--system-header-prefix={prefix}" for prefix in _FOREIGN),
)

#: What clang does of itself since version 19, and torch's libraries do without: they import no sized `operator delete`.
LIKE_TORCH = ("-fno-sized-deallocation",)

#: Torch's largest headers, the largest first. A file that includes one is spared to read the first of them.
PRECOMPILED = ("ATen/Functions.h", "torch/library.h", "ATen/core/Tensor.h")


OURS = (*LIKE_TORCH, *STRICTNESS)


class BuildError(MetalsimError):
    """The extension does not compile or link for macOS; the message is the compiler's or the linker's."""


@dataclass(frozen=True)
class Build:
    """A build's results.

    Attributes:
        objects: the object files, in the order of the plan.
        extension: the linked extension.
    """

    objects: tuple[Path, ...]
    extension: Path


def compiler_words(call: Call) -> list[str]:
    """Return setup.py's words of a compilation without its program and its files."""
    words = list(call.words[1:])
    for flag in ("-MF", "-o", "-c"):
        while flag in words:
            place = words.index(flag)
            # The distutils of some Pythons say -c twice, and the file after the second.
            takes_value = words[place + 1] != flag
            del words[place : place + (2 if takes_value else 1)]
    return [word for word in words if word != "-MMD"]


def compiler_command(call: Call) -> list[str | Path]:
    """Return the command of a compilation without its files: setup.py's words, the SDK, and what is added to both."""
    return [toolchain.program("clang++"), *compiler_words(call), *sdk.compile_flags(), *OURS]


def _environment(call: Call) -> dict[str, str]:
    """Return what the compiler finds in its environment: nothing but the macOS that setup.py asks for."""
    return {"PATH": "/usr/bin:/bin", "MACOSX_DEPLOYMENT_TARGET": call.deployment_target}


def _run(command: Sequence[str | Path], call: Call, what: str) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, env=_environment(call), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # Of a missing symbol one place that refers to it is enough.
        further = re.compile(r"^>>> referenced (?:by .*\n(?=>>> referenced by)|\d+ more times\n)", re.MULTILINE)
        raise BuildError(f"{what}:\n{further.sub('', done.stderr).strip()[:8000]}")


def _without_places(word: str, root: Path, torch: TorchWheel) -> str:
    """Return a word of a command with names in place of folders. Python's environment often lies in the checkout."""
    for place, name in ((sys.prefix, "PYTHON"), (str(root), "ROOT"), (str(torch.folder), "TORCH")):
        word = word.replace(place, name)
    return word


def _key(call: Call, root: Path, torch: TorchWheel, files: Iterable[Path]) -> str:
    """Return a name for everything that a compilation depends on, wherever the checkout is."""
    words = [_without_places(word, root, torch) for word in compiler_words(call)]
    parts = [part for path in sorted(files) for part in (str(path.relative_to(root)), path.read_bytes())]
    return cache.digest(RECIPE, sdk.key(), str(torch.folder), call.deployment_target, *words, *OURS, *parts)


#: A source's suffix, and the language that a precompiled header for it is in.
_HEADER_LANGUAGES = {".cpp": "c++-header", ".mm": "objective-c++-header"}


def _precompiled(call: Call, torch: TorchWheel, header: str) -> Path:
    """Return one of torch's headers as a precompiled one, for the files that are compiled with the words of this call."""
    language = _HEADER_LANGUAGES[source_of(call).suffix]

    def build(folder: Path) -> None:
        command = compiler_command(call)
        # The cache's files keep their content, not their times.
        command += ["-Xclang", "-fno-pch-timestamp", "-fpch-instantiate-templates"]
        command += ["-x", language, torch.folder / "include" / header]
        _run([*command, "-o", folder / "header.pch"], call, f"torch's {header} does not compile for macOS")

    # The checkout's own folder of headers is named by a word, and nothing in it is read.
    words = [word for word in compiler_words(call) if not word.startswith("-I")]
    key = cache.digest(RECIPE, sdk.key(), str(torch.folder), language, header, call.deployment_target, *words, *OURS)
    return cache.entry("macos_precompiled", key, build) / "header.pch"


def own_files(call: Call, root: Path) -> Included:
    """Return what a compilation reads of the checkout, and the names of what it includes of others."""
    folders = [Path(word.removeprefix("-I")) for word in call.words if word.startswith("-I")]
    return included(source_of(call), [folder for folder in folders if folder.is_relative_to(root)])


def compile_one(call: Call, root: Path, torch: TorchWheel) -> Path:
    """Return the object file of one compilation of the plan.

    Raises:
        BuildError: with the compiler's messages.
    """
    source = source_of(call)
    files = own_files(call, root)

    def build(folder: Path) -> None:
        command = compiler_command(call)
        # Only what the file includes anyway: a missing include stays one.
        headers = [name for name in PRECOMPILED if name in files.foreign]
        if headers:
            command += ["-include-pch", _precompiled(call, torch, headers[0])]
        name = source.relative_to(root)
        _run([*command, "-c", source, "-o", folder / "object.o"], call, f"{name} does not compile for macOS")

    return cache.entry("macos_objects", _key(call, root, torch, files.own), build) / "object.o"


def _availability_object(call: Call) -> Path:
    """Return what answers `@available`, which a Mac's compiler brings along."""

    def build(folder: Path) -> None:
        command: list[str | Path] = [toolchain.program("clang"), "-O2", "-g0", *sdk.compile_flags()]
        command += ["-c", PLATFORM_VERSION]
        _run([*command, "-o", folder / "object.o"], call, f"{PLATFORM_VERSION.name} does not compile")

    key = cache.digest(sdk.key(), PLATFORM_VERSION.read_bytes(), call.deployment_target, RECIPE)
    return cache.entry("macos_objects", key, build) / "object.o"


def is_of_python(symbol: str) -> bool:
    """Return whether the running Python, whose headers are compiled with, has a symbol, which C writes with an underscore."""
    return symbol.startswith(("_Py", "__Py")) and hasattr(ctypes.pythonapi, symbol[1:])


def python_symbols(objects: Sequence[Path]) -> set[str]:
    """Return the symbols of Python that object files need."""
    command: list[str | Path] = [toolchain.program("llvm-nm"), "--undefined-only", "--format=just-symbols", *objects]
    symbols = toolchain.run(command, "reading the object files' symbols").split()
    return {symbol for symbol in symbols if is_of_python(symbol)}


def linker_words(call: Call, objects: Sequence[Path], torch: TorchWheel, output: Path) -> list[str | Path]:
    """Return the link of the plan with our files in place of its own, and symbols that must all be found."""
    words = list(call.words[1:])
    place = words.index("-undefined")
    words[place + 1] = "error"
    place = words.index("-o")
    del words[place : place + 2]
    kept = [word for word in words if not word.endswith(".o")]
    # Of the folders of libraries only torch's is one: the others are this machine's.
    kept = [word for word in kept if not word.startswith("-L") or word == f"-L{torch.stubs}"]
    deferred = [f"-Wl,-U,{name}" for name in sorted(python_symbols(objects))]
    system = ["--target=arm64-apple-darwin", "-fuse-ld=lld", "-Wl,--error-limit=0"]
    system += ["-isysroot", str(sdk.linker_root())]
    return [toolchain.program("clang++"), *system, *objects, _availability_object(call), *kept, *deferred, "-o", output]


def build(plan: Plan, root: Path, torch: TorchWheel) -> Build:
    """Compile what is not in the cache, and link.

    Args:
        plan: what setup.py would run.
        root: the folder of setup.py.
        torch: what the plan was made for.

    Raises:
        BuildError: with all that the compiler, or the linker, had to say.
    """

    def outcome(call: Call) -> Path | BuildError:
        try:
            return compile_one(call, root, torch)
        except BuildError as error:
            return error

    with ThreadPoolExecutor(toolchain.JOBS) as pool:
        outcomes = list(pool.map(outcome, plan.compilations))
    failures = [str(result) for result in outcomes if isinstance(result, BuildError)]
    if failures:
        raise BuildError("\n".join(dict.fromkeys(failures)))
    objects = [result for result in outcomes if isinstance(result, Path)]

    def link(folder: Path) -> None:
        command = linker_words(plan.link, objects, torch, folder / "_C.so")
        _run(command, plan.link, "the extension does not link for macOS")

    words = [_without_places(word, root, torch) for word in plan.link.words]
    inputs = [*map(str, objects), str(sdk.linker_root()), str(_availability_object(plan.link))]
    key = cache.digest(RECIPE, sdk.key(), str(torch.folder), plan.link.deployment_target, *words, *inputs)
    return Build(tuple(objects), cache.entry("macos_extensions", key, link) / "_C.so")
