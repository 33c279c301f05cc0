"""Names of types: Metal's built-in ones, and those that a text declares, each with the region where it means the type."""

from bisect import bisect_right
from itertools import accumulate

from metalsim.frontend.syntax import Declaration, DeclarationKind, ScopeKind, Unit
from metalsim.frontend.tokens import Span
from metalsim.frontend.words import words

_ELEMENTS = words("bool char uchar short ushort int uint long ulong half bfloat float")
VECTOR_TYPES = frozenset(f"{element}{width}" for element in _ELEMENTS for width in (2, 3, 4))
_SCALAR_TYPES = words(
    """
    bool char uchar short ushort int uint long ulong half bfloat float unsigned signed size_t ptrdiff_t void double auto
    int8_t uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t
    """
)
BUILTIN_TYPES = VECTOR_TYPES | _SCALAR_TYPES
#: Alias templates of Metal's library that may name a vector.
LIBRARY_ALIASES = words(
    """
    vec conditional_t remove_cv_t remove_const_t remove_volatile_t remove_reference_t remove_addrspace_t decay_t
    enable_if_t make_scalar_t make_signed_t make_unsigned_t common_type_t
    """
)


# half and bfloat are not among them: clang has no conversion between the two, so the shim converts.
_PLAIN_SCALARS = _SCALAR_TYPES - {"half", "bfloat", "auto"}

_END = 1 << 62  # of a region that reaches to the end of the text


class _Regions:
    """Regions in which one name has one meaning, asked for by position; they may nest."""

    def __init__(self) -> None:
        self._regions: list[tuple[int, int]] = []
        self._begins: list[int] = []
        self._ends: list[int] = []  # the largest end of this region and all before it

    def add(self, begin: int, end: int) -> None:
        self._regions.append((begin, end))

    def __contains__(self, index: int) -> bool:
        if len(self._begins) != len(self._regions):
            self._regions.sort()
            self._begins = [begin for begin, _ in self._regions]
            self._ends = list(accumulate((end for _, end in self._regions), max))
        count = bisect_right(self._begins, index)
        return count > 0 and self._ends[count - 1] > index


_NOWHERE = _Regions()


class TypeNames:
    """Which names are types where.

    A template's parameter is one in its template, an alias from its declaration to the end of its scope; for a member alias
    that is the whole class. Attention kernels use `T` for a type in one template and `U` for a variable elsewhere: a table of
    names without regions would take `(U) - x` for a cast.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._vectors: dict[str, _Regions] = {}  # may be a vector: template parameters and aliases
        self._types: dict[str, _Regions] = {}  # all others
        self._members: set[str] = set()
        self._classes = {
            unit.stream.texts[declaration.name]
            for declaration in unit.declarations
            if declaration.kind in (DeclarationKind.CLASS, DeclarationKind.ENUM) and declaration.name is not None
        }
        for declaration in unit.declarations:
            for header in declaration.headers:
                self._add_parameters(header, declaration.span)
            if declaration.kind is DeclarationKind.ALIAS and declaration.name is not None:
                self._add_alias(declaration, declaration.name, declaration.specifiers)
            elif declaration.kind is DeclarationKind.TYPEDEF:
                self._add_typedef(declaration)
            elif declaration.kind in (DeclarationKind.CLASS, DeclarationKind.ENUM) and declaration.name is not None:
                self._add(self._types, declaration, declaration.name)
            elif declaration.kind is DeclarationKind.OTHER:
                self._add_using(declaration)

    def _add(self, table: dict[str, _Regions], declaration: Declaration, name: int) -> None:
        """Adds a name where it can be used: a member's in the whole class, any other's from its declaration on."""
        scope = declaration.scope
        begin = scope.span.begin if scope.kind is ScopeKind.CLASS else declaration.span.begin
        end = _END if scope.kind is ScopeKind.NAMESPACE else scope.span.end
        table.setdefault(self._unit.stream.texts[name], _Regions()).add(begin, end)

    def _add_parameters(self, header: Span, region: Span) -> None:
        stream = self._unit.stream
        for part in stream.split(header):
            words = stream.texts[part.begin : part.end]
            if len(words) < 2 or words[0] not in ("typename", "class"):
                continue
            name = words[2] if words[1] == "..." and len(words) > 2 else words[1]
            self._vectors.setdefault(name, _Regions()).add(region.begin, region.end)

    def _names_class(self, target: Span) -> bool:
        """Whether an alias's target is a class that the text declares: no vector, whatever its arguments."""
        texts = self._unit.stream.texts
        last = target.end - 1
        if last >= target.begin and texts[last] == ">" and self._unit.stream.match[last] > target.begin:
            last = self._unit.stream.match[last] - 1
        if last < target.begin or "typename" in texts[target.begin : last]:
            return False
        return texts[last] in self._classes

    def _add_using(self, declaration: Declaration) -> None:
        """`using typename Base::type;`; without the word, what the name means is another declaration's to say."""
        begin, end = declaration.span.begin, declaration.span.end
        if self._unit.stream.texts[begin : begin + 2] == ["using", "typename"]:
            self._add(self._vectors, declaration, end - 2)

    def _add_typedef(self, declaration: Declaration) -> None:
        for declarator in declaration.declarators:
            if declarator.name is not None:
                is_plain = not (declarator.operators.size or declarator.arrays or declarator.parameters is not None)
                self._add_alias(declaration, declarator.name, declaration.specifiers if is_plain else Span(0, 0))

    def _add_alias(self, declaration: Declaration, name: int, target: Span) -> None:
        """Adds an alias of the type in a span; an empty one stands for a pointer, an array or a function."""
        if not self._may_name_vector(target):
            self._add(self._types, declaration, name)
            return
        self._add(self._vectors, declaration, name)
        if declaration.scope.kind is ScopeKind.CLASS:
            self._members.add(self._unit.stream.texts[name])

    def _may_name_vector(self, target: Span) -> bool:
        texts = self._unit.stream.texts[target.begin : target.end]
        words = [text for text in texts if text not in ("typedef", "const")]
        if not words or words[-1] in ("*", "&", "&&", "]") or set(words) <= _PLAIN_SCALARS:
            return False
        return (words[-1] != ")" or "decltype" in words) and not self._names_class(target)

    def may_be_vector(self, name: str, index: int) -> bool:
        """Whether a name, used without qualification at a token, may mean a vector type."""
        return index in self._vectors.get(name, _NOWHERE)

    def is_member_type(self, name: str) -> bool:
        """Whether some class has a member alias of that name which may be a vector."""
        return name in self._members

    def is_type(self, name: str, index: int) -> bool:
        """Whether a name means a type at a token."""
        return self.may_be_vector(name, index) or index in self._types.get(name, _NOWHERE)
