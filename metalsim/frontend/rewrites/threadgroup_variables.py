"""Threadgroup variables: `threadgroup float tile[4][64], sum;` in a kernel.

C++ has no automatic variables in an address space, and arrays need a name for their type. So the declaration becomes the
typedef of one type for each variable, and after it METALSIM_THREADGROUP_VARIABLE(id, (type), name) makes the variable.
"""

from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.syntax import Declaration, DeclarationKind, Declarator, ScopeKind
from metalsim.frontend.tokens import Span, TokenKind
from metalsim.frontend.type_names import BUILTIN_TYPES, TypeNames

_SECTION = '4.4 "Threadgroup Address Space"'
_RULE = "metal-threadgroup-variable"


def is_kernel(context: Context, declaration: Declaration) -> bool:
    """Whether a function is a kernel, by the word or by the attribute."""
    words = range(declaration.specifiers.begin, declaration.specifiers.end)
    if any(context.stream.texts[index] == "kernel" for index in words):
        return True
    return any(
        attribute.name == "kernel" for attributes in declaration.attributes for attribute in attributes.attributes
    )


class ThreadgroupVariables:
    """Rewrites all threadgroup variables of a text."""

    def __init__(self, context: Context, names: TypeNames) -> None:
        self._context = context
        self._stream = context.stream
        self._names = names
        self._count = 0

    def rewrite(self) -> None:
        """Rewrites or refuses every declaration of threadgroup variables."""
        for declaration in self._context.unit.declarations:
            if declaration.kind is not DeclarationKind.VARIABLE or not declaration.declarators:
                continue
            in_specifiers = self._word_of(declaration.specifiers) is not None
            variables = [d for d in declaration.declarators if self._is_variable(d, in_specifiers)]
            if variables and self._is_allowed(declaration, variables):
                self._rewrite(declaration, variables)

    def _word_of(self, span: Span) -> int | None:
        """The word `threadgroup` in a span, outside of all brackets."""
        index = span.begin
        while index < span.end:
            if self._stream.texts[index] == "threadgroup":
                return index
            index = self._stream.after(index)
        return None

    def _is_variable(self, declarator: Declarator, in_specifiers: bool) -> bool:
        """Whether the variable itself is in threadgroup memory, and not only what it points to."""
        if declarator.name is None or declarator.parameters is not None:
            return False
        texts = self._stream.texts
        operators = [i for i in range(declarator.span.begin, declarator.name) if texts[i] in ("*", "&", "&&")]
        if not operators:
            return in_specifiers
        return texts[operators[-1]] == "*" and "threadgroup" in texts[operators[-1] : declarator.name]

    def _is_allowed(self, declaration: Declaration, variables: list[Declarator]) -> bool:
        first = variables[0]
        assert first.name is not None
        name = self._stream.texts[first.name]
        problem = None
        owner = declaration.scope.owner
        initialised = next((d for d in variables if d.initialiser is not None), None)
        if declaration.scope.kind is ScopeKind.CLASS:
            problem = (
                "a structure's members cannot be in threadgroup memory: make the whole variable a threadgroup variable"
            )
        elif declaration.scope.kind is ScopeKind.NAMESPACE or owner is None:
            problem = "it must be declared in a kernel, not at program scope"
        elif not is_kernel(self._context, owner) or self._is_in_lambda(declaration):
            problem = "it must be declared in a kernel; give other functions a threadgroup pointer to it"
        elif initialised is not None:
            problem = "it must not have an initialiser; let the threads write it, and a barrier after that"
        elif len(variables) != len(declaration.declarators):
            problem = "variables and pointers in one declaration are not understood here; declare them in two"
        if problem is None:
            return True
        self._context.report(first.name, _RULE, f"threadgroup variable '{name}': {problem}", _SECTION)
        return False

    def _is_in_lambda(self, declaration: Declaration) -> bool:
        """Whether a block around the declaration is the body of a lambda of the same function."""
        owner = declaration.scope.owner
        assert owner is not None
        assert owner.body is not None
        opening = self._stream.parent[declaration.span.begin]
        while opening >= owner.body.begin:
            if self._stream.texts[opening] == "{" and self._is_lambda_body(opening):
                return True
            opening = self._stream.parent[opening]
        return False

    def _is_lambda_body(self, opening: int) -> bool:
        texts = self._stream.texts
        index = opening - 1
        while index > 0 and (self._stream.is_identifier(index) or texts[index] in ("->", "::", "*", "&")):
            index -= 1  # `mutable`, `-> T`
        if texts[index] == ")":
            index = self._stream.match[index] - 1
        return texts[index] == "]" and not self._stream.is_attribute(self._stream.match[index])

    def _rewrite(self, declaration: Declaration, variables: list[Declarator]) -> None:
        edits = self._context.edits
        begin = declaration.specifiers.begin
        for index in range(begin, declaration.specifiers.end):
            text = self._stream.texts[index]
            if (
                text in ("threadgroup", "static", "constexpr")
                and self._stream.parent[index] == self._stream.parent[begin]
            ):
                edits.blank(Span(index, index + 1))
            elif text == "alignas":
                self._rewrite_alignment(index)
        edits.emit(begin, "typedef ")
        last = declaration.span.end - 1
        for declarator in variables:
            assert declarator.name is not None
            for index in range(declarator.span.begin, declarator.name):
                if self._stream.texts[index] == "threadgroup":
                    edits.blank(Span(index, index + 1))
            name = self._stream.texts[declarator.name]
            type_name = f"metalsim_threadgroup_type_{self._count}"
            edits.replace(declarator.name, type_name)
            edits.insert_after(last, f" METALSIM_THREADGROUP_VARIABLE({self._count}, ({type_name}), {name});")
            self._count += 1

    def _rewrite_alignment(self, index: int) -> None:
        """`alignas(x)` cannot stand on a typedef; clang's attribute can, but takes a number only."""
        edits = self._context.edits
        argument = Span(index + 2, self._stream.match[index + 1])
        is_type = self._is_type(argument)
        edits.replace(index, "__attribute__")
        edits.replace(index + 1, "((aligned(alignof(" if is_type else "((aligned(")
        edits.replace(argument.end, "))))" if is_type else ")))")

    def _is_type(self, span: Span) -> bool:
        first = span.begin
        while first < span.end and self._stream.texts[first] in ("const", "typename", "device", "metal", "::"):
            first += 1
        if first >= span.end or self._stream.tokens[first].kind is not TokenKind.IDENTIFIER:
            return False
        name = self._stream.texts[first]
        end = self._stream.after(first + 1) if self._stream.text_at(first + 1) == "<" else first + 1
        known = name in BUILTIN_TYPES or self._names.is_type(name, first) or name in ("vec", "simdgroup_matrix")
        return known and all(self._stream.texts[i] in ("*", "const") for i in range(end, span.end))
