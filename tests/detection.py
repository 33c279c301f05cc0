"""What the tests of faults and of mutations found, for the rate that they print and hold above a limit."""

from collections import Counter
from dataclasses import dataclass, field

#: Of the mistakes that do harm, this many must be found.
LEAST_RATE = 0.95


@dataclass
class Detections:
    """Outcomes of a group of mistakes by name: "missed", "harmless", or how a mistake was found."""

    title: str
    outcomes: dict[str, str] = field(default_factory=dict)

    @property
    def harmful(self) -> int:
        """Return how many do harm."""
        return sum(outcome != "harmless" for outcome in self.outcomes.values())

    @property
    def missed(self) -> list[str]:
        """Return the harmful ones that were not found."""
        return [name for name, outcome in self.outcomes.items() if outcome == "missed"]

    @property
    def rate(self) -> float:
        """Return the share of the harmful ones that was found."""
        return 1 - len(self.missed) / self.harmful

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(self.outcomes.values()).items()))
        found = self.harmful - len(self.missed)
        return f"{self.title}: {found} of {self.harmful} harmful ones found ({self.rate:.1%}): {kinds}"


FAULTS = Detections("kernels with a fault")
MUTATIONS = Detections("mutations of PyTorch's and MLX's kernels")
