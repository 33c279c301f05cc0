"""Parsing of attributes, declarators and parameter lists: what a declaration is made of.

C++ cannot be parsed without knowing which names are types. Declarations can be split all the same, because in them the name
is the last identifier before the first `(`, `[`, `=`, `{`, `:`, `,` or `;` outside of all brackets, and everything before it
is type. Brackets, angle brackets included, are matched beforehand (brackets.py), so each token is looked at once.
"""

from dataclasses import dataclass, field

from metalsim.frontend.syntax import ADDRESS_SPACES, Attribute, AttributeList, Declarator
from metalsim.frontend.tokens import Span, TokenStream
from metalsim.frontend.words import words

# Words that belong to the specifiers and are never a declarator's name.
SPECIFIER_WORDS = ADDRESS_SPACES | words(
    """
    auto bool char const constexpr consteval constinit double explicit extern float friend inline int kernel long mutable
    register short signed static struct class union enum thread_local typedef typename unsigned virtual void volatile
    METAL_FUNC fragment vertex template coherent
    """
)
#: Words that take parentheses and still leave the declarator to come.
GROUP_WORDS = frozenset(
    {"alignas", "__attribute__", "decltype", "typeof", "__typeof__", "noexcept", "explicit", "_Alignas"}
)
_QUALIFIERS = ADDRESS_SPACES | frozenset(
    {"const", "volatile", "mutable", "noexcept", "override", "final", "try", "&", "&&"}
)
_OPERATORS = frozenset({"*", "&", "&&"})
_ENDS_NAME = frozenset({"=", ";", ",", ":", "{", ")", "}", ">"})


def parse_attributes(stream: TokenStream, index: int) -> AttributeList:
    """Parses the attribute list that opens at `index`."""
    end = stream.match[index] + 1
    attributes = []
    for part in stream.split(Span(index + 2, end - 2)):
        if not part.size:
            continue  # `[[, a]]` is legal
        name_end = part.begin
        while name_end < part.end and stream.texts[name_end] != "(":
            name_end += 1
        arguments = Span(name_end + 1, stream.match[name_end]) if name_end < part.end else None
        name = "".join(stream.texts[part.begin : name_end])
        attributes.append(Attribute(name, part, arguments))
    return AttributeList(Span(index, end), tuple(attributes))


@dataclass
class _Draft:
    """A declarator that is being parsed: see syntax.Declarator."""

    begin: int
    operators: Span
    name: int | None
    id: Span
    is_nested: bool = False
    arrays: list[Span] = field(default_factory=list)
    parameters: Span | None = None
    qualifiers: Span = field(default=Span(0, 0))
    member_initialisers: Span | None = None
    initialiser: Span | None = None
    attributes: list[AttributeList] = field(default_factory=list)

    def finish(self, end: int) -> Declarator:
        return Declarator(
            Span(self.begin, end),
            self.operators,
            self.name,
            self.id,
            self.is_nested,
            tuple(self.arrays),
            self.parameters,
            self.qualifiers,
            self.member_initialisers,
            self.initialiser,
            tuple(self.attributes),
        )


@dataclass(frozen=True)
class Head:
    """The specifiers of a declaration with its first declarator; `next` is the first token that belongs to neither."""

    specifiers: Span
    attributes: tuple[AttributeList, ...]
    declarator: Declarator | None
    next: int


