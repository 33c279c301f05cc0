"""What a source uses of Metal that the translation takes out of the text, for the table of witnesses (metalsim/witnesses.py).

- ``attribute buffer(name)``: with what its argument is, a number, a name or an expression.
- ``attribute function_constant(name) of a parameter``; ``(derived name)`` for one that is made of function constants.
- ``attribute thread_position_in_grid uint3``: with the type of the parameter.
- ``pragma clang loop unroll(full)``: written as a _Pragma, too.
- ``macro INFINITY``, ``header metal_stdlib``: of all files that were included.
- ``form member function, const thread``: the words after the parameters, or "no address space".
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from metalsim.frontend.declarations import scan
from metalsim.frontend.declarators import parse_attributes
from metalsim.frontend.preprocess import PREDEFINED, STAGE1
from metalsim.frontend.syntax import ADDRESS_SPACES, Attribute, Declaration, DeclarationKind, ScopeKind, Unit
from metalsim.frontend.tokens import TokenKind, TokenStream
from metalsim.frontend.translation import Translation

_MARKER = re.compile(r'#[ \t]*(?:line[ \t]+)?(\d+)[ \t]+"([^"]*)"')
_PRAGMA = re.compile(r"[ \t]*#[ \t]*pragma[ \t]+(.*?)[ \t]*$")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DEFINITION = re.compile(r"^#define (\w+)", re.MULTILINE)
_HEADER = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<(metal_\w+)>", re.MULTILINE)
_WORD = re.compile(r"\w+")


@functools.cache
def _macros() -> frozenset[str]:
    headers = (path.read_text() for path in STAGE1.rglob("*") if path.is_file())
    return frozenset(PREDEFINED).union(*map(_DEFINITION.findall, headers))


class Use(NamedTuple):
    """Something of Metal that a source uses."""

    file: str
    line: int
    key: str


def written_uses(preprocessed: str, translation: Translation) -> Iterator[Use]:
    """Yield the uses that preprocessed text and the files that it was made of show; ``translation`` is the text's."""
    stream = TokenStream(preprocessed)
    yield from _attributes(stream, translation)
    yield from _member_functions(scan(stream))
    yield from _pragmas(preprocessed)
    for file in sorted({match.group(2) for match in map(_MARKER.match, preprocessed.splitlines()) if match}):
        path = Path(file)
        if path.is_file() and STAGE1 not in path.parents:
            yield from _of_file(file, path.read_text())


def _attributes(stream: TokenStream, translation: Translation) -> Iterator[Use]:
    positions = {parameter.kind for kernel in translation.kernels.values() for parameter in kernel.parameters}
    for index, text in enumerate(stream.texts):
        if text == "[" and stream.is_attribute(index):
            token = stream.tokens[index]
            of_parameter = stream.text_at(stream.parent[index]) == "("
            for attribute in parse_attributes(stream, index).attributes:
                if attribute.arguments is not None or attribute.name not in positions:
                    argument = _argument(stream, attribute, translation, of_parameter)
                    place = " of a parameter" if of_parameter and attribute.name == "function_constant" else ""
                    yield Use(token.file, token.line, f"attribute {attribute.name}{argument}{place}")
    for kernel in translation.kernels.values():
        for parameter in kernel.parameters:
            if parameter.kind not in ("buffer", "threadgroup_memory"):
                yield Use(kernel.file, parameter.line, f"attribute {parameter.kind} {parameter.type}")


def _argument(stream: TokenStream, attribute: Attribute, translation: Translation, of_parameter: bool) -> str:
    span = attribute.arguments
    if span is None:
        return ""
    token = stream.tokens[span.begin]
    if span.size != 1 or token.kind not in (TokenKind.IDENTIFIER, TokenKind.NUMBER):
        return "(expression)"
    if token.kind is TokenKind.NUMBER:
        return "(number)"
    is_derived = attribute.name == "function_constant" and of_parameter and token.text not in translation.constants
    return "(derived name)" if is_derived else "(name)"


def _member_functions(unit: Unit) -> Iterator[Use]:
    texts = unit.stream.texts
    for declaration in unit.declarations:
        if not _has_object(unit, declaration):
            continue
        declarator = declaration.declarators[0]
        words = texts[declarator.qualifiers.begin : declarator.qualifiers.end]
        words = words[: words.index("->")] if "->" in words else words
        spaces = [word for word in words if word in ADDRESS_SPACES]
        form = " ".join([*(["const"] if "const" in words else []), *spaces]) if spaces else "no address space"
        token = unit.stream.tokens[declarator.id.begin]
        yield Use(token.file, token.line, f"form member function, {form}")


def _has_object(unit: Unit, declaration: Declaration) -> bool:
    """Whether it is a member function that is neither static nor a constructor."""
    if declaration.kind is not DeclarationKind.FUNCTION or declaration.scope.kind is not ScopeKind.CLASS:
        return False
    texts = unit.stream.texts
    specifiers = texts[declaration.specifiers.begin : declaration.specifiers.end]
    name = declaration.declarators[0].id if declaration.declarators else None
    if name is None or {"static", "friend"} & set(specifiers):
        return False
    return texts[name.begin] != declaration.scope.path[-1] and "~" not in texts[name.begin : name.end]


def _pragmas(preprocessed: str) -> Iterator[Use]:
    file, line = "", 0
    for text in preprocessed.splitlines():
        line += 1
        if marker := _MARKER.match(text):
            line, file = int(marker.group(1)) - 1, marker.group(2)
        elif (pragma := _PRAGMA.match(text)) and pragma.group(1) != "once":
            yield Use(file, line, f"pragma {pragma.group(1)}")


def _of_file(file: str, text: str) -> Iterator[Use]:
    """Macros that Metal has, and its headers."""
    text = _COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), text)
    for match in _HEADER.finditer(text):
        yield Use(file, text.count("\n", 0, match.start()) + 1, f"header {match.group(1)}")
    for number, line in enumerate(text.splitlines(), 1):
        for name in sorted(_macros().intersection(_WORD.findall(line))):
            yield Use(file, number, f"macro {name}")
