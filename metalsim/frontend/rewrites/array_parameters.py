"""Array parameters in an address space: `constant int64_t strides[2]`.

In C++ such a parameter is a pointer; clang refuses the address space on it before it adjusts the type. So the pointer is
written out: `constant int64_t * strides`, and `constant float (*m)[3]` for `constant float m[2][3]`.
"""

from collections.abc import Iterator

from metalsim.frontend.declarators import Parameter, parse_parameters
from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.syntax import DeclarationKind
from metalsim.frontend.tokens import Span

_SPACES = frozenset({"device", "constant", "threadgroup"})


def _parameter_lists(context: Context) -> Iterator[Span]:
    for declaration in context.unit.declarations:
        if declaration.kind in (DeclarationKind.FUNCTION, DeclarationKind.EXPLICIT_INSTANTIATION):
            for declarator in declaration.declarators:
                if declarator.parameters is not None:
                    yield declarator.parameters


def rewrite_array_parameters(context: Context) -> None:
    """Turns array parameters into the pointers that they are."""
    texts = context.stream.texts
    for span in _parameter_lists(context):
        words = texts[span.begin : span.end]
        if "[" in words and not _SPACES.isdisjoint(words):
            for parameter in parse_parameters(context.stream, span):
                _rewrite(context, parameter)


def _rewrite(context: Context, parameter: Parameter) -> None:
    declarator = parameter.declarator
    specifiers = parameter.specifiers
    if declarator is None or declarator.is_nested or not declarator.arrays or declarator.name is None:
        return
    if _SPACES.isdisjoint(context.stream.texts[specifiers.begin : specifiers.end]) or declarator.operators.size:
        return
    context.edits.blank(declarator.arrays[0])
    if len(declarator.arrays) == 1:
        context.edits.insert_before(declarator.name, "* ")
    else:
        context.edits.insert_before(declarator.name, "(*")
        context.edits.insert_after(declarator.name, ")")