class DeclaratorParser:
    """Parses declarators of one text.

    Args:
        stream: The text.
        in_function: `T name(value)` is a variable with an initialiser, as it is in practice in a function's body.
    """

    def __init__(self, stream: TokenStream, *, in_function: bool = False) -> None:
        self.stream = stream
        self.texts = stream.texts
        self.in_function = in_function

    def head(self, begin: int, end: int) -> Head:
        """Parses specifiers and the first declarator, from `begin` to `end` at most."""
        texts = self.texts
        attributes: list[AttributeList] = []
        name = Span(begin, begin)  # the last identifier, qualified
        operators = -1  # the first pointer operator
        index = begin
        while index < end:
            text = texts[index]
            if text == "[" and self.stream.is_attribute(index) and not self._follows_name(name, index):
                attributes.append(parse_attributes(self.stream, index))
                index = attributes[-1].span.end
            elif text in GROUP_WORDS and index + 1 < end and texts[index + 1] == "(":
                index = self.stream.match[index + 1] + 1
                name = Span(index, index) if text in ("decltype", "typeof", "__typeof__") else name
            elif text == "operator":
                return self._finish_head(begin, attributes, operators, Span(index, self._operator_end(index)), end)
            elif text in _OPERATORS:
                operators = index if operators < 0 else operators
                index += 1
            elif text == "(":
                if self._is_nested_declarator(index, begin):
                    return self._nested(begin, attributes, operators, index, end)
                if name.size and texts[name.end - 1] not in SPECIFIER_WORDS:
                    break
                index = self.stream.after(index)
            elif text == "[" or text in _ENDS_NAME:
                break
            elif text == "::" or text == "~" or self.stream.is_identifier(index):
                is_word = text in SPECIFIER_WORDS  # `inline ::metal::x`: the word does not qualify what follows
                name = Span(index, index + 1 if is_word else self._id_end(index, end))
                if texts[name.end - 1] == "operator":
                    return self._finish_head(
                        begin, attributes, operators, Span(index, self._operator_end(name.end - 1)), end
                    )
                index = name.end
            else:
                index += 1
        return self._end_of_head(begin, attributes, operators, name, index, end)

    def _follows_name(self, name: Span, index: int) -> bool:
        """Whether an attribute list at `index` belongs to the declarator: it stands between its name and no other one."""
        if not name.size or name.end != index or self.texts[name.begin] in SPECIFIER_WORDS:
            return False
        following = self.stream.match[index] + 1
        return not self.stream.is_identifier(following) and self.stream.text_at(following) not in _OPERATORS

    def _end_of_head(
        self, begin: int, attributes: list[AttributeList], operators: int, name: Span, index: int, end: int
    ) -> Head:
        texts = self.texts
        if operators >= 0 and name.begin < operators:  # `const device T*`: an unnamed parameter
            draft = _Draft(operators, Span(operators, index), None, Span(index, index))
            return Head(Span(begin, operators), tuple(attributes), *self._suffix(draft, index, end))
        if not name.size or texts[name.end - 1] in SPECIFIER_WORDS or texts[name.begin] in SPECIFIER_WORDS:
            if index >= end or texts[index] in (";", "{", "}"):
                return Head(Span(begin, index), tuple(attributes), None, index)
            draft = _Draft(index, Span(index, index), None, Span(index, index))
            return Head(Span(begin, index), tuple(attributes), *self._suffix(draft, index, end))
        return self._finish_head(begin, attributes, operators, name, end)

    def _finish_head(self, begin: int, attributes: list[AttributeList], operators: int, name: Span, end: int) -> Head:
        start = operators if 0 <= operators < name.begin else name.begin
        draft = _Draft(start, Span(start, name.begin), self._name_token(name), name)
        return Head(Span(begin, start), tuple(attributes), *self._suffix(draft, name.end, end))

    def _name_token(self, name: Span) -> int:
        """The token of the unqualified name: for `a::b<c>` that of b, for `operator ...` that of the keyword."""
        index = last = name.begin
        while index < name.end:
            if self.texts[index] == "operator":
                return index
            if self.stream.is_identifier(index) and self.texts[index] != "template":
                last = index
            index = self.stream.after(index)
        return last

    def _id_end(self, index: int, end: int) -> int:
        """The end of a qualified name with its template arguments."""
        texts = self.texts
        while index < end:
            if texts[index] in ("::", "~"):
                index += 1
            if index < end and texts[index] == "template":
                index += 1
            if not self.stream.is_identifier(index):
                return index
            if texts[index] == "operator":
                return index + 1
            index += 1
            if index < end and texts[index] == "<" and self.stream.match[index] > index:
                index = self.stream.match[index] + 1
            if index >= end or texts[index] != "::":
                return index
        return index

    def _operator_end(self, index: int) -> int:
        """The end of `operator ...`, the keyword of which is at `index`: the parenthesis of its parameters."""
        if self.texts[index + 1 : index + 3] == ["(", ")"]:
            return index + 3
        if self.texts[index + 1 : index + 3] == ["[", "]"]:
            index += 2
        index += 1
        while index < len(self.texts) and self.texts[index] != "(":
            index = self.stream.after(index) if self.texts[index] == "<" else index + 1
        return index

    def _is_nested_declarator(self, index: int, begin: int) -> bool:
        """Whether the parenthesis is that of `T (*name)(T)` or `T (&name)[4]`."""
        closing = self.stream.match[index]
        return (
            index > begin
            and self.stream.text_at(index + 1) in _OPERATORS
            and self.stream.text_at(closing + 1) in ("(", "[")
            and not self.stream.is_attribute(closing + 1)
        )

    def _nested(self, begin: int, attributes: list[AttributeList], operators: int, index: int, end: int) -> Head:
        closing = self.stream.match[index]
        start = operators if operators >= 0 else index
        name = None
        name_end = index + 1
        while name_end < closing and (
            self.texts[name_end] in _OPERATORS
            or self.texts[name_end] in _QUALIFIERS
            or self.texts[name_end] == "__restrict"
        ):
            name_end += 1
        if self.stream.is_identifier(name_end):
            name = name_end
        draft = _Draft(start, Span(index + 1, name_end), name, Span(name_end, closing), is_nested=True)
        return Head(Span(begin, start), tuple(attributes), *self._suffix(draft, closing + 1, end))

    def declarator(self, begin: int, end: int) -> tuple[Declarator, int]:
        """Parses a declarator after a comma, without specifiers of its own."""
        index = begin
        while index < end and (self.texts[index] in _OPERATORS or self.texts[index] in _QUALIFIERS):
            index += 1
        if index < end and self.texts[index] == "(" and self._is_nested_declarator(index, begin - 1):
            head = self._nested(begin, [], begin, index, end)
            assert head.declarator is not None
            return head.declarator, head.next
        id_end = self._id_end(index, end)
        name = Span(index, id_end)
        draft = _Draft(begin, Span(begin, index), self._name_token(name) if name.size else None, name)
        return self._suffix(draft, id_end, end)

    def _suffix(self, draft: _Draft, index: int, end: int) -> tuple[Declarator, int]:
        """Parses what follows a name, up to the comma, semicolon or body that ends the declarator."""
        while index < end:
            text = self.texts[index]
            if text == "[" and self.stream.is_attribute(index):
                draft.attributes.append(parse_attributes(self.stream, index))
                index = draft.attributes[-1].span.end
            elif text == "[":
                index = self.stream.after(index)
                draft.arrays.append(Span(self.stream.match[index - 1], index))
            elif text == "(" and self._opens_parameters(draft):
                draft.parameters = Span(index + 1, self.stream.match[index])
                index = self._qualifiers(draft, self.stream.after(index), end)
            elif text == "=" or (text in ("(", "{") and draft.parameters is None and draft.name is not None):
                start = index
                index = self._value_end(index, end)
                draft.initialiser = Span(start, index)
            elif text == ":" and draft.parameters is not None:
                start = index + 1
                index = self._member_initialisers_end(start, end)
                draft.member_initialisers = Span(start, index)
            elif text == ":":
                index = self._value_end(index, end)  # a bit field
            elif text in GROUP_WORDS and self.stream.text_at(index + 1) == "(":
                index = self.stream.after(index + 1)
            else:
                break
        return draft.finish(index), index

    def _opens_parameters(self, draft: _Draft) -> bool:
        if draft.parameters is not None or draft.arrays:
            return False
        if self.in_function and draft.name is not None and not draft.is_nested:
            return self.texts[draft.name] == "operator"
        return True

    def _qualifiers(self, draft: _Draft, begin: int, end: int) -> int:
        index = begin
        while index < end:
            text = self.texts[index]
            if text == "->":
                while index < end and self.texts[index] not in (";", "{", "=", ",", ")"):
                    index = self.stream.after(index)
            elif text in GROUP_WORDS and self.stream.text_at(index + 1) == "(":
                index = self.stream.after(index + 1)
            elif text in _QUALIFIERS:
                index += 1
            else:
                break
        draft.qualifiers = Span(begin, index)
        return index

    def _value_end(self, index: int, end: int) -> int:
        """The end of an initialiser: the comma or semicolon that is in no bracket."""
        if self.texts[index] in ("{", "("):
            return self.stream.after(index)
        while index < end and self.texts[index] not in (",", ";", ")", "}"):
            index = self.stream.after(index)
        return index

    def _member_initialisers_end(self, index: int, end: int) -> int:
        """The `{` of a constructor's body: the first one that does not initialise a member."""
        while index < end:
            while index < end and self.texts[index] not in ("(", "{", ";"):
                index = self.stream.after(index) if self.texts[index] == "<" else index + 1
            if index >= end or self.texts[index] == ";":
                return index
            index = self.stream.after(index)
            while index < end and self.texts[index] == "...":
                index += 1
            if index >= end or self.texts[index] != ",":
                return index
            index += 1
        return index


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function."""

    span: Span
    specifiers: Span
    attributes: tuple[AttributeList, ...]
    declarator: Declarator | None

    @property
    def all_attributes(self) -> tuple[Attribute, ...]:
        """All of its attributes, wherever they stand."""
        lists = self.attributes + (self.declarator.attributes if self.declarator else ())
        return tuple(attribute for found in lists for attribute in found.attributes)


def parse_parameters(stream: TokenStream, span: Span) -> list[Parameter]:
    """Parses the tokens between the parentheses of a parameter list."""
    if not span.size or stream.texts[span.begin : span.end] == ["void"]:
        return []
    parser = DeclaratorParser(stream)
    parameters = []
    for part in stream.split(span):
        head = parser.head(part.begin, part.end)
        parameters.append(Parameter(part, head.specifiers, head.attributes, head.declarator))
    return parameters
