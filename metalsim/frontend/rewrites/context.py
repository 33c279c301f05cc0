"""What all rewrites share: the declarations, the edits, and what was found wrong."""

from dataclasses import dataclass, field

from metalsim.frontend.edits import EditList
from metalsim.frontend.syntax import Unit
from metalsim.frontend.tokens import Span, TokenStream
from metalsim.frontend.translation import SourceFinding


@dataclass(frozen=True)
class Context:
    """The state of one translation."""

    unit: Unit
    edits: EditList
    findings: list[SourceFinding] = field(default_factory=list)

    @property
    def stream(self) -> TokenStream:
        """The tokens."""
        return self.unit.stream

    def report(self, index: int, rule: str, message: str, section: str) -> None:
        """Adds a finding at a token."""
        token = self.stream.tokens[index]
        self.findings.append(SourceFinding(token.file, token.line, token.column, rule, message, section))

    def text(self, span: Span) -> str:
        """The source text of a span, on one line."""
        return self.stream.text(span)
