"""Kernels: what can be run, under which name, with which parameters.

A plain kernel is registered after its definition; a kernel template by each explicit instantiation with a host name,
whose place the registration takes:

    METALSIM_KERNEL_k("host name", (expression), max_threads,
                      METALSIM_ARGUMENTS(METALSIM_ARGUMENT(kind, index, "name", enabled), ...))

Of the two ways to mark a kernel, the word `kernel` and the attribute, the word is left in the text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from metalsim.frontend.declarators import DeclaratorParser, parse_parameters
from metalsim.frontend.rewrites.constant_expressions import Constants, evaluate
from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.rewrites.kernel_parameters import Binding, ParameterReader
from metalsim.frontend.syntax import Attribute, Declaration, DeclarationKind, Declarator, ScopeKind
from metalsim.frontend.tokens import Span, TokenKind
from metalsim.frontend.translation import KernelDeclaration, KernelParameter

_RULE = "metal-kernel"
_SECTION = '5.1.3 "Compute Functions (Kernels)"'
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class _TemplateParameter:
    name: str
    default: Span | None


@dataclass(frozen=True)
class _Kernel:
    """A kernel's definition or, for a template, its primary template."""

    declaration: Declaration
    declarator: Declarator
    bindings: tuple[Binding, ...]
    max_threads: Span | None
    template_parameters: tuple[_TemplateParameter, ...]


