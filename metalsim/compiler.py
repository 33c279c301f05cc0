"""From translated Metal to shared libraries: every clang command line of kernels, and what its messages mean."""

import functools
import pickle
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metalsim import cache, frontend, toolchain
from metalsim.errors import CompileError, Diagnostic, ToolchainError, ValidationError
from metalsim.frontend import FunctionConstant, KernelDeclaration, Translation
from metalsim.toolchain import Flavour

ConstantValue = bool | int | float

_DIAGNOSTIC = re.compile(
    r"^(?P<file>[^\n:]+):(?P<line>\d+):(?P<column>\d+): (?P<severity>error|fatal error): (?P<message>.*?)"
    r"(?: \[(?P<rule>metal-[\w-]+), MSL (?P<section>[^\]]+)\])?$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Source:
    """A Metal file after the front end: C++ in the shim's words."""

    path: str  #: as diagnostics name it
    language_version: str
    translation: Translation

    @property
    def key(self) -> str:
        """Return a name for the content, of which every compiled thing's name is made."""
        return cache.digest(self.language_version, self.translation.text, toolchain.shim_key())


@functools.cache
def _frontend_key() -> str:
    return cache.digest_files((toolchain.PACKAGE / "frontend").rglob("*.py"))


def load(path: Path, name: str, include_dirs: Sequence[Path], defines: Mapping[str, object], version: str) -> Source:
    """Preprocess and translate a Metal file.

    Args:
        path: the file.
        name: what diagnostics call it.
        include_dirs: folders of its includes.
        defines: macros.
        version: of the Metal language, "3.1".

    Raises:
        CompileError: if it is not understood.
    """
    text = frontend.preprocess(path, include_dirs, defines, version)
    if name != str(path):
        text = text.replace(f'"{path}"', f'"{name}"')

    def build(folder: Path) -> None:
        (folder / "translation.pickle").write_bytes(pickle.dumps(frontend.translate(text)))

    folder = cache.entry("translation", cache.digest(text, _frontend_key()), build)
    translation: Translation = pickle.loads((folder / "translation.pickle").read_bytes())
    return Source(name, version, translation)


def prelude(source: Source, defines: Mapping[str, str]) -> str:
    """Return the lines that define a source's language version and macros, to stand before its translation."""
    version = round(float(source.language_version) * 100)
    lines = [f"#define METALSIM_LANGUAGE_VERSION {version}"]
    lines += [f"#define {name} {value}" for name, value in defines.items()]
    return "\n".join(lines) + "\n"


def _diagnostics(errors: str) -> list[Diagnostic]:
    found = []
    for match in _DIAGNOSTIC.finditer(errors):
        fields = match.groupdict()
        found.append(
            Diagnostic(
                fields["file"],
                int(fields["line"]),
                int(fields["column"]),
                fields["severity"],
                fields["message"],
                fields["rule"],
                fields["section"],
            )
        )
    return found


def run_clang(command: Sequence[str | Path], source: Source, what: str) -> None:
    """Run the compiler; its errors become a CompileError with the Metal file's own lines."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    diagnostics = _diagnostics(done.stderr)
    if not diagnostics:
        # Not the source's fault: clang or a plugin broke down.
        raise ToolchainError(f"{source.path}: {what} broke down:\n{done.stderr.strip()[-4000:]}")
    raise CompileError(f"{source.path}: {what} failed with {len(diagnostics)} errors", diagnostics)


def _command(flavour: Flavour) -> list[str | Path]:
    return [
        toolchain.program("clang++"),
        *flavour.flags,
        *toolchain.SHIM_WARNINGS,
        "-ferror-limit=50",
        "-fno-caret-diagnostics",
        *toolchain.shim_includes(),
        "-include-pch",
        toolchain.precompiled_shim(flavour),
    ]


def check(source: Source) -> None:
    """Refuse what Apple's compiler refuses, for all kernels of a source. What was accepted once is not checked again.

    Raises:
        CompileError: with the rule and the section of Apple's specification.
    """
    findings = [
        Diagnostic(f.file, f.line, f.column, "error", f.message, f.rule, f.section) for f in source.translation.findings
    ]
    if findings:
        raise CompileError(f"{source.path}: the strict pass failed with {len(findings)} errors", findings)
    plugin = toolchain.strict_plugin()

    def build(folder: Path) -> None:
        _run_strict_pass(source, folder, plugin)

    cache.entry("strict", cache.digest(source.key, *Flavour.STRICT.flags, str(plugin)), build)


def _run_strict_pass(source: Source, folder: Path, plugin: Path, *arguments: str) -> None:
    defines = {f"METALSIM_CONSTANT_{constant.index}": "1" for constant in source.translation.constants.values()}
    defines |= {f"METALSIM_CONSTANT_DEFINED_{c.index}": "1" for c in source.translation.constants.values()}
    for kernel in source.translation.kernels.values():
        defines[f"METALSIM_KERNEL_{kernel.number}(...)"] = "METALSIM_INSTANTIATE_KERNEL(__VA_ARGS__)"
    text = folder / "strict.cpp"
    text.write_text(prelude(source, defines) + source.translation.text)
    words = [word for argument in arguments for word in ("-Xclang", "-plugin-arg-metalsim-strict", "-Xclang", argument)]
    command = [*_command(Flavour.STRICT), "-fsyntax-only", f"-fplugin={plugin}", *words, text]
    run_clang(command, source, "the strict pass")
    text.unlink()


def uses(source: Source) -> str:
    """Return what the strict pass sees a source use of Metal, as native/strict/uses.h describes it.

    Raises:
        CompileError: as :func:`check`.
    """
    plugin = toolchain.strict_plugin()

    def build(folder: Path) -> None:
        _run_strict_pass(source, folder, plugin, f"uses={folder / 'uses.txt'}")

    folder = cache.entry("uses", cache.digest(source.key, *Flavour.STRICT.flags, str(plugin)), build)
    return (folder / "uses.txt").read_text()


def _value(constant: FunctionConstant, value: ConstantValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"({value})"
    if isinstance(value, float):
        return f"({float(value)!r}f)"
    raise ValidationError(
        f"function constant '{constant.name}' (index {constant.index}, {constant.type}) must be a bool, an int or a float, "
        f"but is {value!r}"
    )


def resolve_constants(source: Source, constants: Mapping[int | str, ConstantValue]) -> dict[int, ConstantValue]:
    """Return the constants' values by index.

    Raises:
        ValidationError: if one is unknown, or given twice.
    """
    by_name = source.translation.constants
    by_index = {constant.index: constant for constant in by_name.values()}
    values: dict[int, ConstantValue] = {}
    for key, value in constants.items():
        constant = by_name.get(key) if isinstance(key, str) else by_index.get(int(key))
        if constant is None:
            known = (
                ", ".join(f"{c.index} ('{c.name}')" for c in sorted(by_name.values(), key=lambda c: c.index)) or "none"
            )
            raise ValidationError(f"{source.path} has no function constant {key!r}; it has {known}")
        if constant.index in values:
            raise ValidationError(
                f"function constant '{constant.name}' is given by its name and by its index {constant.index}"
            )
        values[constant.index] = value
    return values


def constant_defines(source: Source, values: Mapping[int, ConstantValue]) -> tuple[dict[str, str], list[str]]:
    """Return the macros of all function constants, and declarations for those without a value.

    One without a value is a call of a function that exists nowhere. Where the kernel does not use it the optimiser drops the
    call; what is left shows up as an undefined symbol (see :func:`missing_constants`).
    """
    defines: dict[str, str] = {}
    declarations: list[str] = []
    for constant in source.translation.constants.values():
        index = constant.index
        defines[f"METALSIM_CONSTANT_DEFINED_{index}"] = "1" if index in values else "0"
        if index in values:
            defines[f"METALSIM_CONSTANT_{index}"] = _value(constant, values[index])
        else:
            defines[f"METALSIM_CONSTANT_{index}"] = f"{MISSING}{index}()"
            declarations.append(f'extern "C" __attribute__((const)) int {MISSING}{index}(void);')
    return defines, declarations


#: Begins the name of the function that stands for a function constant without a value; its index follows.
MISSING = "metalsim_constant_without_value_"


def build(
    source: Source, kernel: KernelDeclaration, values: Mapping[int, ConstantValue], *, instrumented: bool
) -> Path:
    """Compile one kernel with its constants to a shared library and return its path.

    Raises:
        CompileError: if clang refuses it with these constants.
        ValidationError: if it uses a function constant that has no value.
    """
    flavour = Flavour.INSTRUMENTED if instrumented else Flavour.PLAIN
    plugin = toolchain.instrument_plugin()
    defines, declarations = constant_defines(source, values)
    for other in source.translation.kernels.values():
        macro = "METALSIM_EXPORT_KERNEL(__VA_ARGS__)" if other.number == kernel.number else ""
        defines[f"METALSIM_KERNEL_{other.number}(...)"] = macro
    text = "\n".join([prelude(source, defines), *declarations, source.translation.text])

    def compile_to(folder: Path) -> None:
        unit = folder / "kernel.cpp"
        unit.write_text(text)
        command = [
            *_command(flavour),
            *instrumentation_flags(plugin, flavour),
            "-shared",
            unit,
            "-o",
            folder / "kernel.so",
        ]
        run_clang(command, source, f"compiling kernel '{kernel.name}'")
        unit.unlink()

    folder = cache.entry("pipeline", cache.digest(source.key, text, *flavour.flags, str(plugin)), compile_to)
    missing = missing_constants(folder / "kernel.so")
    if missing:
        names = [f"'{c.name}' (index {c.index})" for c in source.translation.constants.values() if c.index in missing]
        raise ValidationError(
            f"kernel '{kernel.name}' uses the function constants {', '.join(names)}, which have no value: "
            f"pass constants={{{missing[0]}: ...}} to pipeline()"
        )
    return folder / "kernel.so"


def instrumentation_flags(plugin: Path, flavour: Flavour) -> list[str]:
    """Return the flags that load the LLVM passes: reflection always, instrumentation where the flavour asks for it."""
    if flavour is Flavour.INSTRUMENTED:
        return [f"-fpass-plugin={plugin}", f"-fplugin={plugin}", "-mllvm", "-metalsim-instrument"]
    return [f"-fpass-plugin={plugin}"]


def missing_constants(library: Path) -> list[int]:
    """Return the indices of the function constants without a value that a kernel's library still uses."""
    symbols = toolchain.run(
        [toolchain.program("llvm-nm"), "-D", "--undefined-only", library], "reading a library's symbols"
    )
    return sorted(int(match) for match in re.findall(rf"{MISSING}(\d+)", symbols))
