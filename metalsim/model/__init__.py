"""A cost model of Apple GPUs whose input is what a kernel did, counted: :class:`metalsim.counts.Counts`.

Counts are facts, times are models. ``estimate(counts, "M1 Max")`` gives a time, its range and what bounds it;
``report(counts)`` the same as text for several chips. :func:`repeat` and :func:`extrapolate` turn the counts of small
runs into those of large ones, exactly. Chips and constants, each with its source, are in :mod:`.chips`; what the model
does and what it cannot know is said in :mod:`.estimate`, and how it reads the counts in :mod:`.kernel_shape`.
"""

from .chips import CHIPS, Chip, Constant, Family, chip
from .decode import cycles_per_row_and_key, kv_bytes, rows_at_bandwidth
from .estimate import CALIBRATION, NEVER_RUN, Comparison, Estimate, compare, estimate
from .report import report
from .scaling import extrapolate, inner_steps, repeat

__all__ = [
    "CALIBRATION",
    "CHIPS",
    "NEVER_RUN",
    "Chip",
    "Comparison",
    "Constant",
    "Estimate",
    "Family",
    "chip",
    "compare",
    "cycles_per_row_and_key",
    "estimate",
    "extrapolate",
    "inner_steps",
    "kv_bytes",
    "repeat",
    "report",
    "rows_at_bandwidth",
]
