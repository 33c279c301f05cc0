"""Floating literals. Metal has no double: a literal without a suffix is a float, `h` makes a half and `bf` a bfloat."""

import re

from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.tokens import TokenKind

_HALF = re.compile(r"((?:\d[\d']*\.?[\d']*|\.\d[\d']*)(?:[eE][+-]?\d+)?)(h|H|bf|BF)")
_FLOATING = re.compile(
    r"(?:\d[\d']*\.[\d']*|\.\d[\d']*)(?:[eE][+-]?\d+)?|\d[\d']*[eE][+-]?\d+|0[xX][\da-fA-F]*\.?[\da-fA-F]*[pP][+-]?\d+"
)


def rewrite_literals(context: Context) -> None:
    """Gives every floating literal the suffix or cast that makes it Metal's."""
    for index, token in enumerate(context.stream.tokens):
        if token.kind is not TokenKind.NUMBER or len(token.text) == 1:
            continue
        text = token.text
        if _FLOATING.fullmatch(text):
            context.edits.replace(index, text + "f")
            continue
        match = _HALF.fullmatch(text)
        if match and not text.startswith(("0x", "0X")):
            digits, suffix = match.groups()
            if "." not in digits and "e" not in digits.lower():
                digits += ".0"
            name = "half" if suffix in "hH" else "bfloat"
            context.edits.replace(index, f"(({name}){digits}f)")
