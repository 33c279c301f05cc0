"""The scan of declarations: walks namespaces, classes and functions and splits what is declared there.

Design points:
- Namespaces and classes are scanned token by token. In a function's body only those statements are looked at that can declare
  something of interest: threadgroup variables, aliases, local classes. A list of the words that start them makes that cheap.
- Nothing is rewritten here, and nothing is refused but unbalanced brackets: what is not understood is an OTHER declaration,
  which stays as it is and which clang judges.
"""

from bisect import bisect_left

from metalsim.frontend.declarators import DeclaratorParser, parse_attributes
from metalsim.frontend.syntax import (
    AttributeList,
    Declaration,
    DeclarationKind,
    Declarator,
    Scope,
    ScopeKind,
    Unit,
)
from metalsim.frontend.tokens import Span, TokenStream

_CLASS_KEYS = frozenset({"struct", "class", "union"})
_ACCESS = frozenset({"public", "private", "protected"})
# Words that may stand between `struct` and its body without being its name.
_AFTER_CLASS_KEY = frozenset({"alignas", "__attribute__", "final", "class", "struct"})
# Words of interest in a function's body.
_BODY_WORDS = frozenset({"threadgroup", "using", "typedef", "struct", "class", "union", "constant"})
_STATEMENT_ENDS = frozenset({";", "{", "}", ":"})
# Statements that no declaration starts with.
_CONTROL_WORDS = frozenset({"if", "for", "while", "switch", "return", "else", "do", "case", "default", "goto"})


def scan(stream: TokenStream) -> Unit:
    """Finds the declarations of a text."""
    scanner = _Scanner(stream)
    scope = Scope(ScopeKind.NAMESPACE, Span(0, len(stream)))
    scanner.scan_scope(scope)
    return Unit(stream, tuple(scanner.found))


