"""What the tests of the front end share: translations as text with single spaces."""

from metalsim.frontend import SourceFinding, translate


def words(text: str) -> str:
    """Return a text with single spaces: the edits leave the white space around what they remove."""
    return " ".join(text.split())


def translated(source: str) -> str:
    result = translate(source)
    assert result.findings == (), result.findings
    return words(result.text)


def finding(source: str) -> SourceFinding:
    (found,) = translate(source).findings
    return found


def in_function(statements: str) -> str:
    """Return the translation of statements in a function's body."""
    text = translated("void f() { " + statements + " }")
    assert text.startswith("void f() { ")
    return text[len("void f() { ") : -len(" }")]


def in_kernel(statements: str) -> str:
    """Return the translation of statements in a kernel's body."""
    text = translated("kernel void k() { " + statements + " }")
    start, end = "kernel void k() { ", ' } METALSIM_KERNEL_0("k", (k), 0, METALSIM_ARGUMENTS())'
    assert text.startswith(start)
    assert text.endswith(end)
    return text[len(start) : -len(end)]
