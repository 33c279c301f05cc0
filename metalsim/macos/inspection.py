"""What the linked extension says about itself: for which macOS it is, what it loads from where, and that it is signed."""

from dataclasses import dataclass
from pathlib import Path

from metalsim.errors import MetalsimError
from metalsim.macos import macho, signature
from metalsim.macos.build import is_of_python
from metalsim.macos.torch_wheel import LIBRARIES, OLDEST_MACOS

#: Where torch's libraries are from the extension's place, in every environment that has both packages side by side.
RPATH = "@loader_path/../torch/lib"
_OURS = tuple(f"@rpath/lib{name}.dylib" for name in LIBRARIES)
_APPLES = ("/usr/lib/", "/System/Library/Frameworks/")
_ENTRY = "_PyInit__C"


class InspectionError(MetalsimError):
    """The extension is linked, and a Mac would not load it, or not every Mac."""


@dataclass(frozen=True)
class Inspection:
    """What was counted.

    Attributes:
        torch_symbols: imported from torch's libraries.
        apple_symbols: imported from Apple's.
        python_symbols: looked for in the running Python.
        pages: of the file, whose signature is right.
    """

    torch_symbols: int
    apple_symbols: int
    python_symbols: int
    pages: int


def inspect(extension: Path) -> Inspection:
    """Check the linked extension.

    Raises:
        InspectionError: naming what a Mac would not accept.
        SignatureError: likewise.
    """
    file = macho.read(extension)
    if file.minimum_os != OLDEST_MACOS:
        raise InspectionError(f"the extension is for macOS {file.minimum_os}, not {OLDEST_MACOS}: see setup.py")
    if file.rpaths != [RPATH]:
        raise InspectionError(f"the extension looks for torch's libraries in {file.rpaths}, not in ['{RPATH}']")
    strangers = [name for name, _ in file.libraries if name not in _OURS and not name.startswith(_APPLES)]
    if strangers:
        raise InspectionError(f"the extension loads {', '.join(strangers)}, which users do not have")
    if _ENTRY not in file.defined():
        raise InspectionError(f"the extension does not export {_ENTRY}, by which Python imports it")
    imports = list(file.imports())
    python = {needed.symbol for needed in imports if needed.library is None}
    unknown = {symbol for symbol in python if not is_of_python(symbol)}
    if unknown:
        raise InspectionError(
            f"the extension looks everywhere for {', '.join(sorted(unknown))}, not for Python's names only"
        )
    theirs = sum(needed.library in _OURS for needed in imports)
    return Inspection(theirs, len(imports) - theirs - len(python), len(python), signature.check(file))
