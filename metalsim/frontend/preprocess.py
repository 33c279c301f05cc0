"""The C preprocessor as Apple's compiler runs it: Metal's predefined macros, no headers of the system.

`#include <metal_stdlib>` and its like find headers of metalsim/shim/stage1, which define macros only. The library itself
comes in when the translated text is compiled, so what is translated is the user's code and nothing else.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from metalsim import toolchain
from metalsim.errors import CompileError, Diagnostic, ValidationError
from metalsim.frontend.words import words

#: Headers that hold macros only.
STAGE1 = Path(__file__).resolve().parent.parent / "shim" / "stage1"
_VERSION = re.compile(r"([2-4])\.(\d)")
_OLDEST = (2, 4)
_FIRST_WITH_BFLOAT = (3, 1)
_FIRST_WITH_CXX17 = 4
_DIAGNOSTIC = re.compile(r"^(.*?):(\d+):(\d+): (fatal error|error|warning|note): (.*)$", re.MULTILINE)

# What clang defines for the machine it runs on, and Apple's compiler does not.
_UNDEFINED = words(
    """
    __linux__ __linux linux __gnu_linux__ __unix__ __unix unix __ELF__ __x86_64__ __x86_64 __amd64__ __amd64 __aarch64__
    __ARM_ARCH __SSE__ __SSE2__ __MMX__ __SIZEOF_INT128__ __k8 __k8__
    """
)
# Of C++17, and those that it takes from C; the latter exist with `.h` instead of the `c` in front, too.
_STANDARD_HEADERS = words(
    """
    algorithm any array atomic bitset charconv chrono codecvt complex condition_variable deque exception execution
    filesystem forward_list fstream functional future initializer_list iomanip ios iosfwd iostream istream iterator limits
    list locale map memory memory_resource mutex new numeric optional ostream queue random ratio regex scoped_allocator set
    shared_mutex sstream stack stdexcept streambuf string string_view strstream system_error thread tuple type_traits
    typeindex typeinfo unordered_map unordered_set utility valarray variant vector
    cassert ccomplex cctype cerrno cfenv cfloat cinttypes ciso646 climits clocale cmath csetjmp csignal cstdalign cstdarg
    cstdbool cstddef cstdint cstdio cstdlib cstring ctgmath ctime cuchar cwchar cwctype
    """
)
_MISSING = re.compile(r"'([\w/.]+)' file not found")
_HEADER_RULE = "metal-standard-header"
_HEADER_SECTION = '6.1 "Namespace and Header Files"'

# The pragmas in which clang expands macros, and only where it compiles: `-E` leaves them as they are.
_LOOP_PRAGMA = re.compile(r"^#pragma (?:unroll|clang loop)\b.*", re.MULTILINE)
_LOOP_WORDS = words("pragma clang loop unroll unroll_count full enable disable")
_MARK = "metalsim_loop_pragma"

_DEFINED = {"__METAL__": 1, "__METAL_MACOS__": 1, "__AIR64__": 1, "__APPLE__": 1, "__APPLE_CC__": 6000}

#: Macros that the compiler defines.
PREDEFINED = ("__METAL_VERSION__", *_DEFINED)


def _version(language_version: str) -> tuple[int, int]:
    match = _VERSION.fullmatch(language_version)
    version = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
    if version < _OLDEST:
        raise ValidationError(
            f"language_version must be a version of Metal from '2.4' on, such as '3.1', but is {language_version!r}"
        )
    return version


def _definitions(defines: Mapping[str, object]) -> list[str]:
    """Command line arguments for macros; a value of True or None defines an empty-valued switch as 1, as clang does."""
    arguments = []
    for name, value in defines.items():
        if value is None or value is True:
            arguments.append(f"-D{name}=1")
        elif value is False:
            arguments.append(f"-D{name}=0")
        else:
            arguments.append(f"-D{name}={value}")
    return arguments


def preprocess(
    path: str | Path, include_dirs: Sequence[str | Path], defines: Mapping[str, object], language_version: str
) -> str:
    """Preprocesses a Metal file.

    Args:
        path: The file.
        include_dirs: Folders in which `#include` looks, after that of the file.
        defines: Macros: name to value; True is 1 and False is 0.
        language_version: Of the Metal language, "2.4" to "4.0". Up to 3.2 it is based on C++14, then on C++17.

    Returns:
        The text without comments and directives, with line markers.

    Raises:
        CompileError: The preprocessor reports an error, such as a header that does not exist. One of the C++ standard
            library has a rule and a section of the specification, as the strict pass's findings have.
        ToolchainError: clang is not installed.
        ValidationError: `language_version` is none.
    """
    major, minor = _version(language_version)
    standard = "c++17" if major >= _FIRST_WITH_CXX17 else "c++14"
    command = [toolchain.program("clang++"), "-E", "-x", "c++", f"-std={standard}", "-nostdinc", "-nostdinc++"]
    command += ["-fno-caret-diagnostics", "-Wno-everything", f"-D__METAL_VERSION__={major * 100 + minor * 10}"]
    command += [f"-U{name}" for name in sorted(_UNDEFINED)]
    bfloat = {"__HAVE_BFLOAT__": 1} if (major, minor) >= _FIRST_WITH_BFLOAT else {}
    command += _definitions(_DEFINED | bfloat | dict(defines))
    command += [f"-I{STAGE1}", *(f"-I{folder}" for folder in include_dirs), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompileError(
            f"{path}: the preprocessor failed", _diagnostics(done.stderr) or [_unplaced(path, done.stderr)]
        )
    return _expand_loop_pragmas(done.stdout, command)


def _expand_loop_pragmas(text: str, command: Sequence[str | Path]) -> str:
    """Expand macros in what `#pragma unroll (N)` and its like say, of which a preprocessed text has kept no definition.

    Args:
        text: what `command` has written.
        command: of the preprocessor.
    """
    pragmas = _LOOP_PRAGMA.findall(text)
    if all(_LOOP_WORDS.issuperset(re.findall(r"[A-Za-z_]\w*", pragma)) for pragma in pragmas):
        return text
    # The same text with its macros' definitions in it, and the pragmas as tokens: preprocessed once more.
    with_macros = subprocess.run([*command, "-dD"], capture_output=True, text=True, check=True).stdout
    marked = _LOOP_PRAGMA.sub(lambda pragma: f"{_MARK} {pragma[0][1:]}", with_macros)
    again = [toolchain.program("clang++"), "-E", "-P", "-x", "c++", "-undef", "-nostdinc", "-Wno-everything", "-"]
    expanded = subprocess.run(again, input=marked, capture_output=True, text=True, check=True).stdout
    found = iter(re.findall(rf"^{_MARK} (.*)$", expanded, re.MULTILINE))
    return _LOOP_PRAGMA.sub(lambda _: f"#{next(found)}", text)


def _diagnostics(errors: str) -> list[Diagnostic]:
    found = [match.groups() for match in _DIAGNOSTIC.finditer(errors)]
    return [_diagnostic(file, int(line), int(column), severity, text) for file, line, column, severity, text in found]


def _diagnostic(file: str, line: int, column: int, severity: str, text: str) -> Diagnostic:
    """One error of the preprocessor; that there is no such file is a rule of Metal for a header of standard C++."""
    missing = _MISSING.fullmatch(text)
    if missing is None or not _is_standard_header(missing.group(1)):
        return Diagnostic(file, line, column, severity, text)
    message = (
        f"'{missing.group(1)}' is a header of the C++ standard library, which Metal does not have; "
        "include <metal_stdlib> and use namespace metal"
    )
    return Diagnostic(file, line, column, "error", message, _HEADER_RULE, _HEADER_SECTION)


def _is_standard_header(name: str) -> bool:
    return name in _STANDARD_HEADERS or (name.endswith(".h") and f"c{name[:-2]}" in _STANDARD_HEADERS)


def _unplaced(path: str | Path, errors: str) -> Diagnostic:
    lines = [line for line in errors.splitlines() if "error" in line] or errors.splitlines() or ["no message"]
    return Diagnostic(str(path), 1, 1, "error", lines[0])
