"""What a dispatch binds: memory of numpy arrays, tensors and bytes, and guarded copies of it for the time of the dispatch."""

import ctypes
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from metalsim import native
from metalsim.errors import ValidationError

if TYPE_CHECKING:
    import torch

    from metalsim.library import Argument

Memory: TypeAlias = "npt.NDArray[Any] | torch.Tensor | bytes | bytearray"
Buffer: TypeAlias = "Memory | tuple[Memory, int]"


#: What a buffer holds, in stretches by their offset. What is in none is 0.
Contents: TypeAlias = "dict[int, bytes]"

#: Memory of so many bytes is copied page by page, and only the pages that were ever touched: a tensor may have more addresses
#: than the machine has memory.
_SPARSE_BYTES = 64 << 20


@dataclass(frozen=True)
class Span:
    """The memory of a bound buffer, and where in it the kernel starts."""

    address: int
    size: int
    offset: int
    is_writable: bool
    owner: Any  #: keeps the memory alive


def span_of(index: int, buffer: Buffer) -> Span:
    """Return the memory behind one binding.

    Raises:
        ValidationError: if it is nothing that can be bound, or the offset lies outside.
    """
    memory, offset = buffer if isinstance(buffer, tuple) else (buffer, 0)
    if isinstance(memory, (bytes, bytearray)):
        array = np.frombuffer(memory, np.uint8)
        span = Span(array.ctypes.data, array.nbytes, 0, isinstance(memory, bytearray), array)
    elif isinstance(memory, np.ndarray):
        low, high = np.lib.array_utils.byte_bounds(memory) if memory.size else (memory.ctypes.data, memory.ctypes.data)
        span = Span(low, high - low, memory.ctypes.data - low, memory.flags.writeable, memory)
    elif hasattr(memory, "untyped_storage"):
        if memory.device.type != "cpu":
            raise ValidationError(
                f"buffer {index} must be a CPU tensor, but is on {memory.device}: move it with .cpu()"
            )
        storage = memory.untyped_storage()
        start = int(memory.storage_offset()) * memory.element_size()
        span = Span(storage.data_ptr(), storage.nbytes(), start, True, memory)
    else:
        raise ValidationError(
            f"buffer {index} must be a numpy array, a CPU tensor, bytes, or a pair of one and an offset in bytes, "
            f"but is {type(memory).__name__}"
        )
    start = span.offset + offset
    if not 0 <= start <= span.size:
        raise ValidationError(
            f"buffer {index} is bound at byte {start}, but it has {span.size} bytes: the offset must lie inside of the buffer"
        )
    return Span(span.address, span.size, start, span.is_writable, span.owner)


def check_span(argument: "Argument", span: Span | None, kernel: str) -> None:
    """Refuse a binding that does not suit its parameter, as Metal's validation does."""
    what = f"kernel '{kernel}': buffer {argument.index} ('{argument.name}')"
    if span is None:
        raise ValidationError(f"{what} is used by the kernel, but nothing is bound: add it to buffers")
    if span.offset % argument.alignment != 0:
        raise ValidationError(
            f"{what} is bound at byte {span.offset}, but its type needs a multiple of {argument.alignment}: move its data"
        )
    if argument.is_reference and span.size - span.offset < argument.size:
        raise ValidationError(
            f"{what} has {span.size - span.offset} bytes from its offset on, but its type has {argument.size}: "
            "the struct of the host must have the size of the kernel's"
        )
    if argument.is_writable and not span.is_writable:
        raise ValidationError(f"{what} may be written by the kernel, but is read-only: bind a numpy array or a tensor")


