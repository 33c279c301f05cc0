"""The text that follows the counts on the command line."""

from collections.abc import Sequence

from ..counts import Counts
from .chips import Chip
from .estimate import CALIBRATION, NEVER_RUN, Estimate, estimate
from .text import two_digits

DEFAULT_CHIPS = ("M1 Max", "M3 Max", "M4 Pro", "M4 Max")


def report(
    counts: Counts,
    chips: Sequence[Chip | str] | None = None,
    *,
    registers_per_thread: int | None = None,
    dram_bytes: int = 0,
    launches: int = 1,
) -> str:
    """Return modelled times of a dispatch on some chips as text, with what the reader has to know of them.

    Args:
        counts: of the whole dispatch.
        chips: chips or their names; None: M1 Max, M3 Max, M4 Pro and M4 Max.
        registers_per_thread: see :func:`~.estimate.estimate`.
        dram_bytes: see there.
        launches: see there.
    """
    estimates = [
        estimate(counts, chip, registers_per_thread=registers_per_thread, dram_bytes=dram_bytes, launches=launches)
        for chip in (DEFAULT_CHIPS if chips is None else chips)
    ]
    lines = [str(entry) for entry in estimates]
    if estimates and estimates[0].issue.products + estimates[0].issue.others > 0:
        lines.append(_issue_line(estimates[0]))
    lines.append(_accumulation_line(counts))
    if not all(entry.familiar for entry in estimates):
        lines.append(
            "This kernel is not shaped like those the model was calibrated on: its ranges are at least 25 % wide."
        )
    lines.append(CALIBRATION)
    return "\n".join(lines)


def _issue_line(entry: Estimate) -> str:
    issue = entry.issue
    total = issue.products + issue.others
    parts = {
        "matrix products": issue.products,
        "conversions": issue.conversions,
        "arithmetic": issue.arithmetic,
        "shuffles and reductions": issue.exchange,
        "barriers": issue.stages,
    }
    shares = ", ".join(f"{name} {two_digits(100 * cycles / total)} %" for name, cycles in parts.items() if cycles)
    return f"Scheduler cycles on {entry.chip.family.name}, before any of them hide: {shares}; {NEVER_RUN}"


def _accumulation_line(counts: Counts) -> str:
    accumulators = sorted({kind.partition("=")[0] for kind in counts.matrix_products})
    if not accumulators:
        return "The kernel has no matrix product."
    return f"Matrix products accumulate in {' and '.join(accumulators)}."
