"""Compares the headers in metalsim/apple/frameworks with what Apple's own declare.

The headers serve two compilations: of host code for the software Metal on Linux, and of the same code for macOS, which is
linked against the real torch. A selector that is right in them alone would pass both, and fail on the first Mac.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from metalsim.macos import header_syntax, metadata, sdk
from metalsim.macos.declarations import Callable, Declarations

HEADERS = tuple(f"{framework}/{framework}.h" for framework in metadata.FRAMEWORKS)

#: Names that the metadata does not have, and why they may be in the headers all the same.
NOT_DESCRIBED = {
    "NSInteger": "objc/NSObjCRuntime.h has it, which on the macOS side is Apple's own",
    "NSUInteger": "objc/NSObjCRuntime.h has it, which on the macOS side is Apple's own",
    "NSNotFound": "a constant of the compiler, which no library has",
    "CFTimeInterval": "Core Foundation's; a double, as NSTimeInterval",
    "CFTypeRef": "Core Foundation's; a pointer to anything",
    "MTLAutoreleasedComputePipelineReflection": "the metadata has methods with it, and not the type",
}

#: What agrees with Apple's headers only as far as whoever wrote ours read the documentation.
CANNOT_BE_SHOWN = (
    "availability of enumerators, enumerations, structs and typedefs, and of classes and protocols without methods",
    "the result types of C functions",
    "nullability, ownership and other attributes, property attributes among them",
    "macros, for instance MTLResourceStorageModeShift, and the bodies of inline functions",
    "iOS and its relatives: only what is said of macOS is compared",
    "NSObject, which objc/NSObject.h declares: on the macOS side Apple's own",
    "os/log.h and os/signpost.h, which declare a type each and some numbers",
)


def _callables(name: str, ours: Callable, apples: Callable) -> Iterator[str]:
    if len(ours.types) != len(apples.types):
        yield f"{name} takes {len(ours.types) - 1} arguments, Apple's {len(apples.types) - 1}"
        return
    for number, (our_type, apple_type) in enumerate(zip(ours.types, apples.types, strict=True)):
        if apple_type is not None and our_type != apple_type:
            what = f"argument {number}" if number else "result"
            yield f"{name}: {what} is {our_type}, Apple's {apple_type}"
    if ours.is_variadic != apples.is_variadic:
        yield f"{name} is {'' if ours.is_variadic else 'not '}variadic, unlike Apple's"
    if ours.availability != apples.availability:
        yield f"{name}: {ours.availability}, Apple's {apples.availability}"


def _owners(ours: Declarations, apples: Declarations) -> Iterator[str]:
    for name, owner in ours.owners.items():
        theirs = apples.owners.get(name)
        if theirs is None or owner.is_protocol != theirs.is_protocol:
            yield f"{name} is no {'protocol' if owner.is_protocol else 'class'} of Apple's"
        else:
            missing = set(ours.lineage(name)) - set(apples.lineage(name))
            yield from (f"{name} is no {base} with Apple" for base in sorted(missing))


def _methods(ours: Declarations, apples: Declarations) -> Iterator[str]:
    for (owner, sign, selector), method in ours.methods.items():
        name = f"{sign}[{owner} {selector}]"
        described = apples.method(owner, sign, selector)
        if described is None:
            yield f"{name} is not there with Apple"
        else:
            yield from _callables(name, method, described)


def _functions(ours: Declarations, apples: Declarations) -> Iterator[str]:
    for name, function in ours.functions.items():
        if name in apples.functions:
            yield from _callables(name, function, apples.functions[name])
        else:
            yield f"{name} is no function of Apple's"


def _values(kind: str, ours: Mapping[str, object], apples: Mapping[str, object]) -> Iterator[str]:
    for name, value in ours.items():
        if name in NOT_DESCRIBED:
            continue
        if name not in apples:
            yield f"{name} is no {kind} of Apple's"
        elif apples[name] != value:
            yield f"{kind} {name} is {value}, Apple's {apples[name]}"


def differences(ours: Declarations, apples: Declarations) -> Iterator[str]:
    """Yield a sentence for each declaration that Apple does not have, or has otherwise."""
    yield from _owners(ours, apples)
    yield from _methods(ours, apples)
    yield from _functions(ours, apples)
    yield from _values("enumerator", ours.constants, apples.constants)
    yield from _values("enumeration", ours.enumerations, apples.enumerations)
    yield from _values("struct", ours.structs, apples.structs)
    yield from _values("typedef", ours.typedefs, apples.typedefs)
    yield from _values("constant", ours.variables, apples.variables)


def our_declarations(frameworks: Path = sdk.FRAMEWORKS) -> Declarations:
    """Return what the headers in a folder of frameworks declare."""
    with tempfile.TemporaryDirectory(prefix="metalsim_headers_") as scratch:
        return header_syntax.read(HEADERS, frameworks, Path(scratch))
