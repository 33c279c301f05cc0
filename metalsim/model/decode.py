"""Decoding: a few query rows against a long cache of keys and values.

There the time is the larger of two: the DRAM delivers the cache once, at 0.85 of its rate, or the schedulers issue the
work of every (row, key) pair. A kernel with one row for each simdgroup pays the second for every row, so it stops being
bound by the bandwidth once enough rows share a key: :func:`rows_at_bandwidth` says how many. :func:`~.estimate` models
the time itself from the counts, given ``dram_bytes`` (:func:`kv_bytes`) and the number of kernels as ``launches``.
"""

from ..counts import Counts
from . import kernel_shape
from .chips import DRAM_SHARE, SCHEDULERS, Chip
from .chips import chip as find_chip


def kv_bytes(batch: int, kv_heads: int, keys: int, head_dim: int, element_bytes: int) -> int:
    """Return the bytes of the keys and the values, each once: what a decode step has to read from DRAM."""
    return 2 * batch * kv_heads * keys * head_dim * element_bytes


def cycles_per_row_and_key(counts: Counts, chip: Chip | str, *, rows: int, keys: int) -> float:
    """Return the scheduler cycles for one query row and one key.

    Args:
        counts: of the whole dispatch.
        chip: a chip or its name.
        rows: query rows of all heads and batches.
        keys: keys that each row sees.
    """
    chip = find_chip(chip)
    cycles = chip.family.values()
    exposed = kernel_shape.issue(counts, cycles).exposed(cycles["exposed_share"])
    return exposed / (rows * keys)


def rows_at_bandwidth(chip: Chip | str, *, cycles: float, bytes_per_key: int) -> float:
    """Return how many rows may share a key before the issue of instructions takes longer than the DRAM.

    Args:
        chip: a chip or its name.
        cycles: of one row and key (:func:`cycles_per_row_and_key`).
        bytes_per_key: of a key and its value in one kv head.
    """
    chip = find_chip(chip)
    dram_seconds = bytes_per_key / (DRAM_SHARE.value * chip.dram_gb_per_s * 1e9)
    return dram_seconds * SCHEDULERS * chip.cores * chip.clock_ghz * 1e9 / cycles
