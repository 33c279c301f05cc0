"""Construction and conversion of vectors.

clang's vectors have no constructors, and its casts between vectors of one size reinterpret bits. So `float4(a, b)`,
`static_cast<float4>(x)`, `(float4)x` and `float4 v(a, b);` become METALSIM_MAKE(float4)(...), which converts as Metal does.
Where only the instantiation tells whether a type is a vector (template parameters, aliases, member types), METALSIM_MAKE is
used as well; it does for other types what the expression did. half and bfloat are treated like vectors: clang cannot
convert one to the other.

What must stay as it is: declarations. `T (*op)(T, T)` is a parameter, `using F = T(T)` a type, `: Base(x)` initialises a
base, and `T name(x)` declares a variable, which may be of a class that cannot be copied.
"""

from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.syntax import DeclarationKind
from metalsim.frontend.tokens import Span, TokenKind
from metalsim.frontend.type_names import LIBRARY_ALIASES, VECTOR_TYPES, TypeNames

_CONVERTED = VECTOR_TYPES | {"half", "bfloat"}
# Words after which an expression may begin. After any other identifier `T(` declares something.
_BEFORE_EXPRESSION = frozenset({"return", "case", "else", "do", "typename", "goto", "co_return"})
_NO_DECLARATION_BEFORE = frozenset(
    {"struct", "class", "union", "enum", "using", "operator", "explicit", "namespace", "~"}
)
_CASTS = frozenset({"static_cast"})
_QUALIFIERS = frozenset({"const", "volatile", "thread"})
_UNARY = frozenset({"-", "+", "!", "~", "*", "&", "++", "--"})
# Words before `(T)` that make it something else than a cast.
_TAKES_TYPE = frozenset({"sizeof", "alignof", "decltype", "typeof", "noexcept", "alignas", "__attribute__", "typeid"})