class Kernels:
    """Finds and rewrites all kernels of a text."""

    def __init__(self, context: Context, constants: Constants) -> None:
        self._context = context
        self._stream = context.stream
        self._constants = constants
        self._reader = ParameterReader(context, constants)
        self._templates: dict[str, list[_Kernel]] = {}
        self._refused: set[str] = set()  # templates with a finding: their instantiations have none of their own
        self.found: dict[str, KernelDeclaration] = {}

    def rewrite(self) -> None:
        """Rewrites every kernel and registers those that can be run.

        Templates come first: an instantiation may stand before the definition, after a declaration without attributes.
        """
        declarations = self._context.unit.declarations
        kernels = [d for d in declarations if d.kind is DeclarationKind.FUNCTION and self._marks(d)]
        for declaration in kernels:
            self._mark_by_word(declaration)
        templates = [d for d in kernels if any(header.size for header in d.headers)]
        for declaration in (d for d in templates if d.body is not None):
            self._template_definition(declaration)
        for declaration in (d for d in templates if d.body is None and not self._is_known(d)):
            self._template_definition(declaration)
        plain = {d.span for d in kernels if not d.headers and d.body is not None}
        for declaration in declarations:
            if declaration.kind is DeclarationKind.EXPLICIT_INSTANTIATION and declaration.declarators:
                self._instantiation(declaration)
            elif declaration.span in plain and declaration.kind is DeclarationKind.FUNCTION:
                self._plain_definition(declaration)

    def _attribute(self, declaration: Declaration, name: str) -> Attribute | None:
        declarators = [a for d in declaration.declarators for a in d.attributes]
        for attributes in (*declaration.attributes, *declarators):
            for attribute in attributes.attributes:
                if attribute.name == name:
                    return attribute
        return None

    def _marks(self, declaration: Declaration) -> bool:
        return self._marks_by_word(declaration) or self._attribute(declaration, "kernel") is not None

    def _marks_by_word(self, declaration: Declaration) -> bool:
        index = declaration.specifiers.begin
        while index < declaration.specifiers.end:
            if self._stream.texts[index] == "kernel":
                return True
            index = self._stream.after(index)
        return False

    def _mark_by_word(self, declaration: Declaration) -> None:
        """Puts the word `kernel` where only the attribute marks a kernel."""
        if not self._marks_by_word(declaration):
            self._context.edits.emit(declaration.specifiers.begin, "kernel ")

    def _is_known(self, declaration: Declaration) -> bool:
        name = declaration.declarators[0].name
        return name is not None and self._stream.texts[name] in (*self._templates, *self._refused)

    def _template_definition(self, declaration: Declaration) -> None:
        kernel = self._read(declaration)
        name = declaration.declarators[0].name
        assert name is not None
        if kernel is None:
            self._refused.add(self._stream.texts[name])
        else:
            self._templates.setdefault(self._stream.texts[name], []).append(kernel)

    def _plain_definition(self, declaration: Declaration) -> None:
        kernel = self._read(declaration)
        name = declaration.declarators[0].name
        if kernel is None or name is None:
            return
        host = self._host_name(declaration) or self._context.unit.qualified(declaration, name)
        text = self._register(kernel, host, f"({self._stream.texts[name]})", {}, name)
        if text:
            self._context.edits.insert_after(declaration.span.end - 1, f" {text}")

    def _read(self, declaration: Declaration) -> _Kernel | None:
        """What a kernel's declaration says; None if it is refused, which is reported."""
        declarator = declaration.declarators[0]
        assert declarator.name is not None
        assert declarator.parameters is not None
        name = self._stream.texts[declarator.name]
        if not self._check(declaration, name):
            return None
        bindings = self._reader.read(name, declarator.parameters)
        if bindings is None:
            return None
        attribute = self._attribute(declaration, "max_total_threads_per_threadgroup")
        max_threads = attribute.arguments if attribute is not None else None
        parameters = tuple(p for header in declaration.headers for p in self._template_parameters(header))
        return _Kernel(declaration, declarator, bindings, max_threads, parameters)

    def _check(self, declaration: Declaration, name: str) -> bool:
        declarator = declaration.declarators[0]
        assert declarator.name is not None
        words = self._stream.texts[declaration.specifiers.begin : declaration.specifiers.end]
        problem = None
        if declaration.scope.kind is not ScopeKind.NAMESPACE:
            problem = "it must be a function of its own, not a member or local function"
        elif "void" not in words or declarator.operators.size:
            problem = "it must return void"
        if problem is not None:
            self._context.report(declarator.name, _RULE, f"kernel '{name}': {problem}", _SECTION)
        return problem is None

    def _template_parameters(self, header: Span) -> list[_TemplateParameter]:
        return [self._template_parameter(part) for part in self._stream.split(header)]

    def _template_parameter(self, part: Span) -> _TemplateParameter:
        """`typename T = float`, `int N`, `void (*load)(device const T*)`; an unnamed one has an empty name."""
        texts = self._stream.texts
        if texts[part.begin] in ("typename", "class", "template"):
            equals = part.begin
            name = ""
            while equals < part.end and texts[equals] != "=":
                if self._stream.is_identifier(equals) and texts[equals] not in ("typename", "class", "template"):
                    name = texts[equals]
                equals = self._stream.after(equals)
            return _TemplateParameter(name, Span(equals + 1, part.end) if equals < part.end else None)
        declarator = DeclaratorParser(self._stream).head(part.begin, part.end).declarator
        if declarator is None:
            return _TemplateParameter("", None)
        value = declarator.initialiser
        name = "" if declarator.name is None else texts[declarator.name]
        return _TemplateParameter(name, None if value is None else Span(value.begin + 1, part.end))

    def _host_name(self, declaration: Declaration) -> str | None:
        """The text of `[[host_name("a" "b")]]`: adjacent literals are one, as macros make them."""
        attribute = self._attribute(declaration, "host_name")
        if attribute is None or attribute.arguments is None:
            return None
        tokens = self._stream.tokens[attribute.arguments.begin : attribute.arguments.end]
        parts = [_STRING.fullmatch(token.text) for token in tokens]
        return "".join(part.group(1) for part in parts if part is not None)

    def _instantiation(self, declaration: Declaration) -> None:
        declarator = declaration.declarators[0]
        host = self._host_name(declaration)
        is_kernel = self._marks(declaration)
        if declarator.name is None or host is None or not is_kernel:
            return  # plain C++, or a kernel that nobody can ask for by a name
        name = self._stream.texts[declarator.name]
        arguments = self._stream.split(self._template_arguments(declarator))
        kernel = self._template(name, len(arguments))
        if kernel is None:
            if name not in self._refused:
                message = (
                    f"'{host}' instantiates '{name}', which is no kernel template that takes {len(arguments)} arguments"
                )
                self._context.report(declarator.name, _RULE, message, _SECTION)
            return
        values = self._values(kernel, arguments)
        text = self._register(kernel, host, "\0", values, declarator.name)
        if text:
            before, after = text.split("\0")
            edits = self._context.edits
            edits.blank(Span(declaration.span.begin, declarator.id.begin))
            edits.blank(Span(declarator.id.end, declaration.span.end))
            edits.emit(
                declarator.id.begin, f"{before}("
            )  # here, so that no line marker gets among the macro's arguments
            written = f"({self._context.text(declarator.id)}), ({self._written_type(declaration)})"
            edits.emit(declarator.id.end, f"){after} METALSIM_INSTANCE_TYPE({written})")

    def _written_type(self, declaration: Declaration) -> str:
        """The type that an instantiation gives its kernel: `void(device float*)`, `decltype(k<float>)`."""
        omitted = {i for found in declaration.attributes for i in range(found.span.begin, found.span.end)}
        specifiers = range(declaration.specifiers.begin, declaration.specifiers.end)
        result = self._substituted(
            tuple(i for i in specifiers if i not in omitted and self._stream.texts[i] not in ("kernel", "template")), {}
        )
        declarator = declaration.declarators[0]
        if declarator.parameters is None:
            return result
        parameters = parse_parameters(self._stream, declarator.parameters)
        return f"{result}({', '.join(self._substituted(self._reader.type_of(each), {}) for each in parameters)})"

    def _template_arguments(self, declarator: Declarator) -> Span:
        closing = declarator.id.end - 1
        if self._stream.texts[closing] != ">":
            return Span(closing, closing)
        return Span(self._stream.match[closing] + 1, closing)

    def _template(self, name: str, count: int) -> _Kernel | None:
        """The template that takes so many arguments; of several the last one, as the others then have defaults to deduce."""
        for kernel in reversed(self._templates.get(name, [])):
            required = sum(1 for parameter in kernel.template_parameters if parameter.default is None)
            if required <= count <= len(kernel.template_parameters):
                return kernel
        return None

    def _values(self, kernel: _Kernel, arguments: list[Span]) -> dict[str, str]:
        """The text of every template parameter of an instantiation; a default may use the parameters before it."""
        values: dict[str, str] = {}
        for position, parameter in enumerate(kernel.template_parameters):
            if position < len(arguments):
                text = self._context.text(arguments[position])
            else:
                text = self._substituted(parameter.default, values) if parameter.default is not None else parameter.name
            values[parameter.name] = text
        return values

    def _substituted(self, span: Span | tuple[int, ...], values: Mapping[str, str]) -> str:
        """The text of tokens with template parameters replaced; expressions keep their grouping."""
        indices = range(span.begin, span.end) if isinstance(span, Span) else span
        pieces: list[str] = []
        end = -1
        for index in indices:
            token = self._stream.tokens[index]
            text = token.text
            if token.kind is TokenKind.IDENTIFIER and text in values and self._stream.text_at(index - 1) != "::":
                text = values[text]
                if not re.fullmatch(r"[\w:<>, ]+", text):
                    text = f"({text})"
            pieces.append(f" {text}" if pieces and token.start > end else text)
            end = token.start + len(token.text)
        return "".join(pieces)

    def _register(self, kernel: _Kernel, host: str, expression: str, values: Mapping[str, str], at: int) -> str:
        """Adds a kernel that can be run; returns the text that makes it one, or nothing if it is refused."""
        if host in self.found:
            message = f"kernel '{host}': line {self.found[host].line} defines a kernel of that name already"
            self._context.report(at, _RULE, message, _SECTION)
            return ""
        number = len(self.found)
        expressed = "0" if kernel.max_threads is None else self._substituted(kernel.max_threads, values)
        max_threads = None if kernel.max_threads is None else self._evaluated(kernel.max_threads, expressed)
        if max_threads is not None:
            expressed = str(max_threads)
        parameters = tuple(
            KernelParameter(b.kind, b.index, b.name, self._substituted(b.type, values), b.enabled_by, b.line)
            for b in kernel.bindings
        )
        token = self._stream.tokens[at]
        self.found[host] = KernelDeclaration(host, number, parameters, max_threads, token.file, token.line)
        arguments = ", ".join(
            f'METALSIM_ARGUMENT({p.kind}, {p.index}, "{p.name}", {p.enabled_by or "true"})' for p in parameters
        )
        return f'METALSIM_KERNEL_{number}("{host}", {expression}, {expressed}, METALSIM_ARGUMENTS({arguments}))'

    def _evaluated(self, span: Span, expressed: str) -> int | None:
        """The value of an expression after substitution, if it is one of plain integers or of the program's constants."""
        value = evaluate(expressed, {})
        return value if value is not None else self._constants.value(span)
