"""A list of edits on tokens, and the text that results.

Edits name tokens, never characters. What lies between tokens is kept whatever happens to them, so lines and line markers
stay where they are. Blanking a token wins over every other edit of it: a rewrite need not know whether another one removes
its place.
"""

from metalsim.frontend.tokens import Span, TokenStream


class EditList:
    """Edits of one token stream, in any order."""

    def __init__(self, stream: TokenStream) -> None:
        self._stream = stream
        self._replaced: dict[int, str] = {}
        self._before: dict[int, str] = {}
        self._after: dict[int, str] = {}
        self._blanked = bytearray(len(stream))
        self._fixed: dict[int, str] = {}

    def replace(self, index: int, text: str) -> None:
        """Puts a text in a token's place."""
        self._replaced[index] = text

    def insert_before(self, index: int, text: str) -> None:
        """Puts a text before a token, outside of what is there already: the wider construct is added later."""
        self._before[index] = text + self._before.get(index, "")

    def insert_after(self, index: int, text: str) -> None:
        """Puts a text after a token, outside of what is there already."""
        self._after[index] = self._after.get(index, "") + text

    def blank(self, span: Span) -> None:
        """Removes tokens, with everything inserted around them."""
        self._blanked[span.begin : span.end] = b"\1" * span.size

    def substitute(self, span: Span, text: str) -> None:
        """Puts a text in the place of tokens, where blanking does not remove it."""
        self.blank(span)
        self.emit(span.begin, text)

    def emit(self, index: int, text: str) -> None:
        """Puts a text before a token and whatever is inserted there, even if the token is blanked."""
        self._fixed[index] = self._fixed.get(index, "") + text

    def apply(self) -> str:
        """Returns the edited text."""
        source = self._stream.source
        tokens = self._stream.tokens
        touched = {*self._replaced, *self._before, *self._after, *self._fixed}
        touched.update(index for index, flag in enumerate(self._blanked) if flag)
        pieces: list[str] = []
        position = 0
        for index in sorted(touched):
            token = tokens[index]
            pieces.append(source[position : token.start])
            position = token.start + len(token.text)
            pieces.append(self._fixed.get(index, ""))
            if not self._blanked[index]:
                text = self._replaced.get(index, token.text)
                pieces.append(self._before.get(index, "") + text + self._after.get(index, ""))
        pieces.append(source[position:])
        return "".join(pieces)
