"""Attributes that are Metal's alone: they leave the text, as clang does not know them, once other rewrites have read them."""

from metalsim.frontend.declarators import parse_attributes
from metalsim.frontend.rewrites.context import Context

# Attributes of C++ stay. Those of a namespace, as in `[[clang::noinline]]`, stay as well.
_STANDARD = frozenset(
    {"maybe_unused", "nodiscard", "noreturn", "deprecated", "fallthrough", "likely", "unlikely", "no_unique_address"}
)


def rewrite_attributes(context: Context) -> None:
    """Removes attributes that are not C++'s."""
    stream = context.stream
    for index, text in enumerate(stream.texts):
        if text != "[" or not stream.is_attribute(index):
            continue
        found = parse_attributes(stream, index)
        foreign = [a for a in found.attributes if a.name not in _STANDARD and "::" not in a.name]
        if len(foreign) == len(found.attributes):
            context.edits.blank(found.span)
        else:
            for attribute in foreign:
                context.edits.blank(attribute.span)  # `[[maybe_unused, ]]` is legal
