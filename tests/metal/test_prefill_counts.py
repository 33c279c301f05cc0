"""What the prefill kernel costs, counted: nothing more than its algorithm needs."""

import prefill_cases as cases
import pytest
import torch
from launch import Tiles, prefill
from prefill_cases import BFLOAT, FLOAT, HALF

from metalsim.counts import Counts

KEY_BUFFER, VALUE_BUFFER = 1, 2
STAGED = [Tiles(4, 1, 32), Tiles(4, 2, 32)]
DIRECT = [Tiles(2, 1, 32, False), Tiles(2, 2, 32, False)]
LENGTH = 256


def counts(tiles: Tiles, dtype: torch.dtype = HALF, dim: int = 64, length: int = LENGTH, **options: object) -> Counts:
    tensors = cases.dense(1, (1, 1), (length, length), (dim, dim), dtype)
    return prefill(*tensors, tiles=tiles, count=True, **options).counts


def blocks_seen(rows: int, length: int = LENGTH) -> int:
    """Return how many tiles of `rows` queries and 8 keys have an unmasked score under a causal mask."""
    return sum((first + rows + 7) // 8 for first in range(0, length, rows))


@pytest.mark.parametrize("tiles", STAGED + DIRECT, ids=str)
def test_products_are_as_few_as_the_scores_need(tiles: Tiles) -> None:
    full, causal = (sum(counts(tiles, is_causal=is_causal).matrix_products.values()) for is_causal in (False, True))
    rows = 8 * tiles.row_tiles
    assert full == (LENGTH // 8) ** 2 * 2 * (64 // 8)
    assert causal == blocks_seen(rows) * tiles.row_tiles * 2 * (64 // 8)


@pytest.mark.parametrize(("dtype", "stage"), [(HALF, HALF), (BFLOAT, FLOAT), (FLOAT, FLOAT)], ids=str)
def test_products_of_16_bits_are_products_of_16_bits(dtype: torch.dtype, stage: torch.dtype) -> None:
    kinds = set(counts(Tiles(4, 1, 16, True, stage), dtype).matrix_products)
    assert kinds == ({"f32=f16*f16+f32", "f32=f32*f16+f32"} if stage is HALF else {"f32=f32*f32+f32"})
    direct = set(counts(Tiles(2, 1, 16, False), BFLOAT).matrix_products)
    assert direct == {"f32=bf16*bf16+f32", "f32=f32*bf16+f32"}


@pytest.mark.parametrize("tiles", STAGED + DIRECT, ids=str)
def test_only_tiles_that_hold_an_unmasked_score_are_visited(tiles: Tiles) -> None:
    """Each tile that is visited is read once: staged by a threadgroup's rows, direct by a simdgroup's, 8 keys at a time."""
    rows, keys = (tiles.rows, tiles.key_tile) if tiles.staged else (8 * tiles.row_tiles, 8)
    device = counts(tiles, is_causal=True).device
    tiles_needed = sum(-(-(first + rows) // keys) for first in range(0, LENGTH, rows))
    # A transposed fragment of K and a fragment of V: each element once.
    for buffer in (KEY_BUFFER, VALUE_BUFFER):
        assert device[buffer].loaded_bytes == tiles_needed * keys * 64 * 2


@pytest.mark.parametrize("tiles", STAGED + DIRECT, ids=str)
def test_windows_bound_the_tiles_on_both_sides(tiles: Tiles) -> None:
    rows, keys = (tiles.rows, tiles.key_tile) if tiles.staged else (8 * tiles.row_tiles, 8)
    device = counts(tiles, window_left=40, window_right=10).device
    needed = 0
    for first in range(0, LENGTH, rows):
        begin, end = max(first - 40, 0) // keys, -(-min(first + rows - 1 + 10 + 1, LENGTH) // keys)
        needed += end - begin
    assert device[KEY_BUFFER].loaded_bytes == needed * keys * 64 * 2


@pytest.mark.parametrize("tiles", STAGED + DIRECT, ids=str)
def test_barriers(tiles: Tiles) -> None:
    run = counts(tiles)
    visited = (LENGTH // tiles.rows) * (LENGTH // tiles.key_tile)
    assert run.threadgroup_barriers == (2 * visited if tiles.staged else 0)
    assert run.simdgroup_barriers == 0


@pytest.mark.parametrize("tiles", STAGED + DIRECT, ids=str)
@pytest.mark.parametrize(("dtype", "narrowed"), [(HALF, "f32>f16"), (BFLOAT, "f32>bf16")], ids=str)
def test_nothing_is_converted_but_the_output(dtype: torch.dtype, narrowed: str, tiles: Tiles) -> None:
    conversions = counts(tiles, dtype).conversions
    assert conversions.pop(narrowed) == LENGTH * 64
    assert sum(conversions.values()) == 0


HALVES = [(HALF, HALF, dim) for dim in (8, 24, 40, 56, 64, 72, 80, 96, 128)]
FLOATS = [(dtype, FLOAT, dim) for dtype in (BFLOAT, FLOAT) for dim in (64, 96, 128)]


@pytest.mark.parametrize(("dtype", "stage", "dim"), HALVES + FLOATS, ids=str)
def test_banks(dtype: torch.dtype, stage: torch.dtype, dim: int) -> None:
    """A cycle moves 128 bytes: a fragment of 16-bit elements, half of one of floats, half of what a staging store takes."""
    traffic = counts(Tiles(4, 1, 16, True, stage), dtype, dim, 64).threadgroup
    loads = max(traffic.load_instructions, traffic.loaded_bytes // 128)
    stores = traffic.stored_bytes // 128
    assert traffic.load_cycles_apple7 == loads
    assert traffic.load_cycles_apple7 + traffic.store_cycles_apple7 <= 1.05 * (loads + stores)


@pytest.mark.parametrize("dtype", [HALF, FLOAT], ids=str)
@pytest.mark.parametrize("tiles", [STAGED[0], DIRECT[1]], ids=str)
def test_no_array_of_a_thread_is_indexed_at_run_time(tiles: Tiles, dtype: torch.dtype) -> None:
    run = counts(tiles, dtype, is_causal=True)
    assert run.thread_loaded_bytes == 0
    assert run.thread_stored_bytes == 0


@pytest.mark.parametrize("tiles", STAGED + DIRECT, ids=str)
def test_maxima_hardly_ever_move(tiles: Tiles) -> None:
    """Scores of random inputs never exceed the first tile's maximum by the slack, so that lanes exchange it only there."""
    shuffles = counts(tiles).shuffles
    row_tiles = LENGTH // 8
    at_the_end = 2 * row_tiles
    assert shuffles == at_the_end + 2 * row_tiles
