"""The front end: Metal source to C++ in the words of the shim.

    preprocess  the C preprocessor, with Metal's predefined macros and headers that hold macros only
    translate   Metal's extra syntax (kernels, function constants, threadgroup variables, address spaces of methods, vector
                constructors, literals) to macros of the shim, line by line in place

translate() is pure Python: tokens.py splits the text, brackets.py matches brackets (angle brackets included), declarations.py
scans declarations, and rewrites/ has one module for each construct. What they do not understand they leave to clang, which
reports it at the line of the Metal source.
"""

from metalsim.frontend.declarations import scan
from metalsim.frontend.edits import EditList
from metalsim.frontend.preprocess import preprocess
from metalsim.frontend.rewrites.array_parameters import rewrite_array_parameters
from metalsim.frontend.rewrites.attributes import rewrite_attributes
from metalsim.frontend.rewrites.constant_expressions import Constants
from metalsim.frontend.rewrites.constructors import Constructors
from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.rewrites.function_constants import rewrite_function_constants
from metalsim.frontend.rewrites.kernels import Kernels
from metalsim.frontend.rewrites.literals import rewrite_literals
from metalsim.frontend.rewrites.method_qualifiers import rewrite_method_qualifiers
from metalsim.frontend.rewrites.reserved_words import refuse_reserved_words
from metalsim.frontend.rewrites.threadgroup_variables import ThreadgroupVariables
from metalsim.frontend.tokens import TokenStream
from metalsim.frontend.translation import (
    FunctionConstant,
    KernelDeclaration,
    KernelParameter,
    SourceFinding,
    Translation,
)
from metalsim.frontend.type_names import TypeNames

__all__ = [
    "FunctionConstant",
    "KernelDeclaration",
    "KernelParameter",
    "SourceFinding",
    "Translation",
    "preprocess",
    "translate",
]


def translate(preprocessed: str) -> Translation:
    """Translates preprocessed Metal source.

    Args:
        preprocessed: What :func:`preprocess` returns: no comments, no directives but line markers and pragmas.

    Returns:
        The C++ text with what is known of its kernels and function constants. What Apple's compiler refuses and the scan of
        declarations sees is in `findings`; the text is then not fit to be compiled.

    Raises:
        CompileError: Brackets do not match.
    """
    stream = TokenStream(preprocessed)
    unit = scan(stream)
    edits = EditList(stream)
    context = Context(unit, edits)
    names = TypeNames(unit)
    constants = Constants(unit)
    refuse_reserved_words(context)
    rewrite_literals(context)
    Constructors(context, names).rewrite()
    function_constants = rewrite_function_constants(context, constants)
    ThreadgroupVariables(context, names).rewrite()
    rewrite_array_parameters(context)
    rewrite_method_qualifiers(context)
    kernels = Kernels(context, constants)
    kernels.rewrite()
    rewrite_attributes(context)
    findings = sorted(context.findings, key=lambda finding: (finding.file, finding.line, finding.column))
    return Translation(edits.apply(), kernels.found, function_constants, tuple(findings))
