"""Function constants: `constant bool causal [[function_constant(3)]];`, whose value the pipeline gives.

Each becomes `static constant bool causal = METALSIM_FUNCTION_CONSTANT(bool, 3);`, and `is_function_constant_defined(causal)`
becomes METALSIM_CONSTANT_DEFINED(3).
"""

from metalsim.frontend.rewrites.constant_expressions import Constants
from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.syntax import Attribute, Declaration, DeclarationKind, Declarator, ScopeKind
from metalsim.frontend.tokens import Span
from metalsim.frontend.translation import FunctionConstant

_SECTION = '5.8.1 "Specifying Program Scope Function Constants"'
_RULE = "metal-function-constant"
_LARGEST_INDEX = 65535
_STORAGE = frozenset({"constant", "static", "const", "extern", "inline", "constexpr"})


def rewrite_function_constants(context: Context, constants: Constants) -> dict[str, FunctionConstant]:
    """Rewrites all function constants of a text and the questions about them; returns them by name."""
    found: dict[str, FunctionConstant] = {}
    for declaration in context.unit.declarations:
        if declaration.kind is DeclarationKind.VARIABLE:
            _rewrite_declaration(context, constants, declaration, found)
    _rewrite_questions(context, found)
    return found


def _attribute(declaration: Declaration, declarator: Declarator) -> Attribute | None:
    for attributes in (*declarator.attributes, *declaration.attributes):
        for attribute in attributes.attributes:
            if attribute.name == "function_constant":
                return attribute
    return None


def _rewrite_declaration(
    context: Context, constants: Constants, declaration: Declaration, found: dict[str, FunctionConstant]
) -> None:
    begin = declaration.specifiers.begin
    is_rewritten = False
    for declarator in declaration.declarators:
        attribute = _attribute(declaration, declarator)
        if attribute is None or declarator.name is None:
            continue
        constant = _understand(context, constants, declaration, declarator, attribute, found)
        if constant is None:
            return
        found[constant.name] = constant
        type_text = constant.type
        if "," in type_text:  # a comma would end the macro's argument
            alias = f"metalsim_function_constant_type_{constant.index}"
            context.edits.emit(begin, f"typedef {type_text} {alias}; ")
            type_text = alias
        value = f" = METALSIM_FUNCTION_CONSTANT({type_text}, {constant.index})"
        context.edits.insert_after(declarator.name, value)
        is_rewritten = True
    if is_rewritten:
        _rewrite_specifiers(context, declaration)


def _rewrite_specifiers(context: Context, declaration: Declaration) -> None:
    """Makes the constant static; it is no constexpr to a strict build, in which its value is not known."""
    specifiers = declaration.specifiers
    words = context.stream.texts[specifiers.begin : specifiers.end]
    if "static" not in words:
        context.edits.emit(specifiers.begin, "static ")
    if "constexpr" in words:
        index = specifiers.begin + words.index("constexpr")
        context.edits.blank(Span(index, index + 1))


def _understand(
    context: Context,
    constants: Constants,
    declaration: Declaration,
    declarator: Declarator,
    attribute: Attribute,
    found: dict[str, FunctionConstant],
) -> FunctionConstant | None:
    assert declarator.name is not None
    stream = context.stream
    name = stream.texts[declarator.name]
    specifiers = declaration.specifiers
    problem = _problem(context, declaration, declarator)
    index = constants.value(attribute.arguments) if attribute.arguments is not None else None
    if problem is None and (index is None or not 0 <= index <= _LARGEST_INDEX):
        problem = f"its index must be a constant from 0 to {_LARGEST_INDEX}"
    same = [other.name for other in found.values() if other.index == index]
    if problem is None and same:
        problem = f"its index {index} is that of '{same[0]}' already; give it one of its own"
    if problem is None and name in found:
        problem = "another function constant has the same name; give it a name of its own"
    if problem is not None or index is None:
        context.report(declarator.name, _RULE, f"function constant '{name}': {problem}", _SECTION)
        return None
    words = [i for i in range(specifiers.begin, specifiers.end) if stream.texts[i] not in _STORAGE]
    words = [i for i in words if not any(i in attributes.span for attributes in declaration.attributes)]
    type_text = context.text(Span(words[0], words[-1] + 1))
    return FunctionConstant(name, index, type_text, stream.tokens[declarator.name].line)


def _problem(context: Context, declaration: Declaration, declarator: Declarator) -> str | None:
    """What is wrong with the declaration of a function constant."""
    words = context.stream.texts[declaration.specifiers.begin : declaration.specifiers.end]
    if declaration.scope.kind is not ScopeKind.NAMESPACE:
        return "it must be declared at program scope, outside of functions and structures"
    if "constant" not in words:
        return "it must be declared in the constant address space: `constant T name [[function_constant(n)]];`"
    if declarator.initialiser is not None:
        return "it must not have an initialiser; its value is given when the pipeline is made"
    if declarator.arrays or declarator.operators.size or declarator.is_nested or declaration.headers:
        return "its type must be a scalar or a vector"
    return None


def _rewrite_questions(context: Context, found: dict[str, FunctionConstant]) -> None:
    stream = context.stream
    for index, text in enumerate(stream.texts):
        if text != "is_function_constant_defined" or stream.text_at(index + 1) != "(":
            continue
        argument = Span(index + 2, stream.match[index + 1])
        name = stream.texts[argument.end - 1] if argument.size else ""
        constant = found.get(name)
        if constant is None:
            message = (
                f"is_function_constant_defined needs a function constant's name, but has '{context.text(argument)}'"
            )
            context.report(index, _RULE, message, _SECTION)
            continue
        begin = index - 2 if stream.text_at(index - 1) == "::" and stream.is_identifier(index - 2) else index
        begin = index - 1 if begin == index and stream.text_at(index - 1) == "::" else begin
        context.edits.substitute(Span(begin, argument.end + 1), f"METALSIM_CONSTANT_DEFINED({constant.index})")
