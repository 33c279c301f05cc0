"""Metal source whose kernels are compiled for NVIDIA GPUs: metalsim.Library's counterpart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import metalsim
from metalsim import compiler as cpu_compiler
from metalsim.compiler import ConstantValue
from metalsim.cuda import compiler
from metalsim.cuda.image import Products
from metalsim.cuda.launch import Pipeline
from metalsim.errors import ValidationError
from metalsim.frontend import FunctionConstant, KernelParameter


def compile(
    source_or_path: str | Path,
    include_dirs: Sequence[str | Path] = (),
    defines: Mapping[str, object] | None = None,
    language_version: str = "3.1",
    *,
    strict: bool = True,
) -> "Library":
    """Compile Metal source for NVIDIA GPUs; arguments and errors are those of :func:`metalsim.compile`."""
    return Library(metalsim.compile(source_or_path, include_dirs, defines, language_version, strict=strict))


class Library:
    """The kernels of a Metal source, for NVIDIA GPUs.

    Attributes:
        source: the library that has them for the CPU.
    """

    def __init__(self, source: metalsim.Library) -> None:
        self.source = source

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """Return the host names of the kernels, in the order of the source."""
        return self.source.kernel_names

    @property
    def function_constants(self) -> dict[str, int]:
        """Return the function constants' indices by name."""
        return self.source.function_constants

    @property
    def constants(self) -> tuple[FunctionConstant, ...]:
        """Return the function constants as the source declares them."""
        return self.source.constants

    def parameters(self, name: str) -> tuple[KernelParameter, ...]:
        """Return the parameters of a kernel as its source has them."""
        return self.source.parameters(name)

    def pipeline(
        self,
        name: str,
        constants: Mapping[int | str, ConstantValue] | None = None,
        *,
        products: Products = "exact",
        threads: int | None = None,
        machine_code: bool = False,
    ) -> Pipeline:
        """Compile one kernel with values for its function constants. Needs no GPU.

        Args:
            name: host name of the kernel.
            constants: values by index or name.
            products: how simdgroup matrices are multiplied. "exact": in fp32, in the order of the CPU's runtime, through
                shuffles. "tensor": on tensor cores, half and bfloat as they are, everything that has a float operand as tf32.
            threads: the most threads of a threadgroup that it will be launched with; None: what the kernel declares.
            machine_code: run ptxas here, so that a driver need not compile PTX.

        Raises:
            ValidationError: for an unknown kernel or constant, a constant without a value that the kernel uses, a function
                that is missing here, or more than 32 KiB of threadgroup memory.
            CompileError: if the kernel does not compile with these constants.
            ToolchainError: if clang-19 is missing, or ptxas where machine code is asked for.
        """
        if products not in ("exact", "tensor"):
            raise ValidationError(f'products must be "exact" or "tensor", but is {products!r}')
        if threads is not None and not 1 <= threads <= 1024:
            raise ValidationError(f"threads must be 1 to 1024, the threads of a threadgroup, but is {threads}")
        declaration = self.source.declaration(name)
        values = cpu_compiler.resolve_constants(self.source.source, constants or {})
        image = compiler.build(self.source.source, declaration, values, products, threads)
        pipeline = Pipeline(image).validated()
        return Pipeline(compiler.assemble(image)) if machine_code else pipeline
