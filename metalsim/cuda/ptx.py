"""What the text of a kernel's PTX says: its arguments, the buffers that it uses, its memory."""

import re
from typing import NamedTuple

#: Words of entry.h's description before the arguments, and of each argument.
_HEAD, _ARGUMENT = 2, 7


class DescribedArgument(NamedTuple):
    """An argument as device/entry.h writes it down."""

    kind: int
    binding: int  #: n of [[buffer(n)]] or [[threadgroup(n)]]
    size: int
    alignment: int
    is_reference: bool
    is_writable: bool
    is_enabled: bool


def read_description(ptx: str) -> tuple[int, list[DescribedArgument]]:
    """Return the most threads of a threadgroup (1024 where the kernel says nothing) and the arguments."""
    match = re.search(r"metalsim_description\[(\d+)\](?: = \{([^}]*)\})?;", ptx)
    assert match is not None, "entry.h writes a description into every kernel"
    numbers = [int(text) for text in (match[2] or "").split(",") if text.strip()]
    data = bytes(numbers).ljust(int(match[1]), b"\0")
    words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    arguments = []
    for i in range(words[1]):
        kind, binding, size, alignment, *flags = words[_HEAD + i * _ARGUMENT : _HEAD + (i + 1) * _ARGUMENT]
        arguments.append(DescribedArgument(kind, binding, size, alignment, *map(bool, flags)))
    return words[0] or 1024, arguments


def used_buffers(ptx: str) -> set[int]:
    """Return the indices of the buffers whose addresses the code loads: they are the first 31 parameters, 8 bytes each."""
    # The parameters by their name, or by a register that has their address.
    addresses = {"metalsim_kernel_param_0"}
    for target, source in re.findall(r"mov\.[bu]64\s+(%rd\d+), (\S+);", ptx):
        if source in addresses:
            addresses.add(target)
    used = set()
    for vector, address, offset in re.findall(r"ld\.param\.(?:v(\d)\.)?[ub]64[^[]*\[([%\w]+)(?:\+(\d+))?\]", ptx):
        if address in addresses:
            first = int(offset or 0) // 8
            used |= {index for index in range(first, first + int(vector or 1)) if index < 31}
    return used


def static_shared_bytes(ptx: str) -> int:
    """Return the bytes of the kernel's own threadgroup variables."""
    total = 0
    for alignment, size in re.findall(r"^\.weak \.shared \.align (\d+) \.b8 \w+\[(\d+)\];", ptx, re.MULTILINE):
        total = -(-total // int(alignment)) * int(alignment) + int(size)
    return total


def local_bytes(ptx: str) -> int:
    """Return the bytes of arrays that a thread indexes at run time, or that it passes by address."""
    return sum(int(size) for size in re.findall(r"\.local \.align \d+ \.b8\s+\w+\[(\d+)\];", ptx))


def undefined_functions(ptx: str) -> list[str]:
    """Return the names of functions that are called and defined nowhere."""
    return sorted(set(re.findall(r"\.extern \.func\s*(?:\([^)]*\)\s*)?(\w+)", ptx)))
