"""Address spaces after a member function's parameters: `void next() thread`, `operator T() const device`.

They say where the object lives. In the mode of clang that metalsim uses a member function serves objects in every address
space, so the words go, and of overloads that differ in nothing else only one stays: that for `thread`, else the first. The
macro METALSIM_OBJECTS, which only the strict pass has a meaning for, keeps what the words said.
"""

from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.syntax import ADDRESS_SPACES, Declaration, DeclarationKind, Declarator, ScopeKind
from metalsim.frontend.tokens import Span

_Key = tuple[str, ...]

#: Stands in METALSIM_OBJECTS for an overload without an address space.
_UNQUALIFIED = "none"


def rewrite_method_qualifiers(context: Context) -> None:
    """Removes the qualifiers, and the overloads that then coincide."""
    classes: dict[Span, dict[_Key, list[Declaration]]] = {}
    served: dict[Span, list[str]] = {}
    for declaration in context.unit.declarations:
        if declaration.kind is not DeclarationKind.FUNCTION or not declaration.declarators:
            continue
        qualifiers = _spaces(context, declaration.declarators[0])
        for index in qualifiers:
            context.edits.blank(Span(index, index + 1))
        served[declaration.span] = [_word(context, declaration)]
        if declaration.scope.kind is ScopeKind.CLASS:
            overloads = classes.setdefault(declaration.scope.span, {})
            overloads.setdefault(_signature(context, declaration), []).append(declaration)
    for overloads in classes.values():
        for same in overloads.values():
            if len(same) > 1:
                _keep_one(context, same, served)
    for declaration in context.unit.declarations:
        words = served.get(declaration.span, [_UNQUALIFIED])
        if words != [_UNQUALIFIED]:
            begin = declaration.declarators[0].span.begin
            context.edits.emit(begin, f' METALSIM_OBJECTS("{words[0]};{" ".join(words)}") ')


def _word(context: Context, declaration: Declaration) -> str:
    """The address space of a function's objects as METALSIM_OBJECTS has it."""
    found = _spaces(context, declaration.declarators[0])
    return context.stream.texts[found[0]] if found else _UNQUALIFIED


def _spaces(context: Context, declarator: Declarator) -> list[int]:
    """The address spaces among a function's qualifiers; those of a trailing return type are not."""
    found = []
    for index in range(declarator.qualifiers.begin, declarator.qualifiers.end):
        if context.stream.texts[index] == "->":
            break
        if context.stream.texts[index] in ADDRESS_SPACES:
            found.append(index)
    return found


def _signature(context: Context, declaration: Declaration) -> _Key:
    """What tells overloads apart once the address space of the object does not: everything else but the result's."""
    texts = context.stream.texts
    declarator = declaration.declarators[0]
    parameters = declarator.parameters or Span(0, 0)
    begin = declaration.headers[0].begin if declaration.headers else declaration.specifiers.begin
    result = [text for text in texts[begin : declarator.id.begin] if text not in ADDRESS_SPACES]
    qualifiers = texts[declarator.qualifiers.begin : declarator.qualifiers.end]
    qualifiers = [text for text in qualifiers if text not in ADDRESS_SPACES]
    name = texts[declarator.id.begin : declarator.id.end]
    return (*result, "|", *name, "|", *texts[parameters.begin : parameters.end], "|", *qualifiers)


def _keep_one(context: Context, same: list[Declaration], served: dict[Span, list[str]]) -> None:
    spaces = [{context.stream.texts[i] for i in _spaces(context, d.declarators[0])} for d in same]
    if all(found == spaces[0] for found in spaces):
        return  # a true redefinition: clang's to report
    kept = next((i for i, found in enumerate(spaces) if not found or "thread" in found), 0)
    for position, declaration in enumerate(same):
        if position != kept:
            context.edits.blank(declaration.span)
            served[same[kept].span] += served.pop(declaration.span)
