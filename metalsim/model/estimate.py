"""The model: from counts and a chip to a time, what bounds it, and how far it may be off.

A core has four schedulers; each issues for one simdgroup a cycle. The work of the dispatch is dealt out evenly to the
cores that its threadgroups reach, and what each unit of a core would need alone is

* **issue**: matrix products, plus the share of all other instructions and barrier waits that is not hidden behind them;
* **threadgroup memory** and **device loads**: bytes over the unit's rate;
* **special functions**: exponentials and reciprocals, in their own pipe;
* **latency**: the serial chain of a simdgroup, with as many simdgroups at work as the core holds.

Units work side by side but get in each other's way a little: the first four are joined by a 5-norm, which is their
maximum where one dominates and 15 % more than it where two are equal. Against that stands the latency, and the time in
which the DRAM delivers ``dram_bytes``; the largest is the time. To that come the launches.

What it cannot know, and does not guess: registers, spills and scheduling by Apple's compiler, the instruction cache
(12 KB), bank conflicts of stores, the threadgroups that end last, load imbalance of a causal mask, launch and
synchronisation of a benchmark's loop, clocks under load.

Two constants are calibrated, each on one published time (:mod:`.chips`); all others are published measurements. The
interval of a time moves every constant to the ends of its plausible interval, one after the other, and adds the changes
as independent errors; it is never narrower than what the model missed elsewhere: 10 % for kernels like those it was
calibrated on, 25 % otherwise.
"""

import math
from dataclasses import dataclass, field

from ..counts import Counts
from . import kernel_shape
from .chips import DRAM_SHARE, LAUNCH_SECONDS, SCHEDULERS, Chip, Family
from .chips import chip as find_chip
from .kernel_shape import Cycles, Issue, Residency
from .text import format_time, two_digits

NEVER_RUN = "modelled, never run on Apple hardware"
CALIBRATION = (
    "Times are models, calibrated on published M1 Max and M3 Max results (MLX attention, f16: D=128 and D=64, N=4096) "
    "and never run; good to 10 % for kernels shaped like those, to 25 % otherwise; designs closer than 15 % cannot be ranked."
)

_NORM = 5
_FAMILIAR_ERROR = (
    0.10  # the largest error on the twelve published times that tests/metalsim/test_model.py compares with
)
_UNFAMILIAR_ERROR = 0.25


@dataclass(frozen=True)
class Estimate:
    """A modelled time. Nothing in it was measured."""

    chip: Chip
    seconds: float
    low: float
    high: float
    bound: str  #: the unit that takes longest
    units: dict[str, float]  #: seconds that each unit would take alone
    issue: Issue = field(repr=False)
    residency: Residency = field(repr=False)
    product_share: float  #: of the peak rate of matrix products
    familiar: bool  #: whether the kernel is like those that the model was calibrated on

    def __str__(self) -> str:
        share = f", {two_digits(100 * self.product_share)} % of peak matrix rate" if self.product_share else ""
        interval = f"range {format_time(self.low)} to {format_time(self.high)}"
        return f"{self.chip.name}: {format_time(self.seconds)} ({interval}){share}, bound: {self.bound}; {NEVER_RUN}"


def estimate(
    counts: Counts,
    chip: Chip | str,
    *,
    registers_per_thread: int | None = None,
    dram_bytes: int = 0,
    launches: int = 1,
) -> Estimate:
    """Return the modelled time of a dispatch.

    Args:
        counts: of the whole dispatch; :mod:`.scaling` makes them from those of small runs.
        chip: a chip or its name, such as ``"M1 Max"``.
        registers_per_thread: 32-bit registers a thread uses, where an Apple compiler's statistics are known. On M1 and M2
            they limit how many threads a core holds. None: taken not to limit it.
        dram_bytes: bytes that come from DRAM rather than from a cache, which counts cannot tell apart; for decoding, the
            size of the keys and values. 0: the DRAM does not bound.
        launches: kernels whose launch the time is to include, one after another in a full command buffer.

    Raises:
        ValueError: no chip has that name, or the counts are of no dispatch.
    """
    chip = find_chip(chip)
    if counts.threadgroups < 1 or counts.simdgroups < 1:
        raise ValueError("the counts are of no dispatch: they have no threadgroup; count a run with metalsim first.")
    resident = kernel_shape.residency(counts, chip, registers_per_thread)

    def seconds_with(cycles: Cycles, dram_share: float, launch: float) -> float:
        return _join(_units(counts, chip, resident, cycles, dram_bytes, dram_share)) + launches * launch

    values = chip.family.values()
    units = _units(counts, chip, resident, values, dram_bytes, DRAM_SHARE.value)
    seconds = seconds_with(values, DRAM_SHARE.value, LAUNCH_SECONDS.value)
    faster = [seconds_with(values, DRAM_SHARE.best, LAUNCH_SECONDS.best)]
    slower = [seconds_with(values, DRAM_SHARE.worst, LAUNCH_SECONDS.worst)]
    for name, constant in chip.family.constants():
        faster.append(seconds_with({**values, name: constant.best}, DRAM_SHARE.value, LAUNCH_SECONDS.value))
        slower.append(seconds_with({**values, name: constant.worst}, DRAM_SHARE.value, LAUNCH_SECONDS.value))
    familiar = _is_familiar(counts, chip.family)
    floor = (_FAMILIAR_ERROR if familiar else _UNFAMILIAR_ERROR) * seconds
    return Estimate(
        chip=chip,
        seconds=seconds,
        low=max(0.0, seconds - max(floor, math.hypot(*(seconds - other for other in faster)))),
        high=seconds + max(floor, math.hypot(*(other - seconds for other in slower))),
        bound=_bound(units, resident),
        units=units,
        issue=kernel_shape.issue(counts, values),
        residency=resident,
        product_share=sum(counts.matrix_products.values()) / chip.peak_products_per_second / seconds,
        familiar=familiar,
    )


