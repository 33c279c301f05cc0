"""Compiled Metal source, and kernels of it that are ready to run: Metal's MTLLibrary and MTLComputePipelineState."""

import ctypes
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from metalsim import compiler, native, toolchain
from metalsim.bindings import check_declared_memory
from metalsim.buffers import Buffer
from metalsim.compiler import ConstantValue
from metalsim.dispatch import Run, Schedule, run_dispatch
from metalsim.errors import CompileError, ValidationError
from metalsim.frontend import FunctionConstant, KernelDeclaration, KernelParameter
from metalsim.toolchain import Flavour

#: What diagnostics call source text that is in no file.
PROGRAM_SOURCE = "program_source"


def compile(
    source_or_path: str | Path,
    include_dirs: Sequence[str | Path] = (),
    defines: Mapping[str, object] | None = None,
    language_version: str = "3.1",
    *,
    strict: bool = True,
) -> "Library":
    """Compile Metal source.

    Args:
        source_or_path: a path, or the source itself (a str with a line break or with a brace).
        include_dirs: folders in which ``#include`` looks, after the including file's own.
        defines: preprocessor macros; a value of None defines an empty one.
        language_version: of the Metal Shading Language, as in ``-std=metal3.1``.
        strict: refuse what Apple's compiler would refuse.

    Raises:
        CompileError: with the file's own lines, for all its kernels.
        FileNotFoundError: if there is no such file.
    """
    folders = [Path(folder).resolve() for folder in include_dirs]
    macros = dict(defines or {})
    if isinstance(source_or_path, str) and ("\n" in source_or_path or "{" in source_or_path):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "program_source.metal"
            path.write_text(source_or_path)
            source = compiler.load(path, PROGRAM_SOURCE, folders, macros, language_version)
    else:
        path = Path(source_or_path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no Metal source file {str(path)!r}")
        source = compiler.load(path, str(path), folders, macros, language_version)
    if strict:
        compiler.check(source)
    elif source.translation.findings:
        first = source.translation.findings[0]
        raise CompileError(f"{first.file}:{first.line}: {first.message}")
    return Library(source)


class Library:
    """The kernels of a Metal source."""

    def __init__(self, source: compiler.Source) -> None:
        self.source = source

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """Return the host names of the kernels, in the order of the source."""
        return tuple(self.source.translation.kernels)

    @property
    def function_constants(self) -> dict[str, int]:
        """Return the function constants' indices by name."""
        return {constant.name: constant.index for constant in self.constants}

    @property
    def constants(self) -> tuple[FunctionConstant, ...]:
        """Return the function constants as the source declares them."""
        return tuple(self.source.translation.constants.values())

    def parameters(self, name: str) -> tuple[KernelParameter, ...]:
        """Return the parameters of a kernel as its source has them."""
        return self.declaration(name).parameters

    def declaration(self, name: str) -> KernelDeclaration:
        """Return what the source says of a kernel, or raise a ValidationError with the names that it has."""
        declaration = self.source.translation.kernels.get(name)
        if declaration is None:
            known = ", ".join(repr(kernel) for kernel in self.kernel_names) or "none"
            raise ValidationError(f"{self.source.path} has no kernel {name!r}; it has {known}")
        return declaration

    def pipeline(
        self, name: str, constants: Mapping[int | str, ConstantValue] | None = None, *, instrumented: bool = False
    ) -> "Pipeline":
        """Compile one kernel with values for its function constants.

        Args:
            name: host name of the kernel.
            constants: values by index or name.
            instrumented: compile what checks and counts need, and the rest only if a dispatch without them comes.

        Raises:
            ValidationError: for an unknown kernel or constant, a constant without a value that the kernel uses, or a kernel
                that needs more than 32 KiB of threadgroup memory.
            CompileError: if the kernel does not compile with these constants.
        """
        return self.unvalidated_pipeline(name, constants, instrumented=instrumented).validated()

    def unvalidated_pipeline(
        self, name: str, constants: Mapping[int | str, ConstantValue] | None = None, *, instrumented: bool = False
    ) -> "Pipeline":
        """Compile one kernel as :meth:`pipeline` does, for callers that check its threadgroup memory themselves."""
        declaration = self.declaration(name)
        values = compiler.resolve_constants(self.source, constants or {})

        def build(flavour: Flavour) -> Path:
            return compiler.build(self.source, declaration, values, instrumented=flavour is Flavour.INSTRUMENTED)

        return Pipeline(name, build, Flavour.INSTRUMENTED if instrumented else Flavour.PLAIN)

    def pipelines(
        self, requests: Sequence[str | tuple[str, Mapping[int | str, ConstantValue]]], *, instrumented: bool = False
    ) -> "list[Pipeline]":
        """Compile several pipelines on all cores: names, or pairs of a name and constants, as for :meth:`pipeline`.

        Args:
            requests: which.
            instrumented: compile what checks and counts need, too.
        """
        toolchain.build_everything()

        def build(request: str | tuple[str, Mapping[int | str, ConstantValue]]) -> Pipeline:
            pipeline = self.pipeline(request) if isinstance(request, str) else self.pipeline(*request)
            if instrumented:
                pipeline.prepare_checks()
            return pipeline

        with ThreadPoolExecutor(toolchain.JOBS) as pool:
            return list(pool.map(build, requests))


@dataclass(frozen=True)
class Argument:
    """A parameter of a kernel that a dispatch binds."""

    kind: int  #: native.BUFFER or native.THREADGROUP_MEMORY_ARGUMENT
    index: int
    name: str
    size: int
    alignment: int
    is_reference: bool
    is_writable: bool
    is_used: bool  #: false where the compiled code does not touch it, or a function constant turns it off


class Pipeline:
    """A kernel that is ready to run.

    Attributes:
        name: host name of the kernel.
    """

    def __init__(self, name: str, build: Callable[[Flavour], Path], described_by: Flavour = Flavour.PLAIN) -> None:
        self.name = name
        self._build = build
        self._described_by = described_by  # any of them says the same about the kernel
        self._libraries: dict[Flavour, tuple[ctypes.CDLL, native.Kernel]] = {}

    def validated(self) -> "Pipeline":
        """Return the pipeline itself, or raise a ValidationError if its variables need too much threadgroup memory."""
        check_declared_memory(self.name, self.static_threadgroup_memory_length)
        return self

    def kernel(self, flavour: Flavour) -> native.Kernel:
        """Return the kernel as the runtime knows it, compiled and loaded at the first call."""
        if flavour not in self._libraries:
            native.library()
            loaded = ctypes.CDLL(str(self._build(flavour)), mode=ctypes.RTLD_LOCAL)
            self._libraries[flavour] = (loaded, native.Kernel.in_dll(loaded, "metalsim_kernel"))
        return self._libraries[flavour][1]

    def prepare_checks(self) -> None:
        """Compile what ``check`` and ``count`` need, instead of at their first use."""
        self.kernel(Flavour.INSTRUMENTED)

    @property
    def static_threadgroup_memory_length(self) -> int:
        """Return the bytes of the kernel's own threadgroup variables."""
        return int(self.kernel(self._described_by).threadgroup_bytes[0])

    @property
    def max_total_threads_per_threadgroup(self) -> int:
        """Return the most threads that a threadgroup may have; what registers would allow on a GPU is not known here."""
        return int(self.kernel(self._described_by).max_threads_per_threadgroup)

    @property
    def thread_execution_width(self) -> int:
        """Return the threads of a simdgroup."""
        return native.SIMD_WIDTH

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """Return the buffers and threadgroup memory that a dispatch binds."""
        kernel = self.kernel(self._described_by)
        used = int(kernel.used_buffers[0])
        found = []
        for argument in kernel.arguments[: kernel.argument_count]:
            is_buffer = argument.kind == native.BUFFER
            if is_buffer or argument.kind == native.THREADGROUP_MEMORY_ARGUMENT:
                touched = bool(used >> argument.index & 1) if is_buffer else True
                found.append(
                    Argument(
                        argument.kind,
                        argument.index,
                        argument.name.decode(),
                        argument.size,
                        argument.alignment,
                        argument.is_reference,
                        argument.is_writable,
                        argument.is_enabled and touched,
                    )
                )
        return tuple(found)

    def dispatch(
        self,
        threadgroups: Sequence[int] | None = None,
        threads_per_threadgroup: Sequence[int] = (1, 1, 1),
        buffers: Mapping[int, Buffer] | None = None,
        threadgroup_memory: Mapping[int, int] | None = None,
        check: bool = False,
        *,
        threads: Sequence[int] | None = None,
        count: bool | str = False,
        schedule: Schedule | Sequence[Schedule] = "forward",
        workers: int | None = None,
    ) -> Run:
        """Run the kernel. What it writes is in the buffers when the call returns, unless it raises.

        Args:
            threadgroups: threadgroups of the grid in x, y, z.
            threads_per_threadgroup: threads of a threadgroup in x, y, z.
            buffers: by index of ``[[buffer(n)]]``: a numpy array, a CPU tensor (its storage, at its storage offset, as on
                MPS), a pair of one of these and an offset in bytes, or bytes, which cannot be written.
            threadgroup_memory: bytes by index of ``[[threadgroup(n)]]``.
            check: report accesses out of bounds, reads of what was never written, races and divergence.
            threads: in place of threadgroups, the threads of the grid; threadgroups at its edges may be smaller.
            count: collect ``Run.counts``; "lines" for each line of the source as well. ``check`` counts too.
            schedule: the order of threadgroups and simdgroups: "forward", "reversed", or an int that seeds a random one. Of
                several, each runs on the same input, and their results must be equal bit by bit.
            workers: threads of this machine, by default one for each core. Checks and counts use one.

        Raises:
            ValidationError: before anything runs, for what Metal's own validation would refuse.
            OutOfBoundsError, UninitializedReadError, RaceError, DivergenceError: with ``check``; nothing is written then.
            OutOfBoundsError: also without ``check``, for an access so far outside that it leaves all buffers.
            OrderDependenceError: if schedules differ.
        """
        return run_dispatch(
            self,
            threadgroups=threadgroups,
            threads=threads,
            threads_per_threadgroup=threads_per_threadgroup,
            buffers=buffers or {},
            threadgroup_memory=threadgroup_memory or {},
            check=check,
            count=count,
            schedule=schedule,
            workers=workers,
        )
