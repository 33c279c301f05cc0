"""What the scan of declarations finds: immutable descriptions of pieces of the token stream."""

import enum
from dataclasses import dataclass, field

from metalsim.frontend.tokens import Span, TokenStream

ADDRESS_SPACES = frozenset({"device", "constant", "threadgroup", "thread"})


class ScopeKind(enum.Enum):
    """Where a declaration stands."""

    NAMESPACE = "namespace"
    CLASS = "class"
    FUNCTION = "function"


class DeclarationKind(enum.Enum):
    """What is declared."""

    ALIAS = "alias"  # using X = ...
    CLASS = "class"  # with a body, or forward
    ENUM = "enum"
    EXPLICIT_INSTANTIATION = "explicit instantiation"
    FUNCTION = "function"  # a definition if it has a body
    TYPEDEF = "typedef"
    VARIABLE = "variable"  # data members, too
    OTHER = "other"  # static_assert, using-declarations, friends, ...


@dataclass(frozen=True)
class Attribute:
    """One attribute of a `[[list]]`: `buffer(0)`, `clang::noinline`, `kernel`."""

    name: str
    span: Span
    arguments: Span | None  # between the parentheses


@dataclass(frozen=True)
class AttributeList:
    """`[[ ... ]]` with its brackets."""

    span: Span
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True)
class Declarator:
    """One declared entity: `* const name [4] [[buffer(0)]] = value`, `name(parameters) const thread`.

    Attributes:
        span: All of it, initialiser included, but not a function's body.
        operators: The pointer and reference operators before the name with their qualifiers; for `(&name)[4]` those inside.
        name: The token of the name; None for an unnamed parameter.
        id: The whole name: qualified, with template arguments, or `operator ...`.
        is_nested: The name stands in parentheses: `T (&name)[4]`, `T (*name)(T)`.
        arrays: Array extents, brackets included.
        parameters: The tokens between a function's parentheses.
        qualifiers: The tokens after the parameters: `const thread noexcept`, `-> T`.
        member_initialisers: Of a constructor, after the colon.
        initialiser: `= value`, `{value}` or, in a function body, `(value)`, punctuation included.
        attributes: Attribute lists after the name.
    """

    span: Span
    operators: Span
    name: int | None
    id: Span
    is_nested: bool = False
    arrays: tuple[Span, ...] = ()
    parameters: Span | None = None
    qualifiers: Span = field(default=Span(0, 0))
    member_initialisers: Span | None = None
    initialiser: Span | None = None
    attributes: tuple[AttributeList, ...] = ()


@dataclass(frozen=True)
class Scope:
    """A region with declarations of its own.

    Attributes:
        kind: Its kind.
        span: What lies between its braces.
        path: Names of the enclosing namespaces and classes; an unnamed one has an empty name.
        owner: The declaration of the class or function.
        parent: The scope around it.
    """

    kind: ScopeKind
    span: Span
    path: tuple[str, ...] = ()
    owner: "Declaration | None" = None
    parent: "Scope | None" = None


@dataclass(frozen=True)
class Declaration:
    """One declaration, from its template headers to its semicolon or body.

    Attributes:
        kind: What is declared.
        span: All of it.
        scope: Where it stands.
        headers: Template headers: the tokens between each `template <` and its `>`.
        specifiers: The tokens before the first declarator (attributes included), or an alias's target.
        attributes: Attribute lists among the specifiers.
        declarators: What it declares.
        body: The tokens between the braces of a function, class or enum.
        name: The token of a class's, enum's or alias's name.
    """

    kind: DeclarationKind
    span: Span
    scope: Scope
    headers: tuple[Span, ...] = ()
    specifiers: Span = field(default=Span(0, 0))
    attributes: tuple[AttributeList, ...] = ()
    declarators: tuple[Declarator, ...] = ()
    body: Span | None = None
    name: int | None = None


@dataclass(frozen=True)
class Unit:
    """A whole text: its tokens and the declarations in it, outer ones first."""

    stream: TokenStream
    declarations: tuple[Declaration, ...]

    def qualified(self, declaration: Declaration, name: int) -> str:
        """The name of something as seen from outside of all namespaces and classes."""
        return "::".join((*filter(None, declaration.scope.path), self.stream.texts[name]))
