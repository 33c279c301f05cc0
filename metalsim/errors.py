"""Everything that metalsim raises. Each message is a sentence that somebody without this package's sources can act on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class MetalsimError(Exception):
    """Base of all errors that metalsim raises."""


class ToolchainError(MetalsimError):
    """A program or header that metalsim needs is missing, or its own native parts cannot be built."""


@dataclass(frozen=True)
class Diagnostic:
    """One finding of a compiler at a place of the Metal source."""

    file: str
    line: int
    column: int
    severity: str  #: "error", "fatal error", "warning" or "note"
    message: str
    rule: str | None = None  #: of the strict pass: the rule's name
    section: str | None = None  #: of the strict pass: where Apple's Metal Shading Language specification has it

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        if self.rule is None:
            return f"{where}: {self.severity}: {self.message}"
        return f"{where}: {self.severity}: {self.message} [{self.rule}, MSL {self.section}]"


class CompileError(MetalsimError):
    """Metal source that does not compile, or that Apple's compiler would refuse.

    Attributes:
        diagnostics: what was found, in the order of the source.
    """

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__("\n".join([message, *(str(diagnostic) for diagnostic in diagnostics)]))
        self.diagnostics = tuple(diagnostics)


class ValidationError(MetalsimError):
    """A pipeline or a dispatch that Metal itself would refuse."""


@dataclass(frozen=True)
class Finding:
    """A fault that a dispatch ran into. What does not apply is None.

    Attributes:
        kind: "out_of_bounds", "uninitialized_read", "race", "divergence" or "fault".
        kernel: host name of the kernel.
        threadgroup: position of the threadgroup in the grid.
        thread: index of the thread in its threadgroup; ``simdgroup`` and ``lane`` say the same in simdgroups.
        space: "device", "threadgroup" or "thread".
        buffer: index of the buffer.
        byte: first byte of the access, from the start of its buffer or variable.
        size: bytes of the access.
        file: source file, and ``line`` in it.
        detail: what happened, in words.
        occurrences: how often, by any thread.
    """

    kind: str
    kernel: str
    threadgroup: tuple[int, int, int]
    thread: int
    simdgroup: int
    lane: int
    space: str | None
    buffer: int | None
    byte: int | None
    size: int | None
    file: str | None
    line: int | None
    detail: str
    occurrences: int

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Finding":
        """Return the finding that the native runtime describes (see native/runtime/request.h)."""
        x, y, z = fields["threadgroup"]
        return cls(**{**fields, "threadgroup": (x, y, z)})

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else "an unknown line"
        thread = (
            f"thread {self.thread} (simdgroup {self.simdgroup}, lane {self.lane}) of threadgroup {self.threadgroup}"
        )
        place = ""
        if self.byte is not None:
            target = f"buffer {self.buffer}" if self.buffer is not None else f"{self.space} memory"
            place = f", byte {self.byte} of {target}"
        times = f"; {self.occurrences} occurrences" if self.occurrences > 1 else ""
        return f"kernel '{self.kernel}', {where}: {self.detail}; first by {thread}{place}{times}"


class CheckError(MetalsimError):
    """A fault found while a kernel ran.

    Attributes:
        finding: the first one.
        findings: all of the dispatch.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.finding = findings[0]
        self.findings = tuple(findings)


class OutOfBoundsError(CheckError):
    """An access outside of a buffer, of threadgroup memory or of a thread's stack."""


class UninitializedReadError(CheckError):
    """A value is used that was never written: of threadgroup memory, or of a thread's own variables."""


class RaceError(CheckError):
    """Two threads access the same bytes, one of them writing, with no barrier that orders them."""


class DivergenceError(CheckError):
    """A barrier or an operation of a whole simdgroup that not all of its threads reach."""


class OrderDependenceError(MetalsimError):
    """The result depends on the order in which simdgroups run.

    Attributes:
        schedules: the two schedules whose results differ.
        buffer: index of the first buffer that differs, and ``byte`` in it.
    """

    def __init__(self, kernel: str, schedules: tuple[Any, Any], buffer: int, byte: int) -> None:
        super().__init__(
            f"kernel '{kernel}': buffer {buffer} differs from byte {byte} on between the schedules {schedules[0]!r} and "
            f"{schedules[1]!r}: the result depends on the order of simdgroups; look for a missing barrier or an atomic whose "
            "order matters"
        )
        self.schedules = schedules
        self.buffer = buffer
        self.byte = byte


_BY_KIND: dict[str, type[CheckError]] = {
    "out_of_bounds": OutOfBoundsError,
    "fault": OutOfBoundsError,
    "uninitialized_read": UninitializedReadError,
    "race": RaceError,
    "divergence": DivergenceError,
}


def check_error(findings: Sequence[Finding]) -> CheckError:
    """Return the error for what a dispatch found; the first finding decides its class."""
    return _BY_KIND[findings[0].kind](findings)
