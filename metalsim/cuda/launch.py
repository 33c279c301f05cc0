"""A kernel for an NVIDIA GPU that is ready to run: metalsim.Pipeline's counterpart."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from metalsim import native
from metalsim.bindings import buffers_of, check_declared_memory, check_threadgroup_memory
from metalsim.buffers import Span, check_span
from metalsim.cuda import driver
from metalsim.cuda.image import ENTRY, Image
from metalsim.errors import ValidationError
from metalsim.library import Argument

if TYPE_CHECKING:
    import torch

Memory: TypeAlias = "torch.Tensor | np.ndarray[Any, Any] | bytes | bytearray"
Buffer: TypeAlias = "Memory | tuple[Memory, int]"

#: Most threadgroups of a grid in y and z (CUDA Programming Guide, "Compute Capabilities"); in x they are 2^31 - 1.
_MAX_THREADGROUPS = (2**31 - 1, 65535, 65535)


class _Parameters(ctypes.Structure):
    """LaunchParameters of device/entry.h."""

    _fields_ = (
        ("buffers", ctypes.c_uint64 * native.MAX_BINDINGS),
        ("threadgroup_memory", ctypes.c_uint32 * native.MAX_BINDINGS),
    )


def _span_of(index: int, buffer: Buffer) -> Span:
    """Return the memory behind one binding. What is not on the GPU yet is copied there, and is read-only.

    Raises:
        ValidationError: if it is nothing that can be bound, or the offset lies outside.
    """
    import torch

    memory, offset = buffer if isinstance(buffer, tuple) else (buffer, 0)
    is_writable = isinstance(memory, torch.Tensor)
    if isinstance(memory, (bytes, bytearray)):
        memory = torch.frombuffer(bytearray(memory) or bytearray(1), dtype=torch.uint8).to("cuda")
    elif isinstance(memory, np.ndarray):
        memory = torch.frombuffer(bytearray(memory.tobytes()) or bytearray(1), dtype=torch.uint8).to("cuda")
    elif not isinstance(memory, torch.Tensor):
        raise ValidationError(
            f"buffer {index} must be a CUDA tensor, bytes, a numpy array, or a pair of one and an offset in bytes, "
            f"but is {type(memory).__name__}"
        )
    if memory.device.type != "cuda":
        raise ValidationError(
            f'buffer {index} must be a CUDA tensor, but is on {memory.device}: move it with .to("cuda")'
        )
    storage = memory.untyped_storage()
    start = int(memory.storage_offset()) * memory.element_size() + offset
    if not 0 <= start <= storage.nbytes():
        raise ValidationError(
            f"buffer {index} is bound at byte {start}, but it has {storage.nbytes()} bytes: "
            "the offset must lie inside of the buffer"
        )
    return Span(storage.data_ptr(), storage.nbytes(), start, is_writable, memory)


def _sizes(what: str, sizes: Sequence[int]) -> tuple[int, int, int]:
    padded = (*(int(size) for size in sizes), 1, 1, 1)[: max(3, len(sizes))]
    if len(padded) != 3 or any(size < 1 for size in padded):
        raise ValidationError(f"{what} must be one to three sizes of at least 1, but is {tuple(sizes)}")
    return padded[0], padded[1], padded[2]


class Launch:
    """A dispatch whose arguments are bound: it can be launched many times, and inside of a CUDA graph."""

    def __init__(
        self,
        function: driver.Function,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        shared_bytes: int,
        parameters: _Parameters,
        owners: Sequence[Any],
    ) -> None:
        self._function = function
        self._grid, self._block, self._shared_bytes = grid, block, shared_bytes
        self._parameters = parameters
        self._owners = owners

    def launch(self) -> None:
        """Put it on torch's current stream, and return at once."""
        self._function.launch(self._grid, self._block, self._shared_bytes, self._parameters)


