"""What the front end hands on: the translated text and what it learned about kernels and function constants."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceFinding:
    """Something that Apple's compiler refuses, or that the front end cannot simulate.

    Attributes:
        file: The Metal file, and `line` and `column` in it.
        rule: A name for the rule.
        message: What it was, what it must be, the way out.
        section: Where Apple's Metal Shading Language specification has the rule.
    """

    file: str
    line: int
    column: int
    rule: str
    message: str
    section: str


@dataclass(frozen=True)
class KernelParameter:
    """One parameter of a kernel.

    Attributes:
        kind: An enumerator of abi::ArgumentKind.
        index: The n of `[[buffer(n)]]` or `[[threadgroup(n)]]`, given or assigned; else 0.
        name: Its name.
        type: Its type as the source spells it, with the template arguments of an instantiation in place.
        enabled_by: The function constant of `[[function_constant(name)]]`.
        line: Its line.
    """

    kind: str
    index: int
    name: str
    type: str
    enabled_by: str | None
    line: int


@dataclass(frozen=True)
class KernelDeclaration:
    """A kernel that can be run.

    Attributes:
        name: Its host name.
        number: The k of METALSIM_KERNEL_k.
        parameters: Its parameters in order.
        max_threads: The n of `[[max_total_threads_per_threadgroup(n)]]`; None if there is none, or only clang can compute it.
        file: Where it is defined or instantiated.
        line: The line of that.
    """

    name: str
    number: int
    parameters: tuple[KernelParameter, ...]
    max_threads: int | None
    file: str
    line: int


@dataclass(frozen=True)
class FunctionConstant:
    """`constant type name [[function_constant(index)]];`."""

    name: str
    index: int
    type: str
    line: int


@dataclass(frozen=True)
class Translation:
    """C++ in the words of the shim, and what it contains.

    Attributes:
        text: The C++ text; each line is the line of the Metal source.
        kernels: By host name.
        constants: By name.
        findings: What the front end refuses, in the order of the source.
    """

    text: str
    kernels: dict[str, KernelDeclaration]
    constants: dict[str, FunctionConstant]
    findings: tuple[SourceFinding, ...]
