"""clang-19 for NVIDIA GPUs: from translated Metal to PTX, and with ptxas, where there is one, to machine code.

The translation and the shim are those that the CPU's kernels are compiled with; ``device/`` defines the runtime's functions
in place. Function constants are folded in the same way.
"""

import functools
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from metalsim import cache, compiler, toolchain
from metalsim.compiler import ConstantValue, Source
from metalsim.cuda.image import ENTRY, Image, Products
from metalsim.cuda.ptx import read_description, static_shared_bytes, undefined_functions, used_buffers
from metalsim.errors import ToolchainError, ValidationError
from metalsim.frontend import KernelDeclaration
from metalsim.library import Argument
from metalsim.native import BUFFER

DEVICE_HEADERS = Path(__file__).parent.resolve() / "device"

#: Of Hopper. Its PTX runs on later GPUs, too.
ARCHITECTURE = "sm_90"

FLAGS = (
    *("--target=nvptx64-nvidia-cuda", f"-march={ARCHITECTURE}"),
    *("-Xclang", "-target-feature", "-Xclang", "+ptx78"),
    "-std=c++17",
    # Metal's address spaces as real types: on this target they are global and shared memory.
    *("-Xclang", "-fsycl-is-device", "-Xclang", "-aux-triple", "-Xclang", "x86_64-pc-linux-gnu"),
    *("-Xclang", "-ffloat16-excess-precision=none", "-Xclang", "-fbfloat16-excess-precision=none"),
    *("-ffp-contract=on", "-fno-math-errno", "-fno-trapping-math"),
    # As Apple's compiler does for PyTorch and MLX, and metalsim's runtime.
    *("-Xclang", "-fdenormal-fp-math-f32=preserve-sign"),
    *("-O3", "-nostdinc++"),
    # Calls that stay would keep tiles of registers in memory.
    *("-mllvm", "-inline-threshold=100000"),
)


@functools.cache
def _headers(products: Products) -> Path:
    """Return a folder with ``device/`` and a copy of the shim, for the reason that toolchain.shim_folder() gives."""
    headers = [
        path for path in DEVICE_HEADERS.glob("*.h") if products == "tensor" or not path.name.startswith("tensor")
    ]
    key = cache.digest(toolchain.shim_key(), cache.digest_files(headers))

    def build(folder: Path) -> None:
        shutil.copytree(toolchain.shim_folder(), folder / "shim")
        (folder / "device").mkdir()
        for header in headers:
            shutil.copy(header, folder / "device")

    return cache.entry("cuda_shim", key, build)


@functools.cache
def _layouts_plugin() -> Path:
    """Return the LLVM pass plugin that removes moves between Metal's lanes and those of tensor cores."""
    source = Path(__file__).parent.resolve() / "lowering" / "layouts.cpp"

    def build(folder: Path) -> None:
        toolchain.progress("compiling the plugin for tensor cores")
        command: list[str | Path] = [toolchain.program("clang++"), "-std=c++17", "-O1", "-fPIC", "-shared", "-fno-rtti"]
        command += ["-isystem", toolchain.llvm_headers(), "-D_GNU_SOURCE", "-D__STDC_CONSTANT_MACROS"]
        command += ["-D__STDC_LIMIT_MACROS", "-D__STDC_FORMAT_MACROS", source, "-o", folder / "layouts.so"]
        toolchain.run(command, f"compiling {source.relative_to(toolchain.PACKAGE)}")

    key = cache.digest(toolchain.compiler_version(), cache.digest_files([source]))
    return cache.entry("cuda_plugin", key, build) / "layouts.so"


@functools.cache
def _flags(products: Products) -> tuple[str, ...]:
    resources = toolchain.run(
        [toolchain.program("clang++"), "-print-resource-dir"], "asking clang++-19 for its folder"
    ).strip()
    return (
        *FLAGS,
        f"-DMETALSIM_CUDA_TENSOR={int(products == 'tensor')}",
        *toolchain.SHIM_WARNINGS,
        *("-isystem", f"{resources}/include"),
        *("-I", str(_headers(products)), "-I", str(_headers(products) / "shim" / "generated")),
    )


@functools.cache
def _precompiled(products: Products) -> Path:
    def build(folder: Path) -> None:
        header = _headers(products) / "device" / "metalsim_cuda.h"
        command = [toolchain.program("clang++"), *_flags(products), "-x", "c++-header", str(header)]
        toolchain.run([*command, "-o", folder / "metalsim_cuda.pch"], f"compiling the shim for CUDA ({products})")

    key = cache.digest(_headers(products).name, toolchain.compiler_version(), *_flags(products))
    return cache.entry("precompiled_cuda_shim", key, build) / "metalsim_cuda.pch"


