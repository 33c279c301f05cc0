"""Matching of brackets, angle brackets among them.

Whether `<` opens template arguments depends in C++ on what the name before it was declared as. The rules here, in order:
- after `template` it always does;
- after the name of a class, alias or variable template (declared earlier in the text, or Metal's own) it does;
- after any other name it does if what follows closes it and reads like arguments: no operator that arguments do not have,
  and after the `>` something that cannot be the right side of a comparison (see `_reads_as_arguments`).
A `<` that nothing closes before the enclosing bracket or statement ends is a comparison. One forward pass decides all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metalsim.errors import CompileError, Diagnostic
from metalsim.frontend.words import words

if TYPE_CHECKING:
    from metalsim.frontend.tokens import Token

_CLOSING = {")": "(", "]": "[", "}": "{"}
_CLASS_KEYS = frozenset({"struct", "class", "union", "using", "concept"})
# Words before `(` in a template's declaration that are not the name of the function that it declares.
_NOT_A_FUNCTION = frozenset({"sizeof", "alignof", "alignas", "decltype", "noexcept", "__attribute__", "explicit"})
# After these words `<` is an operator.
_NOT_A_TEMPLATE = frozenset(
    {"return", "case", "operator", "else", "sizeof", "alignof", "const", "this", "true", "false"}
)
# A `<` with one of these between it and its `>` is a comparison, unless the name before it is known to be a template.
_NOT_IN_ARGUMENTS = frozenset({"?", "=", "==", "!=", "<<", "+=", "-=", "*=", "/=", "return", "<=", ">=", "++", "--"})
_DECLARING_WORDS = frozenset({"struct", "class", "union", "using", "typedef", "enum", "static", "inline", "constexpr"})

# Templates of Metal's standard library, which the translated text does not declare.
LIBRARY_TEMPLATES = words(
    """
    vec packed_vec matrix simdgroup_matrix array array_ref atomic uniform numeric_limits integral_constant bool_constant
    enable_if conditional decay integer_sequence index_sequence make_integer_sequence make_index_sequence
    static_cast reinterpret_cast const_cast dynamic_cast as_type
    texture1d texture1d_array texture2d texture2d_array texture2d_ms texture3d texturecube texturecube_array
    texture_buffer depth2d depth2d_array depth2d_ms depthcube depthcube_array imageblock visible_function_table
    tensor tensor_ops dextents extents cooperative_tensor execution_simdgroups
    is_same is_void is_integral is_floating_point is_scalar is_vector is_arithmetic is_signed is_unsigned
    is_const is_pointer is_reference is_enum is_class is_union is_convertible is_base_of is_function is_array
    remove_cv remove_const remove_volatile remove_reference remove_pointer remove_addrspace add_const
    make_scalar make_signed make_unsigned make_vector underlying_type common_type disjunction conjunction negation
    """
)


@dataclass
class _Open:
    """A bracket that is not closed yet. `is_certain`: this `<` opens a list for sure, if anything closes it."""

    index: int
    text: str
    is_certain: bool = True
    has_comma: bool = False
    has_logic: bool = False
    is_spoiled: bool = False


@dataclass
class _Matcher:
    tokens: Sequence[Token]
    texts: list[str]
    match: list[int]
    parent: list[int]
    stack: list[_Open] = field(default_factory=list)
    type_templates: set[str] = field(default_factory=set)
    function_templates: set[str] = field(default_factory=set)

    def run(self) -> None:
        enclosing = -1
        for index, text in enumerate(self.texts):
            self.parent[index] = enclosing
            if text in "([{" and text:
                self.stack.append(_Open(index, text))
                enclosing = index
            elif text in _CLOSING:
                opening = self._close(index, text)
                enclosing = self.parent[opening]
                self.parent[index] = enclosing
            elif text == "<":
                self._open_angle(index)
            elif text == ">":
                self._close_angle(index)
            elif self.stack and self.stack[-1].text == "<":
                self._note(text)
        self._drop_angles()
        if self.stack:
            raise self._error(self.stack[-1].index, "is never closed")

    def _error(self, index: int, problem: str) -> CompileError:
        token = self.tokens[index]
        message = f"the bracket '{token.text}' {problem}"
        where = Diagnostic(token.file, token.line, token.column, "error", message)
        return CompileError(f"{token.file}:{token.line}: {message}", [where])

    def _drop_angles(self) -> None:
        while self.stack and self.stack[-1].text == "<":
            self.stack.pop()

    def _close(self, index: int, text: str) -> int:
        self._drop_angles()
        if not self.stack:
            raise self._error(index, "closes nothing")
        opening = self.stack.pop()
        if opening.text != _CLOSING[text]:
            line = self.tokens[opening.index].line
            raise self._error(index, f"does not match the '{opening.text}' of line {line}")
        self._pair(opening.index, index)
        return opening.index

    def _pair(self, opening: int, closing: int) -> None:
        self.match[opening] = closing
        self.match[closing] = opening

    def _note(self, text: str) -> None:
        """Remembers what a list that may turn out to be a comparison contains."""
        if text == ";":
            self._drop_angles()
        elif text == ",":
            self.stack[-1].has_comma = True
        elif text in ("&&", "||"):
            self.stack[-1].has_logic = True
        elif text in _NOT_IN_ARGUMENTS:
            self.stack[-1].is_spoiled = True

    def _open_angle(self, index: int) -> None:
        before = self.texts[index - 1] if index else ""
        if before == "template":
            self.stack.append(_Open(index, "<"))
        elif before == ")" and self.texts[max(index - 3, 0)] == "operator":
            self.stack.append(_Open(index, "<"))  # x.template operator()<0>()
        elif before and (before[0].isalpha() or before[0] == "_") and before not in _NOT_A_TEMPLATE:
            self.stack.append(_Open(index, "<", self._is_type_template(index - 1)))

    def _is_type_template(self, index: int) -> bool:
        name = self.texts[index]
        if name in LIBRARY_TEMPLATES or name in self.type_templates:
            return True
        if name.endswith("_t") or (name.endswith("_v") and name.startswith(("is_", "has_"))):
            return True
        return index > 0 and self.texts[index - 1] == "template"  # x.template load<...>

    def _close_angle(self, index: int) -> None:
        if self.texts[index - 1] == "operator" or (self.texts[index - 2 : index] == ["operator", ">"]):
            return
        while self.stack and self.stack[-1].text == "<":
            opening = self.stack[-1]
            if opening.is_certain or self._reads_as_arguments(opening, index):
                self.stack.pop()
                self._pair(opening.index, index)
                if opening.index and self.texts[opening.index - 1] == "template":
                    self._learn(index + 1)
                return
            self.stack.pop()

    def _reads_as_arguments(self, opening: _Open, closing: int) -> bool:
        name = self.texts[opening.index - 1]
        following = self.texts[closing + 1] if closing + 1 < len(self.texts) else ""
        if opening.is_spoiled or closing == opening.index + 1:
            return closing == opening.index + 1  # `f<>` has no other reading
        if opening.has_logic:
            return following == "(" and name in self.function_templates
        if following in ("(", "::", "{", ",", ")", ";", ">", "[", "]", "...", "}"):
            return True
        if following in _DECLARING_WORDS or not following:
            return False  # `template <int N, bool B = N < 4> struct ...`: this `>` belongs to the outer list
        if following in ("*", "&", "&&") or following[0].isalpha() or following[0] == "_":
            # `a<b, c> d` inside of parentheses is two comparisons; as a statement it declares d.
            parent = self.parent[closing]
            return not opening.has_comma or parent < 0 or self.texts[parent] == "{"
        return False

    def _learn(self, index: int) -> None:
        """Notes the name that a template header, which ends before `index`, introduces."""
        limit = min(index + 80, len(self.texts))
        while index < limit:
            text = self.texts[index]
            before = self.texts[index - 1]
            if text in _CLASS_KEYS and index + 1 < limit:
                self._learn_class(index + 1)
                return
            if text == "template":
                return
            is_name = bool(before) and (before[0].isalpha() or before[0] == "_")
            if text == "(" and is_name and before not in _NOT_A_FUNCTION:
                self.function_templates.add(before)
                return
            if text in ("=", ";") and is_name:
                self.type_templates.add(before)
                return
            if text == "{":
                return
            index += 1

    def _learn_class(self, index: int) -> None:
        while index < len(self.texts) and not (self.texts[index][0].isalpha() or self.texts[index][0] == "_"):
            index += 1
        if self.texts[index : index + 2] in (["alignas", "("], ["__attribute__", "("]):
            while index < len(self.texts) and self.texts[index] not in ("{", ";", ":"):
                index += 1  # the name is the last word before the body
            index -= 1
        if index < len(self.texts):
            self.type_templates.add(self.texts[index])


def match_brackets(tokens: Sequence[Token]) -> tuple[list[int], list[int]]:
    """Matches all brackets of a text.

    Returns:
        The index of each bracket's partner (-1 for every other token and for comparisons), and of the innermost `(`, `[` or
        `{` that encloses each token.

    Raises:
        CompileError: Round, square or curly brackets do not match.
    """
    count = len(tokens)
    matcher = _Matcher(tokens, [token.text for token in tokens], [-1] * count, [-1] * count)
    matcher.run()
    return matcher.match, matcher.parent
