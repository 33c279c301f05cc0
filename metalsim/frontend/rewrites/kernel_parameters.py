"""What the parameters of a kernel are bound to.

Rules of Apple's Metal Shading Language specification (5.2):
- a pointer or reference to device or constant memory is a buffer, one to threadgroup memory is threadgroup memory, each with
  an index; the attribute that gives the index is optional, and without it the compiler assigns one: here the lowest that no
  other parameter of the kernel has, in the order of the parameters;
- every other parameter must have the attribute of a built-in value, and a type that this value can have;
- the types of positions and sizes fit each other: see positions.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from metalsim.frontend.declarators import Parameter, parse_parameters
from metalsim.frontend.rewrites.constant_expressions import Constants
from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.rewrites.positions import POSITIONS, disagreement
from metalsim.frontend.syntax import ADDRESS_SPACES, Attribute, DeclarationKind, ScopeKind
from metalsim.frontend.tokens import Span
from metalsim.frontend.words import words

_RULE = "metal-kernel-parameter"
_LOCATION = '5.2.1 "Locating Buffer, Texture, and Sampler Arguments"'
_BUILT_IN = '5.2 "Function Arguments and Variables"'
_POSITION = '5.2.3.6 "Kernel Function Input Attributes"'
_FUNCTION_CONSTANT = '5.8.1 "Specifying Program Scope Function Constants"'
_BINDINGS = 31

# Attributes of built-in values, with the enumerator of abi::ArgumentKind. Positions may be vectors, indices may not.
_INDICES = words(
    """
    thread_index_in_threadgroup thread_index_in_simdgroup simdgroup_index_in_threadgroup simdgroups_per_threadgroup
    dispatch_simdgroups_per_threadgroup threads_per_simdgroup quadgroup_index_in_threadgroup quadgroup_index_in_simdgroup
    thread_index_in_quadgroup quadgroups_per_threadgroup
    """
)
_KINDS = {name: name for name in POSITIONS | _INDICES} | {"thread_execution_width": "threads_per_simdgroup"}
_LOCATIONS = {"buffer": "buffer", "threadgroup": "threadgroup_memory"}
_IGNORED = frozenset({"function_constant", "maybe_unused", "user", "flat"})

_SCALARS = ("ushort", "uint", "uint16_t", "uint32_t")
_POSITION_TYPES = frozenset({*_SCALARS, "ushort2", "ushort3", "uint2", "uint3"})
# Built-in types that are none of these. A name that is not built in may be an alias of one of them: clang checks that.
_OTHER_TYPES = words("double int8_t uint8_t int16_t int32_t int64_t uint64_t size_t uint4 ushort4") | frozenset(
    f"{element}{width}"
    for element in words("bool char uchar short int long ulong half bfloat float")
    for width in ("", 2, 3, 4)
)


@dataclass(frozen=True)
class Binding:
    """One parameter of a kernel or kernel template: see translation.KernelParameter.

    Attributes:
        type: The tokens of its type, attributes and name excluded.
    """

    kind: str
    index: int
    name: str
    type: tuple[int, ...]
    enabled_by: str | None
    line: int


class ParameterReader:
    """Reads the parameters of the kernels of one text."""

    def __init__(self, context: Context, constants: Constants) -> None:
        self._context = context
        self._stream = context.stream
        self._constants = constants
        self._program_constants = frozenset(_program_constants(context))

    def read(self, kernel: str, span: Span) -> tuple[Binding, ...] | None:
        """Reads a kernel's parameter list; None if something in it is refused, which is reported."""
        parameters = parse_parameters(self._stream, span)
        found: list[Binding | None] = [self._read_one(kernel, parameter) for parameter in parameters]
        if None in found:
            return None
        bindings = _assign_indices([binding for binding in found if binding is not None])
        is_valid = self._check_positions(kernel, parameters, bindings)
        return bindings if self._check_indices(kernel, parameters, bindings) and is_valid else None

    def _report(self, kernel: str, parameter: Parameter, problem: str, section: str = _LOCATION) -> None:
        declarator = parameter.declarator
        at = parameter.span.begin if declarator is None or declarator.name is None else declarator.name
        name = self._name(parameter) or self._context.text(parameter.span)
        self._context.report(at, _RULE, f"kernel '{kernel}', parameter '{name}': {problem}", section)

    def _name(self, parameter: Parameter) -> str:
        declarator = parameter.declarator
        return "" if declarator is None or declarator.name is None else self._stream.texts[declarator.name]

    def type_of(self, parameter: Parameter) -> tuple[int, ...]:
        """The tokens of a parameter's type."""
        declarator = parameter.declarator
        end = parameter.span.end if declarator is None else declarator.span.end
        lists = parameter.attributes + (declarator.attributes if declarator else ())
        omitted = {i for attributes in lists for i in range(attributes.span.begin, attributes.span.end)}
        if declarator is not None and declarator.name is not None and parameter.specifiers.size:
            omitted.update(range(declarator.id.begin, declarator.id.end))
        return tuple(index for index in range(parameter.span.begin, end) if index not in omitted)

    def _read_one(self, kernel: str, parameter: Parameter) -> Binding | None:
        attributes = parameter.all_attributes
        unknown = [
            a.name for a in attributes if a.name not in _KINDS and a.name not in _LOCATIONS and a.name not in _IGNORED
        ]
        if unknown:
            self._report(kernel, parameter, f"the attribute [[{unknown[0]}]] is not simulated, or not one of Metal's")
            return None
        meaning = [a for a in attributes if a.name in _KINDS or a.name in _LOCATIONS]
        if len(meaning) > 1:
            self._report(kernel, parameter, f"it has both [[{meaning[0].name}]] and [[{meaning[1].name}]]; keep one")
            return None
        space = self._space(parameter)
        if meaning and meaning[0].name in _KINDS:
            return self._built_in(kernel, parameter, meaning[0])
        if space is None:
            problem = (
                "it must have the attribute of a built-in value, such as [[thread_position_in_grid]], or be a pointer or "
                "reference to device, constant or threadgroup memory; pass a value as `constant T& name [[buffer(n)]]`"
            )
            self._report(kernel, parameter, problem)
            return None
        return self._location(kernel, parameter, space, meaning[0] if meaning else None)

    def _space(self, parameter: Parameter) -> str | None:
        """The kind of argument that a pointer or reference is; None for anything that is no pointer or reference."""
        declarator = parameter.declarator
        texts = self._stream.texts
        if declarator is None:
            return None
        operators = texts[declarator.span.begin : declarator.operators.end]
        if not declarator.arrays and not any(text in ("*", "&") for text in operators):
            return None
        spaces = [texts[i] for i in self._outside_brackets(parameter.specifiers) if texts[i] in ADDRESS_SPACES]
        if "threadgroup" in spaces:
            return "threadgroup"
        return "buffer" if "device" in spaces or "constant" in spaces else None

    def _outside_brackets(self, span: Span) -> list[int]:
        found = []
        index = span.begin
        while index < span.end:
            found.append(index)
            index = self._stream.after(index)
        return found

    def _built_in(self, kernel: str, parameter: Parameter, attribute: Attribute) -> Binding | None:
        type_tokens = self.type_of(parameter)
        words = [self._stream.texts[index] for index in type_tokens]
        core = [word for word in words if word not in ("const", "thread", "metal", "::")]
        is_index = attribute.name not in POSITIONS
        if not _may_have_type(core, frozenset(_SCALARS) if is_index else _POSITION_TYPES):
            types = "ushort or uint" if is_index else "ushort, ushort2, ushort3, uint, uint2 or uint3"
            problem = f"[[{attribute.name}]] must be of type {types}, but is {' '.join(words)}"
            self._report(kernel, parameter, problem, _BUILT_IN)
            return None
        line = self._stream.tokens[parameter.span.begin].line
        return Binding(_KINDS[attribute.name], 0, self._name(parameter), type_tokens, self._enabled_by(parameter), line)

    def _location(self, kernel: str, parameter: Parameter, space: str, attribute: Attribute | None) -> Binding | None:
        index = -1
        if attribute is not None:
            if attribute.name != space:
                problem = f"[[{attribute.name}]] does not fit its address space, for which the attribute is [[{space}]]"
                self._report(kernel, parameter, problem)
                return None
            value = self._constants.value(attribute.arguments) if attribute.arguments is not None else None
            index = -1 if value is None else value
            if not 0 <= index < _BINDINGS:
                problem = f"the index of [[{space}]] must be a constant from 0 to {_BINDINGS - 1}"
                self._report(kernel, parameter, problem)
                return None
        enabled_by = self._enabled_by(parameter)
        if enabled_by is not None and enabled_by not in self._program_constants:
            problem = f"[[function_constant({enabled_by})]] must name a function constant, or a constant made of some"
            self._report(kernel, parameter, problem, _FUNCTION_CONSTANT)
            return None
        line = self._stream.tokens[parameter.span.begin].line
        return Binding(_LOCATIONS[space], index, self._name(parameter), self.type_of(parameter), enabled_by, line)

    def _enabled_by(self, parameter: Parameter) -> str | None:
        for attribute in parameter.all_attributes:
            if attribute.name == "function_constant" and attribute.arguments is not None:
                return self._context.text(attribute.arguments)
        return None

    def _check_positions(self, kernel: str, parameters: list[Parameter], bindings: tuple[Binding, ...]) -> bool:
        """Whether the types of positions and sizes fit each other."""
        types: dict[str, tuple[str, str]] = {}
        is_valid = True
        for parameter, binding in zip(parameters, bindings, strict=True):
            problem = disagreement(types, binding.kind, [self._stream.texts[index] for index in binding.type])
            if problem is not None:
                self._report(kernel, parameter, problem, _POSITION)
                is_valid = False
        return is_valid

    def _check_indices(self, kernel: str, parameters: list[Parameter], bindings: tuple[Binding, ...]) -> bool:
        """Whether no two parameters that always exist have the same index."""
        owners: dict[tuple[str, int], str] = {}
        is_valid = True
        for parameter, binding in zip(parameters, bindings, strict=True):
            if binding.kind not in _LOCATIONS.values():
                continue
            if binding.index >= _BINDINGS:
                self._report(kernel, parameter, f"no index below {_BINDINGS} is left for it")
                is_valid = False
            elif binding.enabled_by is None:
                owner = owners.setdefault((binding.kind, binding.index), binding.name)
                if owner != binding.name:
                    self._report(kernel, parameter, f"its index {binding.index} is that of '{owner}' already")
                    is_valid = False
        return is_valid


