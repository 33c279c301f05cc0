"""What the counts of a call say: the figures that have goals, and modelled times."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.kernels.cases import CONTEXT, LENGTH, Decode, Prefill
from bench.kernels.counting import Fewest, Launch
from metalsim import model
from metalsim.counts import Counts, total
from metalsim.model.chips import DRAM_SHARE, LAUNCH_SECONDS

FRAGMENT = 8  #: rows and columns of a matrix product
LANES = 32  #: of a simdgroup

#: Buffers of keys and values, in all attention kernels here.
KEY_BUFFER, VALUE_BUFFER = 1, 2


@dataclass(frozen=True)
class Time:
    """A modelled time, never run: of the launches after each other, with the range of the model."""

    seconds: float
    low: float
    high: float
    bound: str  #: of the first launch

    @property
    def text(self) -> str:
        return microseconds(self.seconds, self.low, self.high)


def microseconds(seconds: float, low: float, high: float) -> str:
    """Return a time with its range; with a decimal where it is short."""
    digits = 0 if seconds >= 1e-5 else 1
    return f"{seconds * 1e6:.{digits}f} ({low * 1e6:.{digits}f} to {high * 1e6:.{digits}f})"


def modelled(launches: Sequence[Launch], chip: str, dram_bytes: int = 0) -> Time:
    """Return the time of launches of which the first one reads ``dram_bytes`` from DRAM."""
    estimates = [
        model.estimate(launch.counts, chip, dram_bytes=dram_bytes if number == 0 else 0)
        for number, launch in enumerate(launches)
    ]
    return Time(
        sum(estimate.seconds for estimate in estimates),
        sum(estimate.low for estimate in estimates),
        sum(estimate.high for estimate in estimates),
        "launch" if LAUNCH_SECONDS.value > estimates[0].seconds / 2 else estimates[0].bound.split(",")[0],
    )


@dataclass(frozen=True)
class Shape:
    """How a prefill kernel cuts up a call: query rows and keys of what is loaded, query rows of what is multiplied."""

    tile_rows: int
    tile_keys: int
    product_rows: int


def tiles_needed(length: int, rows: int, keys: int, is_causal: bool) -> int:
    """Return how many tiles of a head hold a score that no mask hides."""
    ends = (min(first + rows, length) if is_causal else length for first in range(0, length, rows))
    return sum(-(-end // keys) for end in ends)


@dataclass(frozen=True)
class PrefillFigures:
    """Counted, but for the time."""

    products: (
        float  #: matrix products ÷ the fewest, those of blocks of (a simdgroup's rows x 8 keys) with a visible score
    )
    tiles: float  #: tiles of keys loaded ÷ tiles that hold a visible score
    conversions: float  #: by simdgroups, of operands, ÷ matrix products
    barriers: float  #: of a threadgroup ÷ tiles it loads
    banks: float | None  #: bank cycles ÷ those without conflicts
    loaded_bytes: int  #: from device memory
    threadgroup_memory: int
    indexed_bytes: int  #: of per-thread arrays that are indexed at run time
    time: Time


def indexed_bytes(counts: Counts) -> int:
    return counts.thread_loaded_bytes + counts.thread_stored_bytes


def loaded_bytes(counts: Counts) -> int:
    return sum(buffer.loaded_bytes for buffer in counts.device.values())


def prefill_figures(case: Prefill, launch: Launch, shape: Shape, chip: str, family: int, heads: int) -> PrefillFigures:
    counts = launch.counts
    products = sum(counts.matrix_products.values())
    fragments = case.head_dim // FRAGMENT
    blocks = heads * tiles_needed(LENGTH, shape.product_rows, FRAGMENT, case.is_causal)
    fewest = blocks * (shape.product_rows // FRAGMENT) * 2 * fragments
    item = case.dtype.itemsize
    tiles_loaded = counts.device[KEY_BUFFER].loaded_bytes / (shape.tile_keys * case.head_dim * item)
    needed = heads * tiles_needed(LENGTH, shape.tile_rows, shape.tile_keys, case.is_causal)
    output = heads * LENGTH * case.head_dim if item == 2 else 0
    return PrefillFigures(
        products=products / fewest,
        tiles=tiles_loaded / needed,
        conversions=(sum(counts.conversions.values()) - output) / LANES / products,
        barriers=counts.threadgroup_barriers / tiles_loaded,
        banks=launch.banks[family].ratio,
        loaded_bytes=loaded_bytes(counts),
        threadgroup_memory=counts.threadgroup_memory,
        indexed_bytes=indexed_bytes(counts),
        time=modelled([launch], chip),
    )


@dataclass(frozen=True)
class DecodeFigures:
    """Counted, but for the times."""

    kv_bytes: float  #: bytes of keys and values loaded ÷ those that there are
    banks: float | None
    threadgroup_memory: int
    indexed_bytes: int
    time: Time  #: with the DRAM
    own_work: Time  #: of what the kernels do, as if the DRAM were infinitely fast
    dram_seconds: float  #: in which the DRAM delivers keys and values once


def decode_figures(case: Decode, launches: Sequence[Launch], chip: str, family: int) -> DecodeFigures:
    there = kv_bytes(case)
    first = launches[0].counts
    every = total([launch.counts for launch in launches])
    taken = sum(launch.banks[family].taken for launch in launches)
    needed = sum(launch.banks[family].needed for launch in launches)
    return DecodeFigures(
        kv_bytes=sum(first.device[buffer].loaded_bytes for buffer in (KEY_BUFFER, VALUE_BUFFER)) / there,
        banks=taken / needed if needed else None,
        threadgroup_memory=every.threadgroup_memory,
        indexed_bytes=indexed_bytes(every),
        time=modelled(launches, chip, there),
        own_work=modelled(launches, chip),
        dram_seconds=dram_seconds(there, chip),
    )


def kv_bytes(case: Decode) -> int:
    return model.kv_bytes(1, case.kv_heads, CONTEXT, case.head_dim, case.dtype.itemsize)


def dram_seconds(moved_bytes: int, chip: str) -> float:
    """Return the seconds that the DRAM takes to deliver so many bytes, as fast as it is taken to do."""
    return moved_bytes / (DRAM_SHARE.value * 1e9 * model.chip(chip).dram_gb_per_s)


@dataclass(frozen=True)
class AuxiliaryFigures:
    """Counted, but for the time, in which every byte that must be moved comes from DRAM, or goes there."""

    loaded: float  #: bytes of tensors loaded ÷ the fewest
    stored: float
    fewest_bytes: int  #: loaded and stored
    barriers: float  #: of a threadgroup
    banks: float | None
    threadgroup_memory: int
    indexed_bytes: int
    time: Time
    dram_seconds: float


def auxiliary_figures(launch: Launch, fewest: Fewest, chip: str, family: int) -> AuxiliaryFigures:
    counts = launch.counts
    tensors = [traffic for buffer, traffic in counts.device.items() if buffer != fewest.params]
    fewest_bytes = fewest.loaded + fewest.stored
    return AuxiliaryFigures(
        loaded=sum(traffic.loaded_bytes for traffic in tensors) / fewest.loaded,
        stored=sum(traffic.stored_bytes for traffic in tensors) / fewest.stored,
        fewest_bytes=fewest_bytes,
        barriers=counts.threadgroup_barriers / counts.threadgroups,
        banks=launch.banks[family].ratio,
        threadgroup_memory=counts.threadgroup_memory,
        indexed_bytes=indexed_bytes(counts),
        time=modelled([launch], chip, fewest_bytes),
        dram_seconds=dram_seconds(fewest_bytes, chip),
    )