class GuardedCopies:
    """Copies of bound memory that end right before a page that may not be touched; overlapping memory has one copy.

    Offsets from the start of a buffer keep their alignment, up to the 16 bytes that the largest vector needs.
    """

    def __init__(self, spans: Mapping[int, Span]) -> None:
        self._spans = dict(spans)
        self._regions = [_Region(low, high) for low, high in _merged(self._spans.values())]

    def bindings(self) -> dict[int, native.Binding]:
        """Return the bindings of the copies by buffer index."""
        return {index: self._region(span).binding(span) for index, span in self._spans.items()}

    def copy_in(self) -> None:
        """Fill the copies from the bound memory."""
        for region in self._regions:
            region.copy_in()

    def copy_back(self, written: Iterable[int]) -> None:
        """Write the copies of some buffers back, by index."""
        for index in written:
            self._region(self._spans[index]).copy_back(self._spans[index])

    def contents(self) -> dict[int, Contents]:
        """Return what the copies hold by buffer index."""
        return {index: self._region(span).contents(span) for index, span in self._spans.items()}

    def release(self) -> None:
        """Give the memory back."""
        for region in self._regions:
            region.copy.release()

    def _region(self, span: Span) -> "_Region":
        return next(
            region for region in self._regions if region.low <= span.address and span.address + span.size <= region.high
        )


class _Region:
    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.size = high - low
        self.high = high
        self.copy = native.GuardedMemory(self.size)

    def place(self, address: int) -> int:
        return self.copy.address + address - self.low

    def binding(self, span: Span) -> native.Binding:
        return native.Binding(self.place(span.address) + span.offset, self.place(span.address), span.size)

    def copy_in(self) -> None:
        if self.size >= _SPARSE_BYTES:
            for start, size in _stretches(self.copy.address, self.size):
                ctypes.memset(start, 0, size)
        for start, size in _stretches(self.low, self.size):
            ctypes.memmove(self.place(start), start, size)

    def copy_back(self, span: Span) -> None:
        for start, size in _stretches(self.place(span.address), span.size):
            ctypes.memmove(start - self.copy.address + self.low, start, size)

    def contents(self, span: Span) -> Contents:
        first = self.place(span.address)
        if span.size < _SPARSE_BYTES:
            return {0: ctypes.string_at(first, span.size)}
        pages = (page for stretch in _stretches(first, span.size) for page in _pages(*stretch))
        held = {start - first: ctypes.string_at(start, size) for start, size in pages}
        # Pages of zeros are left out, as those are that were never touched.
        return {offset: page for offset, page in held.items() if page.count(0) != len(page)}


def _stretches(address: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the addresses and sizes of the parts of memory that may hold something else than zeros."""
    if size < _SPARSE_BYTES:
        yield address, size
        return
    first, end = address // mmap.PAGESIZE, -(-(address + size) // mmap.PAGESIZE)
    with open("/proc/self/pagemap", "rb") as pagemap:
        pagemap.seek(8 * first)
        flags = np.frombuffer(pagemap.read(8 * (end - first)), np.uint64)
    # Linux's admin-guide/mm/pagemap: bit 63 says that a page is in memory, bit 62 that it was swapped out.
    pages = np.flatnonzero(flags >> np.uint64(62))
    for run in np.split(pages, np.flatnonzero(np.diff(pages) != 1) + 1):
        if run.size:
            low = max(address, (first + int(run[0])) * mmap.PAGESIZE)
            high = min(address + size, (first + int(run[-1]) + 1) * mmap.PAGESIZE)
            yield low, high - low


def _pages(address: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut memory into pages."""
    begin, end = address, address + size
    while begin < end:
        next_page = min((begin // mmap.PAGESIZE + 1) * mmap.PAGESIZE, end)
        yield begin, next_page - begin
        begin = next_page


def first_difference(one: Contents, other: Contents) -> int | None:
    """Return the first byte in which two contents of a buffer differ; None if they are equal."""
    if one == other:
        return None
    offset = min(offset for offset in one.keys() | other.keys() if one.get(offset) != other.get(offset))
    held = [contents.get(offset, b"") for contents in (one, other)]
    size = max(map(len, held))
    pairs = zip(*(part.ljust(size, b"\0") for part in held), strict=True)
    return offset + next(byte for byte, (a, b) in enumerate(pairs) if a != b)


def _merged(spans: Any) -> list[tuple[int, int]]:
    """Return the address ranges of spans, overlapping ones joined."""
    ranges: list[tuple[int, int]] = []
    for low, high in sorted((span.address, span.address + span.size) for span in spans):
        if ranges and low < ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]))
        elif not ranges or (low, high) != ranges[-1]:
            ranges.append((low, high))
    return ranges
