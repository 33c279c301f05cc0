"""Reads Metal libraries: the MTLB container, which holds one LLVM bitcode module for each function.

Layout of the container, all numbers little-endian (found by looking at libraries; Apple documents none of it):

    offset 0    "MTLB"
    offset 16   u64: bytes of the whole container
    offset 24   u64 offset and u64 bytes of four sections: function list, public metadata, private metadata, bitcode
    offset 88   the first section

The function list is a u32 count, and for each function a u32 size followed by tagged fields: a name of four characters, a u16
size and that many bytes, up to the tag "ENDT". Of these NAME, TYPE, OFFT, MDSZ and VERS are read here.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from metalsim.errors import MetalsimError

_MAGIC = b"MTLB"
_HEADER_SIZE = 88
_SIZE_OFFSET = 16
_SECTIONS_OFFSET = 24


class FunctionKind(Enum):
    """What a function of a library is for; the field TYPE."""

    VERTEX = 0
    FRAGMENT = 1
    KERNEL = 2
    OTHER = -1

    @classmethod
    def _missing_(cls, value: object) -> "FunctionKind":
        return cls.OTHER


@dataclass(frozen=True)
class Function:
    """One function of a library.

    Attributes:
        name: host name.
        kind: what it is for.
        air_version: version of the bitcode's conventions.
        language_version: version of Metal that it was compiled from.
        offset: where its bitcode is in the file.
        size: bytes of it.
    """

    name: str
    kind: FunctionKind
    air_version: tuple[int, int]
    language_version: tuple[int, int]
    offset: int
    size: int


def _function_fields(entry: bytes) -> dict[str, bytes]:
    """Return the tagged fields of one entry of the function list."""
    fields = {}
    position = 0
    while entry[position : position + 4] != b"ENDT":
        tag = entry[position : position + 4].decode("ascii")
        (size,) = struct.unpack_from("<H", entry, position + 4)
        fields[tag] = entry[position + 6 : position + 6 + size]
        position += 6 + size
    return fields


def _parse_function(entry: bytes, bitcode_offset: int) -> Function:
    fields = _function_fields(entry)
    *_, offset = struct.unpack("<3Q", fields["OFFT"])  # in public metadata, private metadata and bitcode
    (size,) = struct.unpack("<Q", fields["MDSZ"])
    air_major, air_minor, language_major, language_minor = struct.unpack("<4H", fields["VERS"])
    return Function(
        name=fields["NAME"].rstrip(b"\0").decode(),
        kind=FunctionKind(fields["TYPE"][0]),
        air_version=(air_major, air_minor),
        language_version=(language_major, language_minor),
        offset=bitcode_offset + offset,
        size=size,
    )


class MetalLibrary:
    """A ``.metallib`` file.

    Raises:
        MetalsimError: if the file is not one.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            header = file.read(_HEADER_SIZE)
        if len(header) != _HEADER_SIZE or header[:4] != _MAGIC:
            raise MetalsimError(f"'{self.path}' is not a Metal library: it does not start with {_MAGIC.decode()}.")

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Return all functions by name."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            sections = struct.unpack_from("<8Q", data, _SECTIONS_OFFSET)
            position, bitcode_offset = sections[0], sections[6]
            (count,) = struct.unpack_from("<I", data, position)
            position += 4
            functions = {}
            for _ in range(count):
                (size,) = struct.unpack_from("<I", data, position)
                function = _parse_function(data[position + 4 : position + size], bitcode_offset)
                functions[function.name] = function
                position += size
        return functions

    @property
    def language_version(self) -> tuple[int, int]:
        """Return the newest version of Metal that a function was compiled from."""
        return max(function.language_version for function in self.functions.values())

    def function(self, name: str) -> Function:
        """Return a function, or raise a MetalsimError that says which are alike."""
        try:
            return self.functions[name]
        except KeyError:
            start = name.split("_")[0]
            alike = [other for other in self.functions if other.startswith(start)][:5]
            hint = f"; it has {', '.join(alike)} and others" if alike else ""
            raise MetalsimError(f"'{self.path.name}' has no function '{name}'{hint}.") from None

    def bitcode(self, name: str) -> bytes:
        """Return the bitcode module of a function."""
        function = self.function(name)
        with self.path.open("rb") as file:
            file.seek(function.offset)
            return file.read(function.size)


def embedded(data: bytes | mmap.mmap) -> Iterator[tuple[int, int]]:
    """Yield offset and size of each Metal library inside of another file, for instance a Mach-O library."""
    offset = data.find(_MAGIC)
    while offset >= 0:
        if offset + _HEADER_SIZE <= len(data):
            (size,) = struct.unpack_from("<Q", data, offset + _SIZE_OFFSET)
            (first_section,) = struct.unpack_from("<Q", data, offset + _SECTIONS_OFFSET)
            if first_section == _HEADER_SIZE and _HEADER_SIZE < size <= len(data) - offset:
                yield offset, size
                offset += size - len(_MAGIC)
        offset = data.find(_MAGIC, offset + len(_MAGIC))
