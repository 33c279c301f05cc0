"""Values of integer constant expressions: indices in attributes, which may be enumerators or constants of the program."""

import ast
import operator
import re
from collections.abc import Callable, Mapping

from metalsim.frontend.syntax import DeclarationKind, ScopeKind, Unit
from metalsim.frontend.tokens import Span, TokenKind, TokenStream

_SUFFIX = re.compile(r"[uUlLzZ]+$")
_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    # C's division rounds towards zero
    ast.Div: lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    ast.Mod: lambda a, b: a - b * (abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)),
}
_UNARY: dict[type[ast.unaryop], Callable[[int], int]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_LONGEST = 400  # characters: nothing that long is an index


def integer_literal(text: str) -> int | None:
    """The value of an integer literal of C++, or None."""
    digits = _SUFFIX.sub("", text.replace("'", "")) if not text.startswith(("0x", "0X")) else text.rstrip("uUlLzZ")
    try:
        if len(digits) > 1 and digits[0] == "0" and digits.isdigit():
            return int(digits, 8)
        return int(digits, 0)
    except ValueError:
        return None


def evaluate(text: str, names: Mapping[str, int]) -> int | None:
    """The value of an expression of integers, names and operators, or None where it has anything else."""
    if len(text) > _LONGEST:
        return None
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, names)
    except (SyntaxError, ValueError, ZeroDivisionError, KeyError, OverflowError):
        return None


def _value(node: ast.expr, names: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return int(node.value)
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        right = _value(node.right, names)
        if isinstance(node.op, (ast.LShift, ast.RShift)) and not 0 <= right < 64:
            raise ValueError("a shift out of range")
        return _OPERATIONS[type(node.op)](_value(node.left, names), right)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_value(node.operand, names))
    raise ValueError("not a constant expression")


class Constants:
    """The enumerators and integer constants of a text, looked for at the first use: most texts write plain numbers."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._values: dict[str, int] | None = None

    def value(self, span: Span) -> int | None:
        """The value of the expression in a span, or None if it is not understood."""
        stream = self._unit.stream
        if span.size == 1 and stream.tokens[span.begin].kind is TokenKind.NUMBER:
            return integer_literal(stream.texts[span.begin])
        if self._values is None:
            self._values = {}
            self._collect(self._values)
        return evaluate(_plain(stream, span), self._values)

    def _collect(self, values: dict[str, int]) -> None:
        stream = self._unit.stream
        for declaration in self._unit.declarations:
            if declaration.kind is DeclarationKind.ENUM and declaration.body is not None:
                self._enumerators(declaration.body, values)
            elif declaration.kind is DeclarationKind.VARIABLE and declaration.scope.kind is ScopeKind.NAMESPACE:
                for declarator in declaration.declarators:
                    start = declarator.initialiser
                    if start is None or declarator.name is None or stream.texts[start.begin] != "=":
                        continue
                    value = evaluate(_plain(stream, Span(start.begin + 1, start.end)), values)
                    if value is not None:
                        values[stream.texts[declarator.name]] = value

    def _enumerators(self, body: Span, values: dict[str, int]) -> None:
        stream = self._unit.stream
        following: int | None = 0
        for part in stream.split(body):
            if not part.size:
                continue
            if "=" in stream.texts[part.begin : part.end]:
                equals = stream.texts.index("=", part.begin, part.end)
                following = evaluate(_plain(stream, Span(equals + 1, part.end)), values)
            if following is not None:
                values[stream.texts[part.begin]] = following
                following += 1


def _plain(stream: TokenStream, span: Span) -> str:
    """An expression as Python reads it: literals in decimal, no qualification of names, no casts by `int(...)`."""
    words = []
    for index in range(span.begin, span.end):
        text = stream.texts[index]
        if stream.tokens[index].kind is TokenKind.NUMBER:
            value = integer_literal(text)
            words.append(text if value is None else str(value))
        elif stream.text_at(index + 1) == "::" and index + 1 < span.end:
            continue  # of `Enum::value`
        elif text != "::":
            words.append(text)
    return " ".join(words)