class Pipeline:
    """A kernel that is ready to run.

    Attributes:
        image: its code, which can be written to a file by :func:`metalsim.cuda.save`.
        name: host name of the kernel.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self.name = image.name
        self._function: driver.Function | None = None

    def validated(self) -> "Pipeline":
        """Return the pipeline itself, or raise a ValidationError if its variables need too much threadgroup memory."""
        check_declared_memory(self.name, self.static_threadgroup_memory_length)
        return self

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """Return the buffers and threadgroup memory that a dispatch binds."""
        return self.image.arguments

    @property
    def static_threadgroup_memory_length(self) -> int:
        """Return the bytes of the kernel's own threadgroup variables."""
        return self.image.static_threadgroup_memory

    @property
    def max_total_threads_per_threadgroup(self) -> int:
        """Return the most threads that a threadgroup may have."""
        return self.image.max_threads

    @property
    def thread_execution_width(self) -> int:
        """Return the threads of a simdgroup."""
        return native.SIMD_WIDTH

    @property
    def function(self) -> driver.Function:
        """Return the loaded code, loaded at the first call.

        Raises:
            ValidationError: if there is no GPU.
        """
        if self._function is None:
            self._function = driver.Function(self.image.code, ENTRY)
        return self._function

    def bind(
        self,
        threadgroups: Sequence[int],
        threads_per_threadgroup: Sequence[int] = (1, 1, 1),
        buffers: Mapping[int, Buffer] | None = None,
        threadgroup_memory: Mapping[int, int] | None = None,
    ) -> Launch:
        """Validate a dispatch and return it; arguments and errors are those of :meth:`dispatch`."""
        grid = _sizes("threadgroups", threadgroups)
        for size, limit, axis in zip(grid, _MAX_THREADGROUPS, "xyz", strict=True):
            if size > limit:
                raise ValidationError(
                    f"threadgroups are {size:,} in {axis}, but an NVIDIA GPU takes {limit:,}: split the dispatch"
                )
        block = _sizes("threads_per_threadgroup", threads_per_threadgroup)
        count, limit = block[0] * block[1] * block[2], self.max_total_threads_per_threadgroup
        if count > limit:
            raise ValidationError(
                f"kernel '{self.name}' allows {limit} threads in a threadgroup, but threads_per_threadgroup is "
                f"{block}, {count} threads"
            )
        parameters = _Parameters()
        shared_bytes = self._place_threadgroup_memory(threadgroup_memory or {}, parameters)
        function = self.function
        owners = self._place_buffers(buffers or {}, parameters)
        return Launch(function, grid, block, shared_bytes, parameters, owners)

    def dispatch(
        self,
        threadgroups: Sequence[int],
        threads_per_threadgroup: Sequence[int] = (1, 1, 1),
        buffers: Mapping[int, Buffer] | None = None,
        threadgroup_memory: Mapping[int, int] | None = None,
    ) -> None:
        """Run the kernel on torch's current stream: like torch's operators, the call does not wait for it.

        Args:
            threadgroups: threadgroups of the grid in x, y, z.
            threads_per_threadgroup: threads of a threadgroup in x, y, z.
            buffers: by index of ``[[buffer(n)]]``: a CUDA tensor (its storage, at its storage offset, as on MPS); bytes or a
                numpy array, which are copied to the GPU and cannot be written; a pair of one of these and an offset in bytes.
            threadgroup_memory: bytes by index of ``[[threadgroup(n)]]``.

        Raises:
            ValidationError: before anything runs, for what Metal's own validation would refuse, and without a GPU.
            RuntimeError: if the driver fails. An access out of bounds may surface there, at a later call.
        """
        self.bind(threadgroups, threads_per_threadgroup, buffers, threadgroup_memory).launch()

    def _place_threadgroup_memory(self, given: Mapping[int, int], parameters: _Parameters) -> int:
        """Write the offsets of each [[threadgroup(n)]], and return the bytes of all."""
        check_threadgroup_memory(self.name, self.arguments, self.static_threadgroup_memory_length, given)
        total = 0
        for index, length in given.items():
            parameters.threadgroup_memory[index] = total
            total += length
        return total

    def _place_buffers(self, buffers: Mapping[int, Buffer], parameters: _Parameters) -> list[Any]:
        """Write the buffers' addresses, and return what must live as long as they do."""
        known = buffers_of(self.name, self.arguments, buffers)
        spans = {index: _span_of(index, buffer) for index, buffer in buffers.items()}
        for argument in known.values():
            if argument.is_used:
                check_span(argument, spans.get(argument.index), self.name)
        for index, span in spans.items():
            parameters.buffers[index] = span.address + span.offset
        return [span.owner for span in spans.values()]