class _Scanner:
    def __init__(self, stream: TokenStream) -> None:
        self.stream = stream
        self.texts = stream.texts
        self.found: list[Declaration] = []
        self._parser = DeclaratorParser(stream)
        self._body_parser = DeclaratorParser(stream, in_function=True)
        self._body_words = [index for index, text in enumerate(self.texts) if text in _BODY_WORDS]

    def scan_scope(self, scope: Scope) -> None:
        """Scans the declarations of a namespace or class."""
        index = scope.span.begin
        while index < scope.span.end:
            text = self.texts[index]
            if text == ";":
                index += 1
            elif text in _ACCESS and self.stream.text_at(index + 1) == ":":
                index += 2
            elif text == "namespace" or (text == "inline" and self.stream.text_at(index + 1) == "namespace"):
                index = self._namespace(index, scope)
            elif (
                text == "extern"
                and self.stream.text_at(index + 1).startswith('"')
                and self.stream.text_at(index + 2) == "{"
            ):
                body = Span(index + 3, self.stream.match[index + 2])
                self.scan_scope(Scope(scope.kind, body, scope.path, scope.owner, scope.parent))
                index = body.end + 1
            else:
                index = self._declaration(index, scope.span.end, scope)

    def _opens_linkage(self, index: int) -> bool:
        """Whether `extern "C" {` starts at `index`."""
        following = [self.stream.text_at(index + offset) for offset in (1, 2)]
        return self.texts[index] == "extern" and following[0].startswith('"') and following[1] == "{"

    def _namespace(self, index: int, scope: Scope) -> int:
        names: list[str] = []
        while index < scope.span.end and self.texts[index] not in ("{", ";"):
            if self.stream.is_attribute(index):
                index = self.stream.after(index)
                continue
            if self.texts[index] == "=":  # an alias of a namespace
                while index < scope.span.end and self.texts[index] != ";":
                    index += 1
                return index + 1
            if self.stream.is_identifier(index) and self.texts[index] not in ("namespace", "inline"):
                names.append(self.texts[index])
            index += 1
        if index >= scope.span.end or self.texts[index] == ";":
            return index + 1
        body = Span(index + 1, self.stream.match[index])
        self.scan_scope(Scope(ScopeKind.NAMESPACE, body, (*scope.path, *names), None, scope))
        return body.end + 1

    def _declaration(self, begin: int, end: int, scope: Scope) -> int:
        """Scans one declaration and what is nested in it; returns the index after it, which is larger than `begin`."""
        headers: list[Span] = []
        index = begin
        while (
            self.texts[index] == "template"
            and self.stream.text_at(index + 1) == "<"
            and self.stream.match[index + 1] > 0
        ):
            headers.append(Span(index + 2, self.stream.match[index + 1]))
            index = headers[-1].end + 1
        if index >= end:
            return end
        text = self.texts[index]
        if text == "using":
            return self._using(begin, index, end, scope, tuple(headers))
        if text in ("static_assert", "friend", "asm", "_Static_assert"):
            return self._other(begin, index, end, scope)
        if text == "template" or (text == "extern" and self.stream.text_at(index + 1) == "template"):
            return self._explicit_instantiation(begin, index, end, scope)
        kind = DeclarationKind.TYPEDEF if text == "typedef" else DeclarationKind.VARIABLE
        key = self._class_key(index, end)
        if key >= 0:
            return self._class_or_enum(begin, key, end, scope, tuple(headers), kind)
        return self._general(begin, index, end, scope, tuple(headers), kind)

    def _skip_to_semicolon(self, index: int, end: int) -> int:
        while index < end and self.texts[index] != ";":
            index = self.stream.after(index)
        return min(index, end)

    def _other(self, begin: int, index: int, end: int, scope: Scope) -> int:
        """Passes over a declaration up to its semicolon, or over the body of a friend that is defined in place."""
        while index < end and self.texts[index] not in (";", "{"):
            index = self.stream.after(index)
        body = None
        if index < end and self.texts[index] == "{":
            body = Span(index + 1, self.stream.match[index])
            index = body.end
        declaration = Declaration(DeclarationKind.OTHER, Span(begin, min(index + 1, end)), scope, body=body)
        self.found.append(declaration)
        if body is not None:
            self._function_body(declaration, body)
        return declaration.span.end

    def _using(self, begin: int, index: int, end: int, scope: Scope, headers: tuple[Span, ...]) -> int:
        stop = self._skip_to_semicolon(index, end)
        name = index + 1
        equals = name + 1
        while equals < stop and self.stream.is_attribute(equals):
            equals = self.stream.after(equals)
        span = Span(begin, min(stop + 1, end))
        if equals < stop and self.texts[equals] == "=" and self.stream.is_identifier(name):
            target = Span(equals + 1, stop)
            self.found.append(Declaration(DeclarationKind.ALIAS, span, scope, headers, target, name=name))
        else:
            self.found.append(Declaration(DeclarationKind.OTHER, span, scope, headers))
        return span.end

    def _explicit_instantiation(self, begin: int, index: int, end: int, scope: Scope) -> int:
        index += 2 if self.texts[index] == "extern" else 1
        head = self._parser.head(index, end)
        stop = self._skip_to_semicolon(head.next, end)
        declarators = (head.declarator,) if head.declarator else ()
        self.found.append(
            Declaration(
                DeclarationKind.EXPLICIT_INSTANTIATION,
                Span(begin, min(stop + 1, end)),
                scope,
                (),
                head.specifiers,
                head.attributes,
                declarators,
            )
        )
        return min(stop + 1, end)

    def _class_key(self, index: int, end: int) -> int:
        """The `struct`, `class`, `union` or `enum` with a body (or without anything else) among the specifiers, or -1."""
        while index < end:
            text = self.texts[index]
            if text in _CLASS_KEYS or text == "enum":
                return index if self._class_body(index, end) is not None else -1
            if text in ("(", "=", ";", "{", ",", "<", "*", "&", "operator", "::"):
                return -1
            index = self.stream.after(index)
        return -1

    def _class_body(self, key: int, end: int) -> int | None:
        """The `{` of the class or enum whose key is at `key`; the `;` of a forward declaration; None for anything else."""
        index = key + 1
        has_name = False
        while index < end:
            text = self.texts[index]
            if text in ("{", ";"):
                return index
            if text == ":":
                while index < end and self.texts[index] not in ("{", ";"):
                    index = self.stream.after(index)
                return index if index < end else None
            if self.stream.is_identifier(index) and text not in _AFTER_CLASS_KEY:
                is_second = has_name and self.texts[index - 1] != "::"
                if is_second and self.stream.text_at(self.stream.after(index)) not in ("{", ":"):
                    return None  # `struct Name variable`; before a body it is a macro and the name
                has_name = True
            elif not self._may_follow_class_key(index):
                return None
            index = self.stream.after(index)
        return None

    def _may_follow_class_key(self, index: int) -> bool:
        text = self.texts[index]
        if text == "(":
            return self.texts[index - 1] in ("alignas", "__attribute__")
        return text in _AFTER_CLASS_KEY or text in ("<", "::") or self.stream.is_attribute(index)

    def _class_or_enum(
        self, begin: int, key: int, end: int, scope: Scope, headers: tuple[Span, ...], kind: DeclarationKind
    ) -> int:
        opening = self._class_body(key, end)
        assert opening is not None
        is_enum = self.texts[key] == "enum"
        body = Span(opening + 1, self.stream.match[opening]) if self.texts[opening] == "{" else None
        after = body.end + 1 if body is not None else opening
        name, attributes = self._class_name(key, opening)
        declarators, stop = self._declarators(after, end) if body is not None else ((), opening)
        declaration = Declaration(
            DeclarationKind.ENUM if is_enum else DeclarationKind.CLASS,
            Span(begin, min(stop + 1, end)),
            scope,
            headers,
            Span(begin, after),
            attributes,
            () if kind is DeclarationKind.TYPEDEF else declarators,
            body,
            name,
        )
        self.found.append(declaration)
        if kind is DeclarationKind.TYPEDEF and declarators:
            self.found.append(
                Declaration(kind, declaration.span, scope, headers, Span(begin, after), (), declarators, None, None)
            )
        if body is not None and not is_enum:
            path = (*scope.path, self.texts[name] if name is not None else "")
            self.scan_scope(Scope(ScopeKind.CLASS, body, path, declaration, scope))
        return declaration.span.end

    def _class_name(self, key: int, opening: int) -> tuple[int | None, tuple[AttributeList, ...]]:
        name = None
        attributes = []
        index = key + 1
        while index < opening and self.texts[index] != ":":
            if self.stream.is_attribute(index):
                attributes.append(parse_attributes(self.stream, index))
            elif self.stream.is_identifier(index) and self.texts[index] not in ("alignas", "__attribute__", "final"):
                name = index
            index = self.stream.after(index)
        return name, tuple(attributes)

    def _declarators(self, index: int, end: int, *, in_function: bool = False) -> tuple[tuple[Declarator, ...], int]:
        """Parses declarators up to the semicolon; returns them and where it is."""
        parser = self._body_parser if in_function else self._parser
        declarators = []
        while index < end and self.texts[index] != ";":
            declarator, after = parser.declarator(index, end)
            declarators.append(declarator)
            index = after if after > index else self._skip_to_semicolon(index, end)
            if index < end and self.texts[index] == ",":
                index += 1
            else:
                break
        return tuple(declarators), self._skip_to_semicolon(index, end)

    def _general(
        self, begin: int, index: int, end: int, scope: Scope, headers: tuple[Span, ...], kind: DeclarationKind
    ) -> int:
        parser = self._body_parser if scope.kind is ScopeKind.FUNCTION else self._parser
        head = parser.head(index, end)
        first = head.declarator
        stop = max(head.next, index)
        if (
            first is not None
            and first.parameters is not None
            and not first.is_nested
            and kind is not DeclarationKind.TYPEDEF
        ):
            if stop < end and self.texts[stop] == "{":
                return self._function(begin, stop, scope, headers, head.specifiers, head.attributes, first)
            kind = DeclarationKind.FUNCTION
        declarators: tuple[Declarator, ...] = () if first is None else (first,)
        if stop < end and self.texts[stop] == "," and first is not None:
            rest, stop = self._declarators(stop + 1, end, in_function=scope.kind is ScopeKind.FUNCTION)
            declarators = (first, *rest)
        else:
            stop = self._end_of_unknown(stop, end)
        span = Span(begin, max(min(stop + 1, end), begin + 1))
        kind = kind if declarators else DeclarationKind.OTHER
        self.found.append(Declaration(kind, span, scope, headers, head.specifiers, head.attributes, declarators))
        return span.end

    def _end_of_unknown(self, index: int, end: int) -> int:
        """The semicolon that ends a declaration; or a block, for one that is not understood and has no semicolon."""
        while index < end and self.texts[index] != ";":
            if self.texts[index] == "{" and self.stream.text_at(self.stream.match[index] + 1) not in (
                ";",
                ",",
                "(",
                ".",
            ):
                return self.stream.match[index]
            index = self.stream.after(index)
        return index

    def _function(
        self,
        begin: int,
        opening: int,
        scope: Scope,
        headers: tuple[Span, ...],
        specifiers: Span,
        attributes: tuple[AttributeList, ...],
        declarator: Declarator,
    ) -> int:
        body = Span(opening + 1, self.stream.match[opening])
        declaration = Declaration(
            DeclarationKind.FUNCTION,
            Span(begin, body.end + 1),
            scope,
            headers,
            specifiers,
            attributes,
            (declarator,),
            body,
        )
        self.found.append(declaration)
        self._function_body(declaration, body)
        return declaration.span.end

    def _function_body(self, owner: Declaration, body: Span) -> None:
        scope = Scope(ScopeKind.FUNCTION, body, owner.scope.path, owner, owner.scope)
        reached = body.begin
        first = bisect_left(self._body_words, body.begin)
        last = bisect_left(self._body_words, body.end)
        for index in self._body_words[first:last]:
            if index < reached or self.texts[self.stream.parent[index]] != "{":
                continue
            start = self._statement_start(index, reached)
            if self._may_declare(start, index):
                reached = self._declaration(start, body.end, self._block(scope, index))

    def _block(self, scope: Scope, index: int) -> Scope:
        """The scope of a statement: the block around it."""
        opening = self.stream.parent[index]
        return Scope(scope.kind, Span(opening + 1, self.stream.match[opening]), scope.path, scope.owner, scope.parent)

    def _may_declare(self, start: int, index: int) -> bool:
        text = self.texts[index]
        if self.texts[start] in _CONTROL_WORDS:
            return False
        if text in ("threadgroup", "constant"):
            return True
        if text in ("using", "typedef"):
            return start == index
        return self._class_body(index, len(self.texts)) is not None  # `struct S s;` declares nothing of interest

    def _statement_start(self, index: int, limit: int) -> int:
        while index > limit and self.texts[index - 1] not in _STATEMENT_ENDS:
            partner = self.stream.match[index - 1]
            index = partner if 0 <= partner < index - 1 else index - 1
        return index
