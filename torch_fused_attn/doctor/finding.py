"""What the doctor finds, a line each."""

import enum
from dataclasses import dataclass


class Status(enum.Enum):
    """How a line begins."""

    OK = "ok"
    NOTE = "note"  #: nothing is wrong, but the reader has to know
    SKIPPED = "-"
    FAILED = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        section: the heading that it stands under.
        status: how it begins.
        text: what was found.
        next_step: of a failure, what to do: an imperative, one sentence without its full stop.
        details: lines for the report alone.
    """

    section: str
    status: Status
    text: str
    next_step: str = ""
    details: str = ""

    def __post_init__(self) -> None:
        """Hold every failure to the rule that it says what to do."""
        if (self.status is Status.FAILED) != bool(self.next_step):
            raise ValueError(f"finding {self.text!r}: a failure, and nothing else, has a next step")

    @property
    def lines(self) -> list[str]:
        """The finding as text, without its section."""
        first = f"  {self.status.value:<5}{' '.join(self.text.split())}"
        return [first, f"       next: {self.next_step}."] if self.next_step else [first]


def ok(section: str, text: str, details: str = "") -> Finding:
    """Return a line that says that something works."""
    return Finding(section, Status.OK, text, details=details)


def note(section: str, text: str) -> Finding:
    """Return a line that says what the reader has to know."""
    return Finding(section, Status.NOTE, text)


def skipped(section: str, text: str) -> Finding:
    """Return a line that says what was not looked at, and why."""
    return Finding(section, Status.SKIPPED, text)


def failed(section: str, text: str, next_step: str, details: str = "") -> Finding:
    """Return a line that says what does not work, and what to do."""
    return Finding(section, Status.FAILED, text, next_step, details)
