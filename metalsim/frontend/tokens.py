"""The lexer: preprocessed Metal source to tokens that know the file, line and column they came from.

Design points:
- One compiled regular expression. White space is never matched: the search skips it, and an edited text is put together
  again from slices of the source, so that everything between tokens (line markers, pragmas, blank lines) stays as it is.
- `>` is always a token of its own, so that the `>>` of `a<b<c>>` closes two lists; nobody downstream needs `>>` whole.
- The preprocessor removes comments; the lexer skips those that are left all the same, for callers without one.
"""

import enum
import re
from dataclasses import dataclass
from typing import NamedTuple

from metalsim.frontend.brackets import match_brackets

_LINE_MARKER = re.compile(r'[ \t]*#[ \t]*(?:line[ \t]+)?(\d+)[ \t]*(?:"((?:[^"\\]|\\.)*)")?')

# The order matters: a directive and a comment start with characters that are punctuation elsewhere.
_TOKEN = re.compile(
    r"""
      (?P<directive> ^[ \t]*\#[^\n]* )
    | (?P<identifier> [A-Za-z_$][A-Za-z0-9_$]* )
    | (?P<number> \.?[0-9](?:[eEpP][+-]|[0-9A-Za-z_.]|'[0-9A-Za-z])* )
    | (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<string> "(?:[^"\\\n]|\\.)*" )
    | (?P<character> '(?:[^'\\\n]|\\.)*' )
    | (?P<punctuation> :: | -> | <<= | >= | <= | == | != | && | \|\| | \+\+ | -- | << | \.\.\. | [-+*/%&|^]= | \S )
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


class TokenKind(enum.Enum):
    """What a token is. Keywords are identifiers: Metal's own are ordinary words to the lexer."""

    IDENTIFIER = "identifier"
    NUMBER = "number"
    STRING = "string"
    CHARACTER = "character"
    PUNCTUATION = "punctuation"


_KINDS = {kind.value: kind for kind in TokenKind}


class Token(NamedTuple):
    """One token. `start` is its offset in the preprocessed text; `file`, `line` and `column` are those of the source."""

    kind: TokenKind
    text: str
    start: int
    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Span:
    """Tokens `begin` to `end - 1`."""

    begin: int
    end: int

    def __contains__(self, index: int) -> bool:
        return self.begin <= index < self.end

    @property
    def size(self) -> int:
        """How many tokens they are. No `__len__`: an empty span, such as a body without statements, is no lack of one."""
        return self.end - self.begin


def tokenize(source: str, file: str = "<source>") -> list[Token]:
    """Splits preprocessed text into tokens; `file` names what comes before the first line marker."""
    tokens: list[Token] = []
    line = 1
    line_start = 0
    next_newline = source.find("\n")
    for match in _TOKEN.finditer(source):
        start = match.start()
        while 0 <= next_newline < start:
            line += 1
            line_start = next_newline + 1
            next_newline = source.find("\n", line_start)
        kind = match.lastgroup
        if kind == "directive":
            marker = _LINE_MARKER.match(match.group())
            if marker:
                line = int(marker.group(1)) - 1  # the marker counts for the line after it
                file = marker.group(2) or file
        elif kind is not None and kind != "comment":
            tokens.append(Token(_KINDS[kind], match.group(), start, file, line, start - line_start + 1))
    return tokens


class TokenStream:
    """The tokens of a text with their brackets matched.

    Attributes:
        source: The text.
        tokens: Its tokens.
        texts: The text of each token, for quick comparisons.
        match: For each of `( [ { <` and their partners the partner's index, else -1. `<` and `>` have one only where
            they enclose template arguments or parameters.
        parent: For each token the index of the `(`, `[` or `{` that encloses it most closely, else -1.
    """

    def __init__(self, source: str, file: str = "<source>") -> None:
        self.source = source
        self.tokens = tokenize(source, file)
        self.texts = [token.text for token in self.tokens]
        self.match, self.parent = match_brackets(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def is_identifier(self, index: int) -> bool:
        """Whether the token at `index` is an identifier or keyword; False outside of the text."""
        return 0 <= index < len(self.tokens) and self.tokens[index].kind is TokenKind.IDENTIFIER

    def text_at(self, index: int) -> str:
        """The text of one token; empty outside of the text."""
        return self.texts[index] if 0 <= index < len(self.texts) else ""

    def is_attribute(self, index: int) -> bool:
        """Whether the `[` at `index` opens an attribute list `[[ ... ]]`."""
        return (
            self.text_at(index) == "["
            and self.text_at(index + 1) == "["
            and self.match[index] == self.match[index + 1] + 1
        )

    def after(self, index: int) -> int:
        """The index after the token at `index`, or after the whole group if it opens one."""
        partner = self.match[index]
        return partner + 1 if partner > index else index + 1

    def text(self, span: Span) -> str:
        """The text of a span on one line: a space where the source has any white space."""
        pieces: list[str] = []
        position = -1
        for token in self.tokens[span.begin : span.end]:
            if position >= 0 and token.start > position:
                pieces.append(" ")
            pieces.append(token.text)
            position = token.start + len(token.text)
        return "".join(pieces)

    def split(self, span: Span, separator: str = ",") -> list[Span]:
        """The parts of a span between separators that are in no bracket; no parts if the span is empty."""
        parts: list[Span] = []
        begin = index = span.begin
        while index < span.end:
            if self.texts[index] == separator:
                parts.append(Span(begin, index))
                begin = index + 1
            index = self.after(index)
        if span.end > begin or parts:
            parts.append(Span(begin, span.end))
        return parts