class Constructors:
    """Rewrites all constructions and conversions of a text."""

    def __init__(self, context: Context, names: TypeNames) -> None:
        self._context = context
        self._stream = context.stream
        self._texts = context.stream.texts
        self._names = names
        self._parameter_lists: set[int] = set()  # the `(` of parameter lists, in which `T (*name)(...)` declares
        self._excluded: set[int] = set()  # first tokens of types that a `(` follows without constructing anything
        self._cast_ends: set[int] = set()  # the `)` of casts, which another cast may follow
        self._in_function = bytearray(len(self._stream))
        self._collect_declarations()

    def rewrite(self) -> None:
        """Rewrites every construction, cast and variable initialised by parentheses."""
        for index, text in enumerate(self._texts):
            if text != "(":
                continue
            if index and self._stream.match[index] > index + 1:
                self._call(index)
            if self._stream.match[index] > index + 1:
                self._c_cast(index)

    def _collect_declarations(self) -> None:
        for declaration in self._context.unit.declarations:
            body = declaration.body
            if declaration.kind is DeclarationKind.FUNCTION and body is not None:
                self._in_function[body.begin : body.end] = b"\1" * body.size
            if declaration.kind is DeclarationKind.ALIAS:
                self._excluded.add(declaration.specifiers.begin)
            for declarator in declaration.declarators:
                if declarator.parameters is not None:
                    self._parameter_lists.add(declarator.parameters.begin - 1)
                if declaration.kind is DeclarationKind.FUNCTION:
                    self._excluded.add(declarator.id.begin)  # a constructor: its name may be that of an alias elsewhere
                if declarator.member_initialisers is not None:
                    for part in self._stream.split(declarator.member_initialisers):
                        self._excluded.add(part.begin)
        for index, text in enumerate(self._texts):
            if text == "]" and self._stream.text_at(index + 1) == "(":
                self._parameter_lists.add(
                    index + 1
                )  # of a lambda, or a call of an element: `*name` alone tells them apart

    def _call(self, opening: int) -> None:
        """Looks at what stands before a `(`: a type makes it a construction."""
        before = opening - 1
        text = self._texts[before]
        if text == ">" and self._stream.match[before] >= 0:
            angle = self._stream.match[before]
            if self._texts[angle - 1] in _CASTS:
                self._static_cast(angle)
            elif self._is_template_of_vectors(angle - 1):
                self._construct(self._type_begin(angle - 1), before, opening)
        elif text == ")" and self._texts[self._stream.match[before] - 1] == "decltype":
            self._construct(self._stream.match[before] - 1, before, opening)
        elif self._stream.tokens[before].kind is TokenKind.IDENTIFIER:
            if self._is_vector_name(before):
                self._construct(self._type_begin(before), before, opening)
            else:
                self._variable(before, opening)

    def _type_begin(self, name: int) -> int:
        """The first token of a qualified name that ends with the identifier at `name`."""
        begin = name
        while self._stream.text_at(begin - 1) in ("::", "template"):
            if self._texts[begin - 1] == "template":
                begin -= 1
                continue
            if self._stream.is_identifier(begin - 2):
                begin -= 2
            elif self._stream.text_at(begin - 2) == ">" and self._stream.match[begin - 2] > 0:
                begin = self._stream.match[begin - 2] - 1
            else:
                return begin - 1
        return begin

    def _is_vector_name(self, name: int) -> bool:
        """Whether the identifier at `name`, with its qualification, may name a vector type."""
        text = self._texts[name]
        if self._stream.text_at(name - 1) in (".", "->"):
            return False
        if text in _CONVERTED:
            return True
        if self._stream.text_at(name - 1) == "::":
            is_typename = self._stream.text_at(self._type_begin(name) - 1) == "typename"
            return is_typename or self._names.is_member_type(text) or self._names.may_be_vector(text, name)
        return self._names.may_be_vector(text, name)

    def _is_template_of_vectors(self, name: int) -> bool:
        text = self._texts[name]
        if text in LIBRARY_ALIASES:
            return True
        if self._stream.text_at(name - 1) == "::":
            if self._stream.text_at(self._type_begin(name) - 1) == "typename":
                return True
            return self._names.is_member_type(text) or self._names.may_be_vector(text, name)
        return self._names.may_be_vector(text, name)

    def _static_cast(self, angle: int) -> None:
        """`static_cast<T>(x)`: with T spelled without pointers, references and address spaces."""
        target = Span(angle + 1, self._stream.match[angle])
        core = self._without_qualifiers(target)
        if not self._is_plain_type(core):
            return
        edits = self._context.edits
        edits.replace(angle - 1, "METALSIM_MAKE")
        edits.replace(angle, "(")
        edits.replace(target.end, ")")
        self._blank_qualifiers(target, core)

    def _without_qualifiers(self, span: Span) -> Span:
        """A type without `const` at its ends, which means nothing for the value that a cast makes."""
        begin, end = span.begin, span.end
        while begin < end and self._texts[begin] in _QUALIFIERS:
            begin += 1
        while end > begin and self._texts[end - 1] in _QUALIFIERS:
            end -= 1
        return Span(begin, end)

    def _blank_qualifiers(self, span: Span, core: Span) -> None:
        self._context.edits.blank(Span(span.begin, core.begin))
        self._context.edits.blank(Span(core.end, span.end))

    def _is_plain_type(self, span: Span) -> bool:
        """Whether a span is the name of what may be a vector type, and nothing else."""
        begin = span.begin + 1 if self._stream.text_at(span.begin) == "typename" else span.begin
        last = span.end - 1
        if last < begin:
            return False
        if self._texts[last] == ">" and self._stream.match[last] > begin:
            name = self._stream.match[last] - 1
            return self._type_begin(name) == begin and self._is_template_of_vectors(name)
        if self._texts[last] == ")" and self._texts[begin] == "decltype":
            return self._stream.match[last] == begin + 1
        if self._stream.tokens[last].kind is not TokenKind.IDENTIFIER:
            return False
        return self._type_begin(last) == begin and self._is_vector_name(last)

    def _construct(self, begin: int, end: int, opening: int) -> None:
        if begin in self._excluded or self._declares(begin, opening):
            return
        if self._stream.text_at(begin - 1) == "typename":
            begin -= 1
        self._context.edits.insert_before(begin, "METALSIM_MAKE(")
        self._context.edits.insert_after(end, ")")

    def _declares(self, begin: int, opening: int) -> bool:
        """Whether `type(` is part of a declaration and constructs nothing."""
        before = self._stream.text_at(begin - 1)
        if before in _NO_DECLARATION_BEFORE:
            return before != "~" or self._stream.text_at(begin - 2) in ("{", "}", ";", ":")
        if self._stream.is_identifier(begin - 1) and before not in _BEFORE_EXPRESSION:
            return True
        if before == ">" and self._stream.match[begin - 1] >= 0:
            return True  # after a template header, or `a<b> float4(...)`
        closing = self._stream.match[opening]
        if self._texts[opening + 1] not in ("*", "&", "&&") or self._stream.text_at(closing + 1) not in ("(", "["):
            return False
        is_statement = before in ("{", "}", ";", "")
        return is_statement or self._stream.parent[begin] in self._parameter_lists

    def _variable(self, name: int, opening: int) -> None:
        """`float4 v(a, b);` in a function: the same as `float4 v = float4(a, b);`."""
        type_end = name - 1
        if self._texts[type_end] == ">":
            angle = self._stream.match[type_end]
            if angle < 0 or self._texts[angle - 1] != "vec":
                return
            begin = self._type_begin(angle - 1)
        elif self._texts[type_end] in VECTOR_TYPES:
            begin = self._type_begin(type_end)
        else:
            return
        if not self._in_function[opening]:
            return
        following = self._stream.text_at(self._stream.match[opening] + 1)
        if following in (";", ","):
            text = self._stream.text(Span(begin, type_end + 1))
            self._context.edits.insert_before(opening, f" = METALSIM_MAKE({text})")

    def _c_cast(self, opening: int) -> None:
        """`(float4)x`: the operand ends where a unary expression does."""
        closing = self._stream.match[opening]
        target = Span(opening + 1, closing)
        if not self._stream.is_identifier(opening + 1) and self._texts[opening + 1] != "::":
            return
        core = self._without_qualifiers(target)
        if not self._is_plain_type(core) or not self._may_cast(opening):
            return
        end = self._operand_end(closing + 1)
        if end is None:
            return
        self._cast_ends.add(closing)
        self._blank_qualifiers(target, core)
        self._context.edits.replace(opening, "METALSIM_MAKE(")
        self._context.edits.insert_after(closing, "(")
        self._context.edits.insert_after(end - 1, ")")

    def _may_cast(self, opening: int) -> bool:
        before = self._stream.text_at(opening - 1)
        if before == ")":
            return opening - 1 in self._cast_ends
        if before == "]" or (before == ">" and self._stream.match[opening - 1] >= 0):
            return False
        if before in _TAKES_TYPE:
            return False
        return not self._stream.is_identifier(opening - 1) or before in _BEFORE_EXPRESSION

    def _operand_end(self, index: int) -> int | None:
        """The end of the operand of a cast, or None if what follows is no operand."""
        count = len(self._texts)
        while index < count and self._texts[index] in _UNARY:
            index += 1
        if index >= count:
            return None
        token = self._stream.tokens[index]
        if token.text == "(":
            index = self._stream.after(index)
            inner = Span(self._stream.match[index - 1] + 1, index - 1)
            if self._is_plain_type(inner) and self._stream.text_at(index) not in (".", "->", "[", "(", ")", ",", ";"):
                return self._operand_end(index)
        elif token.kind is TokenKind.PUNCTUATION and token.text != "::":
            return None
        else:
            index = self._primary_end(index)
        while self._stream.text_at(index) in ("(", "[", ".", "->", "++", "--"):
            is_member = self._texts[index] in (".", "->")
            index = self._primary_end(index + 1) if is_member else self._stream.after(index)
        return index

    def _primary_end(self, index: int) -> int:
        """The end of a literal or a qualified name with its template arguments."""
        while True:
            while self._stream.text_at(index) in ("::", "template"):
                index += 1
            index += 1
            if self._stream.text_at(index) == "<" and self._stream.match[index] > 0:
                index = self._stream.after(index)
            if self._stream.text_at(index) != "::":
                return index