def build(
    source: Source,
    kernel: KernelDeclaration,
    values: Mapping[int, ConstantValue],
    products: Products,
    threads: int | None = None,
) -> Image:
    """Compile one kernel with its constants to PTX.

    Args:
        source: translated Metal.
        kernel: of the source.
        values: function constants by index.
        products: how simdgroup matrices are multiplied, "exact" or "tensor".
        threads: the most threads of a threadgroup that it will be launched with; None: what the kernel declares, else 1024.
            The fewer they are, the more registers each has.

    Raises:
        CompileError: if clang refuses it with these constants.
        ValidationError: if it uses a function constant that has no value, or a function that is missing here.
    """
    defines, declarations = compiler.constant_defines(source, values)
    for other in source.translation.kernels.values():
        macro = "METALSIM_EXPORT_KERNEL(__VA_ARGS__)" if other.number == kernel.number else ""
        defines[f"METALSIM_KERNEL_{other.number}(...)"] = macro
    text = "\n".join([compiler.prelude(source, defines), *declarations, source.translation.text])

    passes = [f"-fpass-plugin={_layouts_plugin()}"] if products == "tensor" else []

    def compile_to(folder: Path) -> None:
        unit = folder / "kernel.cpp"
        unit.write_text(text)
        command = [toolchain.program("clang++"), *_flags(products), "-ferror-limit=50", "-fno-caret-diagnostics"]
        command += [
            "-include-pch",
            str(_precompiled(products)),
            *passes,
            "-S",
            str(unit),
            "-o",
            str(folder / "kernel.ptx"),
        ]
        compiler.run_clang(command, source, f"compiling kernel '{kernel.name}' for CUDA")
        unit.unlink()

    folder = cache.entry("ptx", cache.digest(str(_precompiled(products)), *passes, text), compile_to)
    # clang-19 asks for a flush to zero of bfloat arithmetic, which has none (PTX ISA, add.bf16).
    ptx = re.sub(r"\.ftz(\.bf16)", r"\1", (folder / "kernel.ptx").read_text())
    _refuse_undefined(kernel, source, ptx)
    return _image(kernel, values, products, threads, ptx)


def _refuse_undefined(kernel: KernelDeclaration, source: Source, ptx: str) -> None:
    functions = undefined_functions(ptx)
    missing = [int(name.removeprefix(compiler.MISSING)) for name in functions if name.startswith(compiler.MISSING)]
    if missing:
        names = [f"'{c.name}' (index {c.index})" for c in source.translation.constants.values() if c.index in missing]
        raise ValidationError(
            f"kernel '{kernel.name}' uses the function constants {', '.join(names)}, which have no value: "
            f"pass constants={{{missing[0]}: ...}} to pipeline()"
        )
    if functions:
        names = [name.removeprefix("metalsim_cuda_lacks_") for name in functions]
        raise ValidationError(
            f"kernel '{kernel.name}' uses {', '.join(names)}, which metalsim.cuda does not have: "
            "run it on the CPU by metalsim.compile(), or add the function to metalsim/cuda/device/functions.h"
        )


def _image(
    kernel: KernelDeclaration,
    values: Mapping[int, ConstantValue],
    products: Products,
    threads: int | None,
    ptx: str,
) -> Image:
    max_threads, described = read_description(ptx)
    if threads is not None:
        max_threads = min(max_threads, threads)
    used = used_buffers(ptx)
    arguments = []
    for parameter, words in zip(kernel.parameters, described, strict=True):
        if parameter.kind not in ("buffer", "threadgroup_memory"):
            continue
        is_touched = words.binding in used if words.kind == BUFFER else True
        arguments.append(
            Argument(
                words.kind,
                words.binding,
                parameter.name,
                words.size,
                words.alignment,
                words.is_reference,
                words.is_writable,
                words.is_enabled and is_touched,
            )
        )
    # What ptxas may count on when it deals out registers.
    limited = re.sub(rf"(\.entry {ENTRY}\([^)]*\)\n)", rf"\1.maxntid {max_threads}, 1, 1\n", ptx, count=1)
    return Image(
        kernel.name, dict(values), products, tuple(arguments), static_shared_bytes(ptx), max_threads, limited.encode()
    )


def assemble(image: Image) -> Image:
    """Return an image with machine code in place of PTX, by ptxas.

    A GPU's driver compiles PTX by itself when it loads it, which takes a second or more each time.

    Raises:
        ToolchainError: if there is no ptxas on PATH, or it refuses the PTX.
    """
    if not image.is_ptx:
        return image
    program = shutil.which("ptxas")
    if program is None:
        raise ToolchainError(
            "metalsim.cuda needs ptxas to make machine code, which is not on PATH: install NVIDIA's CUDA compiler "
            "(pip install nvidia-cuda-nvcc), or leave the code PTX"
        )

    def build_to(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "kernel.ptx"
            path.write_bytes(image.code)
            command: list[str | Path] = [program, f"-arch={ARCHITECTURE}", "-v", path, "-o", folder / "kernel.cubin"]
            toolchain.run(command, f"ptxas on kernel '{image.name}'")

    version = toolchain.run([program, "--version"], "asking ptxas for its version")
    folder = cache.entry("cubin", cache.digest(image.code, version), build_to)
    return image.with_code((folder / "kernel.cubin").read_bytes())