def _units(
    counts: Counts, chip: Chip, resident: Residency, cycles: Cycles, dram_bytes: int, dram_share: float
) -> dict[str, float]:
    """Return the seconds each unit would take alone, by name."""
    issued = kernel_shape.issue(counts, cycles)
    core_hertz = resident.active_cores * chip.clock_ghz * 1e9
    scheduler_hertz = core_hertz * resident.schedulers
    return {
        "issue": issued.exposed(cycles["exposed_share"]) / scheduler_hertz,
        "threadgroup memory": kernel_shape.threadgroup_bytes(counts) / cycles["threadgroup_bytes"] / core_hertz,
        "device loads": kernel_shape.device_bytes(counts) / cycles["l1_bytes"] / core_hertz,
        "special functions": kernel_shape.special_functions(counts, cycles) / scheduler_hertz,
        "latency": kernel_shape.serial_chain(counts, cycles) / resident.simdgroups_per_core / core_hertz,
        "DRAM": dram_bytes / (dram_share * chip.dram_gb_per_s * 1e9),
    }


_SIDE_BY_SIDE = ("issue", "threadgroup memory", "device loads", "special functions")


def _join(units: dict[str, float]) -> float:
    norm = math.pow(sum(units[name] ** _NORM for name in _SIDE_BY_SIDE), 1 / _NORM)
    return max(norm, units["latency"], units["DRAM"])


def _bound(units: dict[str, float], resident: Residency) -> str:
    name = max(units, key=lambda unit: units[unit])
    if name == "latency":
        per_scheduler = resident.simdgroups_per_core / SCHEDULERS
        return f"latency, with {per_scheduler:.2g} simdgroups a scheduler (limited by {resident.limit})"
    if name == "issue":
        return "instruction issue"
    return name


def _is_familiar(counts: Counts, family: Family) -> bool:
    """Matrix products accumulated in float, from tiles staged in threadgroup memory, on a family that was calibrated.

    A kernel that multiplies bfloat itself is unfamiliar where the hardware has none: what the compiler makes of it is
    not known.
    """
    staged = counts.threadgroup_barriers > 0 and counts.threadgroup.loaded_bytes > 0
    in_float = all(kind.startswith("f32=") for kind in counts.matrix_products)
    emulated = family.widen_bfloat.value > family.widen_half.value and any(
        "bf16" in kind for kind in counts.matrix_products
    )
    return bool(counts.matrix_products) and staged and in_float and not emulated


@dataclass(frozen=True)
class Comparison:
    """Two kernels under the same model."""

    ratio: float  #: time of the baseline over that of the candidate
    claimable: bool  #: whether the ratio is beyond what the model can tell apart on that family

    def __str__(self) -> str:
        if self.claimable:
            return f"{two_digits(self.ratio)} times as fast; {NEVER_RUN}"
        return f"no difference that the model could tell apart (ratio {two_digits(self.ratio)}); {NEVER_RUN}"


def compare(baseline: Estimate, candidate: Estimate) -> Comparison:
    """Compare two estimates for one chip; a win is claimable above 1.15 on M1 and M2, above 1.25 on later chips.

    Raises:
        ValueError: the estimates are for different chips.
    """
    if baseline.chip != candidate.chip:
        raise ValueError(
            f"the estimates are for {baseline.chip.name} and {candidate.chip.name}: compare times of one chip only."
        )
    ratio = baseline.seconds / candidate.seconds
    return Comparison(ratio, ratio >= baseline.chip.family.claim_ratio)
