"""What metalsim's cost model predicts for the calls of a report, from ``predictions.json``: modelled, never run.

``python -m bench.predictions``, in the sources, counts the kernels and writes that file.
"""

import functools
import importlib.resources
import json
from dataclasses import dataclass
from typing import Any

FILE = "predictions.json"
HIT = "hit"


@dataclass(frozen=True)
class Prediction:
    """A modelled time of one call on one chip, in microseconds, and the range in which it is predicted to lie."""

    us: float
    low_us: float
    high_us: float
    bound: str  #: what takes longest

    def verdict(self, us: float) -> str:
        """Say whether a measured time lies in the range, and if not, how far from its end."""
        if us < self.low_us:
            return f"MISS: {self.low_us / us:.2f} times faster than the range"
        if us > self.high_us:
            return f"MISS: {us / self.high_us:.2f} times slower than the range"
        return HIT


@functools.cache
def _content() -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def note() -> str:
    """Return what the numbers are, in the words of who made them."""
    return str(_content()["note"])


def known_chips() -> list[tuple[str, int]]:
    """Return the chips that there are predictions for, by name and number of GPU cores."""
    return [(chip["name"], chip["cores"]) for chip in _content()["chips"]]


def find(name: str, cores: int) -> dict[str, Prediction]:
    """Return predictions by the name of their call, or none for an unknown chip.

    Args:
        name: of the GPU, as Metal gives it ("Apple M1 Max"), with or without "Apple".
        cores: of the GPU.
    """
    wanted = (name.removeprefix("Apple").strip(), cores)
    for chip in _content()["chips"]:
        if (chip["name"], chip["cores"]) == wanted:
            return {call: Prediction(**prediction) for call, prediction in chip["calls"].items()}
    return {}
