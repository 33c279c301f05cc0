"""Apple's frameworks as pyobjc describes them: what clang saw in Apple's own headers, published with pyobjc's sources.

Each source distribution of pyobjc has a folder ``metadata`` with a description in JSON for each release of macOS and
architecture: classes, protocols, selectors, types, enumerators, and since when macOS has them.
"""

import json
import re
from pathlib import Path
from typing import Any

from metalsim import cache
from metalsim.macos import packages
from metalsim.macos.declarations import Availability, Callable, Declarations, Owner, normalised

#: Requirement, and the folder of the description.
FRAMEWORKS = {
    "Foundation": ("pyobjc-framework-cocoa==13.0", "raw.Foundation"),
    "Metal": ("pyobjc-framework-metal==12.2.2", "raw"),
    "MetalPerformanceShaders": ("pyobjc-framework-metalperformanceshaders==12.2.2", "raw"),
    "MetalPerformanceShadersGraph": ("pyobjc-framework-metalperformanceshadersgraph==12.2.2", "raw"),
}


def file(framework: str) -> Path:
    """Return the description of a framework, downloaded at the first call.

    Raises:
        PackageUnavailableError: if it cannot be downloaded.
    """
    requirement, folder_name = FRAMEWORKS[framework]

    def build(folder: Path) -> None:
        scratch = folder / "sources"
        scratch.mkdir()
        (found,) = packages.unpacked_sources(requirement, scratch).glob(f"metadata/{folder_name}/arm64-*.fwinfo")
        found.rename(folder / "metadata.json")
        packages.remove(scratch)

    return cache.entry("macos_metadata", requirement.replace("==", "-"), build) / "metadata.json"


def _version(value: object) -> str | None:
    """Return a version of macOS; far-off ones stand for "some day"."""
    return str(value) if value and re.fullmatch(r"\d\d(\.\d+)*", str(value)) else None


def _type(described: dict[str, Any]) -> str | None:
    name = described.get("type_name")
    return None if name is None else normalised(name)


def _callable(described: dict[str, Any]) -> Callable:
    # A C function without arguments is described as one of a nameless void.
    arguments = [argument for argument in described.get("args", []) if argument["typestr"] != "v"]
    types = (_type(described["retval"]), *(_type(argument) for argument in arguments))
    availability = Availability(_version(described.get("introduced")), _version(described.get("deprecated")))
    return Callable(types, availability, bool(described.get("variadic")))


def _fields(encoding: str) -> str:
    """Return the fields of a struct's encoding: "QQQ" of "{MTLSize=QQQ}"."""
    return encoding.split("=", 1)[1].removesuffix("}") if "=" in encoding else ""


def add(found: Declarations, described: dict[str, Any]) -> None:
    """Add one framework's description to what is known."""
    for is_protocol, owners in ((False, described["classes"]), (True, described["formal_protocols"])):
        for name, owner in owners.items():
            bases = owner.get("implements" if is_protocol else "protocols") or []
            # A framework's categories on another's class are described as a class without a superclass.
            if name not in found.owners:
                found.owners[name] = Owner(is_protocol, owner.get("super"), tuple(bases))
            extended = [category for category in owner.get("categories", []) if isinstance(category, dict)]
            for method in [*owner["methods"], *(each for category in extended for each in category["methods"])]:
                sign = "+" if method["class_method"] else "-"
                found.methods.setdefault((name, sign, method["selector"]), _callable(method))
    found.functions.update({name: _callable(function) for name, function in described["functions"].items()})
    found.constants.update(
        {name: (constant.get("enum"), constant["value"] % 2**64) for name, constant in described["enum"].items()}
    )
    found.enumerations.update({name: enumeration["type"] for name, enumeration in described["enum_type"].items()})
    for name, struct in described["structs"].items():
        if struct.get("typestr") and struct.get("fieldnames"):
            found.structs[name] = (tuple(struct["fieldnames"]), _fields(struct["typestr"]))
    found.typedefs.update({name: normalised(text) for name, text in described["typedefs"].items()})
    found.variables.update({name: normalised(variable["type_name"]) for name, variable in described["externs"].items()})
    for alias, name in described["aliases"].items():
        if name in found.constants:
            found.constants.setdefault(alias, found.constants[name])


def read() -> Declarations:
    """Return what Apple's frameworks declare.

    Raises:
        PackageUnavailableError: if a description is neither in the cache nor to be had.
    """
    found = Declarations()
    for framework in FRAMEWORKS:
        lines = file(framework).read_text().splitlines()
        add(found, json.loads("\n".join(line for line in lines if not line.startswith("//")))["definitions"])
    return found
