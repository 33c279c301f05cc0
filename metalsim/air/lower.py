"""Makes pipelines of functions in Metal libraries: AIR -> LLVM IR for the host -> a shared library for the runtime.

The work is done by an LLVM pass (native/air/), which this module drives:

    opt-19      the function's bitcode, values of function constants -> IR in which intrinsics are calls of the runtime
    clang++-19  that IR, with the same flags and passes as metalsim's own compilations -> the library
"""

from collections.abc import Mapping
from pathlib import Path

from metalsim import cache, compiler, toolchain
from metalsim.air.metallib import MetalLibrary
from metalsim.compiler import ConstantValue
from metalsim.errors import MetalsimError, ToolchainError, ValidationError
from metalsim.library import Pipeline
from metalsim.toolchain import Flavour

_INTRINSICS = toolchain.NATIVE / "air" / "intrinsics"

#: Kernels and the intrinsics that are linked into them.
_FLAGS = ("-O2", "-fPIC", "-ffp-contract=on", "-fno-math-errno", "-fno-trapping-math", *toolchain.MACHINE)
_INSTRUMENTED_FLAGS = ("-DMETALSIM_INSTRUMENTED", "-fno-vectorize", "-fno-slp-vectorize")

#: How LLVM announces what the pass refuses.
_REFUSAL = "LLVM ERROR: "


def _flags(flavour: Flavour) -> tuple[str, ...]:
    return (*_FLAGS, *_INSTRUMENTED_FLAGS) if flavour is Flavour.INSTRUMENTED else _FLAGS


def intrinsics(flavour: Flavour) -> Path:
    """Return the bitcode that implements the intrinsics of AIR."""
    sources = sorted(_INTRINSICS.glob("*.cpp"))
    files = [toolchain.NATIVE / "abi.h", *_INTRINSICS.iterdir()]
    key = cache.digest(toolchain.compiler_version(), cache.digest_files(files), *_flags(flavour))

    def build(folder: Path) -> None:
        modules = []
        for source in sources:
            module = folder / f"{source.stem}.bc"
            compile_flags = ("-std=c++17", "-emit-llvm", *_flags(flavour), "-c")
            command: list[str | Path] = [toolchain.program("clang++"), *compile_flags, source, "-o", module]
            toolchain.run(command, f"compiling {source.relative_to(toolchain.PACKAGE)}")
            modules.append(module)
        toolchain.run(
            [toolchain.program("llvm-link"), *modules, "-o", folder / "intrinsics.bc"], "linking AIR's intrinsics"
        )
        for module in modules:
            module.unlink()

    return cache.entry("air", key, build) / "intrinsics.bc"


def _constant_text(index: int, value: ConstantValue) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (int, float)):
        return repr(value)
    raise ValidationError(f"function constant {index} must be a bool, an int or a float, but is {value!r}")


def _run_pass(bitcode: Path, name: str, constants: Mapping[int, ConstantValue], flavour: Flavour, output: Path) -> None:
    """Lower a function; what the pass refuses is a MetalsimError."""
    command: list[str | Path] = [
        toolchain.program("opt"),
        "-mtriple=x86_64-pc-linux-gnu",  # opt knows no AIR
        f"-load-pass-plugin={toolchain.air_plugin()}",
        f"-metalsim-air-intrinsics={intrinsics(flavour)}",
        *(
            f"-metalsim-air-constant={index}={_constant_text(index, value)}"
            for index, value in sorted(constants.items())
        ),
        "-passes=metalsim-air-lower,always-inline,globalopt,globaldce",
        bitcode,
        "-o",
        output,
    ]
    try:
        toolchain.run(command, f"lowering '{name}'")
    except ToolchainError as error:
        _, refused, reason = str(error).partition(_REFUSAL)
        if not refused:
            raise
        raise MetalsimError(f"'{name}' cannot be run: {reason.splitlines()[0]}.") from None


def lower(bitcode: bytes, name: str, constants: Mapping[int, ConstantValue], flavour: Flavour) -> Path:
    """Turn a function's AIR into a library like those of :func:`metalsim.compiler.build` and return its path.

    Args:
        bitcode: the function's module.
        name: its name, for messages.
        constants: values of its function constants by index; those that it does not use are ignored.
        flavour: plain, or instrumented for checks and counts.

    Raises:
        MetalsimError: if it uses what is not implemented, or a function constant without a value.
    """
    plugin = toolchain.instrument_plugin()
    values = repr(sorted((index, _constant_text(index, value)) for index, value in constants.items()))
    tools = (toolchain.air_plugin(), intrinsics(flavour), plugin, flavour.value, Path(__file__).read_text())
    key = cache.digest(bitcode, values, *map(str, tools))

    def build(folder: Path) -> None:
        source, lowered = folder / "kernel.air.bc", folder / "kernel.bc"
        source.write_bytes(bitcode)
        _run_pass(source, name, constants, flavour, lowered)
        link(lowered, folder / "kernel.so", flavour)
        source.unlink()
        lowered.unlink()

    return cache.entry("pipeline", key, build) / "kernel.so"


def link(lowered: Path, output: Path, flavour: Flavour) -> None:
    """Compile what the pass made to a library."""
    flags = compiler.instrumentation_flags(toolchain.instrument_plugin(), flavour)
    command = [
        toolchain.program("clang++"),
        *_flags(flavour),
        "-Wno-override-module",
        "-Wno-unused-command-line-argument",
    ]
    toolchain.run([*command, *flags, "-shared", lowered, "-o", output], "compiling lowered AIR")


def pipeline(
    metallib: MetalLibrary | Path | str, name: str, constants: Mapping[int, ConstantValue] | None = None
) -> Pipeline:
    """Make a pipeline of a kernel that Apple's compiler has compiled.

    Args:
        metallib: the library, or its path.
        name: host name of the kernel.
        constants: values of function constants by index.

    Raises:
        MetalsimError: if the library has no such kernel, or it uses what is not implemented.
    """
    library = metallib if isinstance(metallib, MetalLibrary) else MetalLibrary(metallib)
    bitcode = library.bitcode(name)
    values = dict(constants or {})
    return Pipeline(name, lambda flavour: lower(bitcode, name, values, flavour)).validated()
