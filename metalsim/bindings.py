"""What a dispatch may bind to a kernel, whatever executes it: Metal's rules, each with its message."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from metalsim import native
from metalsim.errors import ValidationError

if TYPE_CHECKING:
    from metalsim.library import Argument


def check_declared_memory(kernel: str, used: int) -> None:
    """Refuse a kernel whose own variables need more threadgroup memory than there is."""
    if used > native.THREADGROUP_MEMORY:
        raise ValidationError(
            f"kernel '{kernel}' declares {used:,} bytes of threadgroup memory, but a threadgroup has "
            f"{native.THREADGROUP_MEMORY:,}: make its tiles smaller, or its element type"
        )


def check_threadgroup_memory(
    kernel: str, arguments: Sequence["Argument"], declared: int, given: Mapping[int, int]
) -> None:
    """Check the bytes of each ``[[threadgroup(n)]]`` against the kernel, which declares others itself, and the limit."""
    wanted = {a.index: a for a in arguments if a.kind == native.THREADGROUP_MEMORY_ARGUMENT and a.is_used}
    for index, argument in wanted.items():
        if given.get(index, 0) <= 0:
            raise ValidationError(
                f"kernel '{kernel}': threadgroup memory {index} ('{argument.name}') has no length: "
                f"pass threadgroup_memory={{{index}: bytes}}"
            )
    for index, length in given.items():
        if index not in wanted:
            known = ", ".join(map(str, wanted)) or "none"
            raise ValidationError(f"kernel '{kernel}' has no [[threadgroup({index})]]; it has {known}")
        if length % 16 != 0:
            raise ValidationError(f"threadgroup memory {index} must be a multiple of 16 bytes, but is {length}")
    total = sum(given.values())
    if declared + total > native.THREADGROUP_MEMORY:
        raise ValidationError(
            f"kernel '{kernel}' needs {declared + total:,} bytes of threadgroup memory ({declared:,} of its own "
            f"and {total:,} of this dispatch), but a threadgroup has {native.THREADGROUP_MEMORY:,}"
        )


def buffers_of(kernel: str, arguments: Sequence["Argument"], bound: Iterable[int]) -> "dict[int, Argument]":
    """Return the kernel's buffers by index, and refuse what is bound where it has none."""
    known = {argument.index: argument for argument in arguments if argument.kind == native.BUFFER}
    for index in bound:
        if index not in known:
            names = ", ".join(f"{a.index} ('{a.name}')" for a in known.values()) or "none"
            raise ValidationError(f"kernel '{kernel}' has no [[buffer({index})]]; it has {names}")
    return known
