"""Checks the signature that a Mac's kernel asks of every library on Apple silicon: without one the process is ended.

The linker signs ad hoc: the signature holds a digest of each page of the file, and no identity.
"""

import hashlib
import struct

from metalsim.errors import MetalsimError
from metalsim.macos.macho import MachO

_EMBEDDED_SIGNATURE = 0xFADE0CC0
_CODE_DIRECTORY = 0xFADE0C02
_ADHOC = 0x2
_SHA256 = 2


class SignatureError(MetalsimError):
    """The file is not signed, or not as it is."""


def _code_directory(blob: bytes) -> bytes:
    magic, _, count = struct.unpack_from(">III", blob)
    if magic != _EMBEDDED_SIGNATURE:
        raise SignatureError("the extension's signature has an unknown form")
    for number in range(count):
        _, offset = struct.unpack_from(">II", blob, 12 + 8 * number)
        if struct.unpack_from(">I", blob, offset)[0] == _CODE_DIRECTORY:
            return blob[offset:]
    raise SignatureError("the extension's signature has no code directory")


def check(file: MachO) -> int:
    """Compare each page of the file with its digest, and return how many there are.

    Raises:
        SignatureError: if there is no signature, or a page differs.
    """
    if file.signature is None:
        raise SignatureError("the extension is not signed: a Mac with Apple silicon ends a process that loads it")
    offset, size = file.signature
    directory = _code_directory(file.data[offset : offset + size])
    flags: int
    hashes: int
    pages: int
    flags, hashes, _, _, pages, limit = struct.unpack_from(">IIIIII", directory, 12)
    hash_size, hash_type, _, page_bits = struct.unpack_from(">BBBB", directory, 36)
    if not flags & _ADHOC or hash_type != _SHA256 or limit != offset:
        raise SignatureError("the extension's signature is no ad hoc one of the whole file with SHA-256")
    for number in range(pages):
        page = file.data[number << page_bits : min((number + 1) << page_bits, limit)]
        wanted = directory[hashes + number * hash_size : hashes + (number + 1) * hash_size]
        if hashlib.sha256(page).digest() != wanted:
            raise SignatureError(f"page {number} of the extension is not as it was signed")
    return pages
