"""What the software Metal asks of Python: compiling Metal source, and running dispatches that are checked or counted."""

import ctypes
import importlib.util
import itertools
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from metalsim import library, native
from metalsim.buffers import Span
from metalsim.compiler import ConstantValue
from metalsim.dispatch import Grid, run_validated
from metalsim.errors import CompileError, ValidationError
from metalsim.library import Library, Pipeline
from metalsim.mps import observation
from metalsim.mps.build import DeviceLibraries
from metalsim.toolchain import Flavour


@dataclass(frozen=True)
class _Specialised:
    pipeline: Pipeline
    address: int  #: of the abi::Kernel


class CompilerAdapter:
    """metalsim's compiler as native/metal/compiler.h describes one; native/bridge calls its methods.

    Source that does not compile is reported by returning the compiler's text in place of the answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = itertools.count(1)
        self._libraries: dict[int, Library] = {}
        self._kernels: list[_Specialised] = []
        self._known: dict[tuple[Any, ...], int] = {}

    def compile(self, source: str, macros: Sequence[tuple[str, str]], language_version: str) -> int | str:
        """Return a token for a library of this source."""
        if "\n" not in source and "{" not in source:
            source += "\n"  # is source, not a path
        try:
            compiled = library.compile(source, defines=dict(macros), language_version=language_version or "3.1")
        except CompileError as error:
            return str(error)
        with self._lock:
            token = next(self._tokens)
            self._libraries[token] = compiled
        return token

    def release(self, token: int) -> None:
        """Forget a library. Its kernels stay."""
        with self._lock:
            self._libraries.pop(token, None)

    def kernel_names(self, token: int) -> list[str]:
        """Return the host names of a library's kernels."""
        return list(self._libraries[token].kernel_names)

    def function_constants(self, token: int) -> list[tuple[str, int, str]]:
        """Return name, index and type of a library's function constants."""
        return [(c.name, c.index, c.type) for c in self._libraries[token].constants]

    def specialise(
        self, token: int, kernel: str, constants: Mapping[int | str, ConstantValue]
    ) -> tuple[int, int] | str:
        """Return the address of a kernel that was compiled with these constants, and a token for it."""
        source = self._libraries[token]
        declared = {key for constant in source.constants for key in (constant.index, constant.name)}
        # Metal ignores values of constants that the library does not have.
        values = {key: value for key, value in constants.items() if key in declared}
        try:
            pipeline = source.unvalidated_pipeline(kernel, values)
            address = ctypes.addressof(pipeline.kernel(Flavour.PLAIN))
        except (CompileError, ValidationError) as error:
            return str(error)
        with self._lock:
            self._kernels.append(_Specialised(pipeline, address))
            return address, len(self._kernels) - 1

    def run_observed(
        self,
        token: int,
        threads: tuple[int, int, int],
        threadgroup: tuple[int, int, int],
        bindings: Sequence[tuple[int, int, int, int]],
        threadgroup_memory: Sequence[int],
        operator: tuple[int, str],
        counts_products: bool,
    ) -> int:
        """Run a dispatch under the checks and counts that are on; return its matrix products if they are asked for."""
        pipeline = self._kernels[token].pipeline
        spans = {index: Span(address, size, offset, True, None) for index, address, size, offset in bindings}
        wanted = observation.wanted()
        mode = wanted.mode | (native.COUNT if counts_products else 0)
        run = run_validated(pipeline, Grid(threads, threadgroup), threadgroup_memory, spans, mode, wanted.schedules)
        if wanted.mode & native.COUNT:
            observation.record(operator, pipeline.name, run.counts)
        return sum(run.counts.matrix_products.values()) if counts_products else 0


def load(libraries: DeviceLibraries) -> ModuleType:
    """Load the software Metal and give it metalsim's compiler; return the module ``_bridge``."""
    native.library()
    ctypes.CDLL(str(libraries.metal), mode=ctypes.RTLD_GLOBAL)
    spec = importlib.util.spec_from_file_location("metalsim.mps._bridge", libraries.bridge)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[spec.name] = module
    module.set_compiler(CompilerAdapter())
    observation.connect(module.set_observes)
    return module
