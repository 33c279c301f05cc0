"""What Objective-C headers declare, in a form in which two descriptions of the same framework can be compared."""

import re
from dataclasses import dataclass, field

#: Of the frameworks that are compared. Other names come from Apple's own headers, which are open.
PREFIXES = ("NS", "MTL", "MPS", "CF")


@dataclass(frozen=True)
class Availability:
    """Since and until when macOS has something: versions, or None where nothing is said."""

    introduced: str | None = None
    deprecated: str | None = None


UNKNOWN = Availability()


@dataclass(frozen=True)
class Callable:
    """A method or a function.

    Attributes:
        types: that of the result, then those of the arguments, normalised; None where a description leaves one out.
        availability: its own, or its class's.
        is_variadic: takes more arguments than it names.
    """

    types: tuple[str | None, ...]
    availability: Availability
    is_variadic: bool


@dataclass(frozen=True)
class Owner:
    """A class or protocol: what it is declared on, superclass and protocols."""

    is_protocol: bool
    superclass: str | None
    protocols: tuple[str, ...]


@dataclass
class Declarations:
    """Everything that a framework declares, by name.

    Attributes:
        owners: classes and protocols.
        methods: by owner, "+" or "-", and selector.
        functions: of C.
        constants: enumerators: name of the enumeration, or None, and value modulo 2^64.
        enumerations: name, and encoding of the underlying type.
        structs: names of the fields, and their encodings.
        typedefs: the type that a name stands for, normalised.
        variables: types of global constants.
    """

    owners: dict[str, Owner] = field(default_factory=dict)
    methods: dict[tuple[str, str, str], Callable] = field(default_factory=dict)
    functions: dict[str, Callable] = field(default_factory=dict)
    constants: dict[str, tuple[str | None, int]] = field(default_factory=dict)
    enumerations: dict[str, str] = field(default_factory=dict)
    structs: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    typedefs: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def lineage(self, name: str) -> list[str]:
        """Return a class or protocol, its protocols and its superclasses with theirs."""
        found: list[str] = []
        waiting = [name]
        while waiting:
            current = waiting.pop(0)
            if current in found or current not in self.owners:
                continue
            found.append(current)
            owner = self.owners[current]
            waiting += [*owner.protocols, *([owner.superclass] if owner.superclass else [])]
        return found

    def method(self, owner: str, sign: str, selector: str) -> Callable | None:
        """Return a method that a class or protocol has or inherits."""
        for name in self.lineage(owner):
            if (name, sign, selector) in self.methods:
                return self.methods[name, sign, selector]
        return None


_SILENT = (
    r"_Nullable_result|_Nullable|_Nonnull|_Null_unspecified|__strong|__autoreleasing|__unsafe_unretained|__kindof"
    r"|NS_NOESCAPE|NS_RETURNS_RETAINED|NS_RETURNS_INNER_POINTER|struct|enum|(?:API_AVAILABLE|__attribute__)\([^()]*(?:\([^()]*\))*[^()]*\)"
)


def normalised(type_name: str) -> str:
    """Return a type as a comparable text: without what does not change what the compiler accepts or emits."""
    text = re.sub(rf"\b(?:{_SILENT})", " ", type_name)
    # A parameter of a generic class that follows a protocol is described as any object that does.
    text = re.sub(r"\bKeyType\s*<", "id<", re.sub(r"\s+", " ", text))
    return re.sub(r"\s*([<>,*()^\[\]])\s*", r"\1", text).strip()