def _program_constants(context: Context) -> Iterator[str]:
    """The constants at program scope, function constants and others: all may turn a parameter on or off."""
    texts = context.stream.texts
    for declaration in context.unit.declarations:
        is_variable = declaration.kind is DeclarationKind.VARIABLE and declaration.scope.kind is ScopeKind.NAMESPACE
        if is_variable and "constant" in texts[declaration.specifiers.begin : declaration.specifiers.end]:
            yield from (texts[d.name] for d in declaration.declarators if d.name is not None)


def _may_have_type(core: list[str], allowed: frozenset[str]) -> bool:
    """Whether a built-in value that can have certain types can have this one; aliases are clang's to judge."""
    if core in (["unsigned"], ["unsigned", "int"], ["unsigned", "short"]):
        return True
    if len(core) == 1:
        return core[0] in allowed or core[0] not in _OTHER_TYPES | _POSITION_TYPES
    return core[-1] != "*" and not {"unsigned", "signed", "int", "long", "short", "char"} & set(core)


def _assign_indices(bindings: list[Binding]) -> tuple[Binding, ...]:
    taken = {(binding.kind, binding.index) for binding in bindings}
    assigned = []
    for binding in bindings:
        if binding.index < 0:
            index = next(n for n in range(_BINDINGS + len(bindings)) if (binding.kind, n) not in taken)
            taken.add((binding.kind, index))
            binding = Binding(binding.kind, index, binding.name, binding.type, binding.enabled_by, binding.line)
        assigned.append(binding)
    return tuple(assigned)
