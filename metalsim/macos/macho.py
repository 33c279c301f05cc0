"""Reads arm64 Mach-O files: what they load, what they import, and what they say about themselves."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metalsim.errors import MetalsimError

_FAT_MAGIC = b"\xca\xfe\xba\xbe"
_MAGIC_ARM64 = b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01"
_CPU_ARM64 = 0x0100000C

_LC_SYMTAB = 0x2
_LC_SEGMENT_64 = 0x19
_LC_RPATH = 0x8000001C
_LC_CODE_SIGNATURE = 0x1D
_LC_BUILD_VERSION = 0x32
_LC_LOAD_WEAK_DYLIB = 0x80000018
#: LC_LOAD_DYLIB, and its weak, re-exporting, upward and lazy forms: each takes the next ordinal.
_LC_LOAD_DYLIBS = (0xC, _LC_LOAD_WEAK_DYLIB, 0x8000001F, 0x80000023, 0x20)

_N_TYPE_AND_EXTERNAL = 0xEF
_N_UNDEFINED_EXTERNAL = 0x01
_N_DEFINED = 0x0F
_N_WEAK_REFERENCE = 0x40
_DYNAMIC_LOOKUP = 0xFE


@dataclass(frozen=True)
class Import:
    """A symbol that another library has to have.

    Attributes:
        symbol: its name, with the underscore of C.
        library: where dyld looks for it; None if in everything that is loaded.
        may_be_missing: whether the file also runs where it is not there.
    """

    symbol: str
    library: str | None
    may_be_missing: bool


@dataclass
class MachO:
    """A file's load commands, and its bytes.

    Attributes:
        libraries: what it loads, in the order of their ordinals: install name, and whether it may be missing.
        rpaths: where ``@rpath`` is looked for.
        minimum_os: the oldest macOS that it is for, for instance (14, 0).
        text_size: bytes of the segment ``__TEXT``.
        signature: offset and size of its code signature, or None.
    """

    data: bytes
    libraries: list[tuple[str, bool]] = field(default_factory=list)
    rpaths: list[str] = field(default_factory=list)
    minimum_os: tuple[int, int] | None = None
    text_size: int = 0
    signature: tuple[int, int] | None = None
    _symbols: tuple[int, int, int] = (0, 0, 0)

    def imports(self) -> Iterator[Import]:
        """Yield what the file needs of others."""
        offset, count, strings = self._symbols
        for number in range(count):
            name, kind, _, description, _ = struct.unpack_from("<IBBHQ", self.data, offset + 16 * number)
            if kind & _N_TYPE_AND_EXTERNAL != _N_UNDEFINED_EXTERNAL:
                continue
            ordinal = description >> 8
            symbol = _text(self.data, strings + name)
            if 1 <= ordinal <= len(self.libraries):
                library, may_be_missing = self.libraries[ordinal - 1]
                yield Import(symbol, library, may_be_missing or bool(description & _N_WEAK_REFERENCE))
            elif ordinal == _DYNAMIC_LOOKUP:
                yield Import(symbol, None, bool(description & _N_WEAK_REFERENCE))

    def defined(self) -> set[str]:
        """Return the names that the file has for others."""
        offset, count, strings = self._symbols
        rows = (struct.unpack_from("<IBBHQ", self.data, offset + 16 * number) for number in range(count))
        return {
            _text(self.data, strings + name) for name, kind, *_ in rows if kind & _N_TYPE_AND_EXTERNAL == _N_DEFINED
        }


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()


def _arm64(data: bytes) -> bytes:
    """Return the part of a file of several architectures that is for arm64."""
    if data[:4] != _FAT_MAGIC:
        return data
    for number in range(struct.unpack_from(">I", data, 4)[0]):
        cpu, _, offset, size, _ = struct.unpack_from(">IIIII", data, 8 + 20 * number)
        if cpu == _CPU_ARM64:
            return data[offset : offset + size]
    raise MetalsimError("the Mach-O file has no part for arm64")


def read(path: Path) -> MachO:
    """Read a Mach-O file.

    Raises:
        MetalsimError: if it is none for arm64.
    """
    data = _arm64(path.read_bytes())
    if data[:8] != _MAGIC_ARM64:
        raise MetalsimError(f"{path} is no Mach-O file for arm64")
    file = MachO(data)
    offset = 32
    for _ in range(struct.unpack_from("<I", data, 16)[0]):
        command, size = struct.unpack_from("<II", data, offset)
        _read_command(file, command, offset)
        offset += size
    return file


def _read_command(file: MachO, command: int, offset: int) -> None:
    data = file.data
    if command in _LC_LOAD_DYLIBS or command == _LC_RPATH:
        text = _text(data, offset + struct.unpack_from("<I", data, offset + 8)[0])
        if command == _LC_RPATH:
            file.rpaths.append(text)
        else:
            file.libraries.append((text, command == _LC_LOAD_WEAK_DYLIB))
    elif command == _LC_BUILD_VERSION:
        version = struct.unpack_from("<I", data, offset + 12)[0]
        file.minimum_os = (version >> 16, version >> 8 & 0xFF)
    elif command == _LC_SYMTAB:
        symbols, count, strings = struct.unpack_from("<III", data, offset + 8)
        file._symbols = (symbols, count, strings)
    elif command == _LC_CODE_SIGNATURE:
        file.signature = struct.unpack_from("<II", data, offset + 8)
    elif command == _LC_SEGMENT_64 and data[offset + 8 : offset + 24].rstrip(b"\0") == b"__TEXT":
        file.text_size = struct.unpack_from("<Q", data, offset + 48)[0]
