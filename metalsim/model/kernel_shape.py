"""What the model reads out of the counts of a run: the work of each unit of a core, and the shape of the dispatch.

Everything is a total over the dispatch; :mod:`.estimate` divides it among cores and schedulers. Three rules turn counts
into what
they cannot say directly:

* Counts of threads become instructions of simdgroups by division by 32: threads that were masked off in a divergent
  simdgroup are thereby taken as free, so the work of divergent kernels is a lower bound.
* Integer operations and branches are not counted as work. After optimisation for the host they are address arithmetic
  and loop control of the host; on the GPU most of it disappears in the addressing modes of loads.
* **Serial chain.** A simdgroup_barrier keeps the compiler from moving a fragment load above it and a product below it.
  Kernels write two around each load, so every second one marks a step in which a load and then a product must finish
  before the next load starts. Products beyond one a step follow at their issue rate. A kernel without such barriers has
  a chain of its products alone, and of the waits for its tiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..counts import Counts
from .chips import ASSUMED_RESIDENT_THREADS, SCHEDULERS, THREADGROUP_POOL, Chip

LANES = 32

#: Cycles of every constant of a family by name: its values, or some of them moved to the end of their interval.
Cycles = Mapping[str, float]


@dataclass(frozen=True)
class Issue:
    """Cycles that the schedulers spend issuing, summed over all simdgroups of the dispatch."""

    products: float = 0.0  #: matrix products
    conversions: float = 0.0  #: between number types: widening of fragments for the most part
    arithmetic: float = 0.0  #: additions, multiplications, comparisons; one for each special function
    exchange: float = 0.0  #: shuffles, reductions and votes
    stages: float = 0.0  #: pairs of threadgroup barriers with the wait between them

    @property
    def others(self) -> float:
        """All but the products."""
        return self.conversions + self.arithmetic + self.exchange + self.stages

    def exposed(self, share: float) -> float:
        """Return the cycles that remain if ``share`` of the other work cannot hide behind products, and the rest can."""
        hidden = min((1.0 - share) * self.others, self.products)
        return self.products + self.others - hidden


def issue(counts: Counts, cycles: Cycles) -> Issue:
    """Return what the dispatch costs the schedulers."""
    operations = counts.operations
    special = (
        counts.exponentials + counts.logarithms + counts.reciprocals + counts.square_roots + counts.transcendentals
    )
    arithmetic = (
        sum(operations.get(kind, 0) for kind in ("float_add", "float_multiply", "float_fma", "compare_select"))
        + 2 * operations.get("float_divide", 0)  # a reciprocal and a multiplication
        + special
    )
    return Issue(
        products=sum(number * _product_cycles(kind, cycles) for kind, number in counts.matrix_products.items()),
        conversions=sum(number * _conversion_cycles(kind, cycles) for kind, number in counts.conversions.items())
        / LANES,
        arithmetic=arithmetic / LANES,
        exchange=counts.shuffles * cycles["shuffle"]
        + counts.reductions * cycles["reduction"]
        + counts.votes * cycles["vote"],
        stages=_stages(counts) * cycles["stage"],
    )


def special_functions(counts: Counts, cycles: Cycles) -> float:
    """Return the cycles of the special function pipe, which works beside the others."""
    return (
        (counts.exponentials + counts.logarithms) * cycles["exponential"]
        + (counts.reciprocals + counts.operations.get("float_divide", 0)) * cycles["reciprocal"]
        + counts.square_roots * cycles["square_root"]
        + counts.transcendentals * cycles["trigonometric"]
    ) / LANES


def serial_chain(counts: Counts, cycles: Cycles) -> float:
    """Return the cycles that the simdgroups would take one after another if each ran alone on the GPU."""
    products = sum(counts.matrix_products.values())
    steps = min(counts.simdgroup_barriers // 2, products)
    step_cycles = cycles["load_latency"] + cycles["product_latency"]
    follow_cycles = sum(number * _product_cycles(kind, cycles) for kind, number in counts.matrix_products.items())
    if products:
        follow_cycles *= (products - steps) / products
    return steps * step_cycles + follow_cycles + _stages(counts) * cycles["device_latency"]


def threadgroup_bytes(counts: Counts) -> int:
    """Return the bytes between registers and threadgroup memory."""
    return counts.threadgroup.loaded_bytes + counts.threadgroup.stored_bytes


def device_bytes(counts: Counts) -> int:
    """Return the bytes between registers and the first cache, each access for itself."""
    return sum(buffer.loaded_bytes + buffer.stored_bytes for buffer in counts.device.values())


@dataclass(frozen=True)
class Residency:
    """How a dispatch fills the chip."""

    active_cores: int
    simdgroups_per_core: float  #: resident at the same time
    limit: str  #: what keeps it from being more

    @property
    def schedulers(self) -> float:
        """Schedulers of a core that have a simdgroup to issue from."""
        return min(float(SCHEDULERS), self.simdgroups_per_core)


def residency(counts: Counts, chip: Chip, registers_per_thread: int | None) -> Residency:
    """Return how many simdgroups a core holds at once.

    Threadgroup memory limits it by the core's pool, registers by the family's table. The counts do not tell registers;
    without ``registers_per_thread`` a core is taken to hold 1024 threads. A family whose occupancy follows the use at
    run time has no table and is taken so too.
    """
    groups = max(counts.threadgroups, 1)
    threads_per_group = max(counts.threads // groups, 1)
    threads = ASSUMED_RESIDENT_THREADS
    if registers_per_thread is not None and chip.family.occupancy is not None:
        threads = next(
            (held for registers, held in chip.family.occupancy if registers_per_thread <= registers),
            chip.family.occupancy[-1][1],
        )
    limits = {
        "threads and registers": max(threads // threads_per_group, 1),
        "the size of the grid": -(-groups // chip.cores),
    }
    if counts.threadgroup_memory:
        limits["threadgroup memory"] = max(THREADGROUP_POOL // counts.threadgroup_memory, 1)
    limit = min(limits, key=lambda name: limits[name])
    return Residency(
        active_cores=min(chip.cores, groups),
        simdgroups_per_core=limits[limit] * counts.simdgroups / groups,
        limit=limit,
    )


def _stages(counts: Counts) -> float:
    """Pairs of threadgroup barriers, summed over the simdgroups that execute them."""
    return counts.threadgroup_barriers / 2 * counts.simdgroups / max(counts.threadgroups, 1)


def _product_cycles(kind: str, cycles: Cycles) -> float:
    """``kind`` is ``"f32=f16*f16+f32"``: D, A, B and C."""
    operands = kind.partition("=")[2].partition("+")[0].split("*")
    return cycles["product_16" if all(operand.endswith("16") for operand in operands) else "product_32"]


def _conversion_cycles(kind: str, cycles: Cycles) -> float:
    """``kind`` is ``"bf16>f32"``."""
    types = kind.split(">")
    floats = [name for name in types if name.lstrip("b").startswith("f")]
    if len(floats) == 0:
        return 1.0  # between integers: a move
    if len(floats) == 1:
        return cycles["convert_integer"]
    return cycles["widen_bfloat" if "bf16" in types else "widen_half"]
