"""The prefill kernel on metalsim: right by the tolerance rule, no finding of its checks, the same bits in every order."""

from typing import Any

import packed_cases
import prefill_cases as cases
import pytest
import reference
import torch
from launch import Result, Tiles, prefill
from prefill_cases import BFLOAT, FLOAT, HALF, KINDS, STAGED
from torch import Tensor

import metalsim

FIRST, LAST = metalsim.ALL_SCHEDULES[0], metalsim.ALL_SCHEDULES[-1]


def run_dense(tensors: list[Tensor], tiles: Tiles, schedule: Any = FIRST, **options: Any) -> Result:
    result = prefill(*tensors, tiles=tiles, check=True, schedule=schedule, **options)
    reference.assert_matches(result.out, result.lse, reference.attention, *tensors, **options)
    return result


@pytest.mark.parametrize("lengths", cases.LENGTHS, ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_lengths(tiles: Tiles, causal: bool, lengths: tuple[int, int]) -> None:
    run_dense(cases.dense(1, (2, 1), lengths, (64, 64), HALF), tiles, is_causal=causal)


@pytest.mark.parametrize("names", cases.KEYWORDS)
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_keywords(tiles: Tiles, names: str) -> None:
    tensors = cases.dense(2, (4, 2), (70, 93), (40, 24), HALF, "blhd")
    run_dense(tensors, tiles, **cases.keywords(names, 2, 4))


@pytest.mark.parametrize("names", ["causal", "top_left+left+right", "left0+sinks", "alibi"])
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_more_queries_than_keys(tiles: Tiles, names: str) -> None:
    """Rows that see no key: the first ones under a causal mask that is aligned to the lower right."""
    tensors = cases.dense(2, (4, 2), (93, 30), (40, 24), HALF)
    run_dense(tensors, tiles, **cases.keywords(names, 2, 4))


@pytest.mark.parametrize("name", cases.MASKS)
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_masks(tiles: Tiles, name: str) -> None:
    tensors = cases.dense(2, (4, 2), (50, 70), (40, 24), HALF)
    mask = cases.make_mask(name, (2, 4, 50, 70))
    result = prefill(*tensors, tiles=tiles, check=True, attn_mask=mask)
    # A row full of the lowest number: its lse is that number in one base and not in another; out is what counts.
    lse = None if name.startswith("lowest") else result.lse
    reference.assert_matches(result.out, lse, reference.attention, *tensors, attn_mask=mask)


@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_mask_with_everything(tiles: Tiles) -> None:
    tensors = cases.dense(2, (4, 2), (50, 70), (40, 24), HALF)
    options = cases.keywords("causal+left+batch_alibi+softcap+sinks+scale", 2, 4)
    run_dense(tensors, tiles, attn_mask=cases.make_mask("float_BHLS", (2, 4, 50, 70)), **options)


#: Head dims, type and tiles as they are chosen for M1 and M2 (first half) and for later GPUs. All of them in every order.
PLANNED = [
    *((dims, HALF, Tiles(4, 2, 32)) for dims in ((8, 8), (40, 40), (64, 64))),
    *((dims, HALF, Tiles(8, 1, 32)) for dims in ((80, 80), (96, 96), (128, 128), (64, 128))),
    *((dims, HALF, Tiles(8, 1, 16)) for dims in ((192, 128), (256, 256))),
    *((dims, BFLOAT, Tiles(4, 2, 32, True, FLOAT)) for dims in ((40, 40), (64, 64), (80, 80), (96, 96))),
    *((dims, BFLOAT, Tiles(4, 2, 16, True, FLOAT)) for dims in ((80, 128), (128, 128))),
    *((dims, BFLOAT, Tiles(8, 1, 16, True, FLOAT)) for dims in ((160, 160), (192, 128))),
    *((dims, BFLOAT, Tiles(8, 1, 8, True, FLOAT)) for dims in ((256, 256),)),
    *((dims, FLOAT, Tiles(4, 2, 32)) for dims in ((8, 8), (40, 40), (64, 64))),
    *((dims, FLOAT, Tiles(4, 2, 16)) for dims in ((80, 80), (96, 96))),
    *((dims, FLOAT, Tiles(8, 1, 16)) for dims in ((128, 128), (128, 80), (192, 192))),
    *((dims, FLOAT, Tiles(8, 1, 8)) for dims in ((256, 256),)),
    *((dims, HALF, Tiles(2, 2, 32, False)) for dims in ((8, 8), (40, 40), (64, 64), (80, 80), (96, 96))),
    *((dims, HALF, Tiles(2, 1, 32, False)) for dims in ((128, 128), (192, 128), (256, 256))),
    *((dims, BFLOAT, Tiles(2, 2, 32, False)) for dims in ((64, 64), (80, 40), (96, 96))),
    *((dims, BFLOAT, Tiles(2, 1, 32, False)) for dims in ((128, 128), (256, 256))),
    *((dims, FLOAT, Tiles(2, 2, 32, False)) for dims in ((8, 8), (64, 64), (128, 128))),
    *((dims, FLOAT, Tiles(2, 2, 16, False)) for dims in ((80, 80), (96, 96))),
]


@pytest.mark.parametrize(("head_dims", "dtype", "tiles"), PLANNED, ids=str)
def test_planned_tiles(head_dims: tuple[int, int], dtype: torch.dtype, tiles: Tiles) -> None:
    tensors = cases.dense(1, (2, 1), (75, 83), head_dims, dtype, "sliced")
    run_dense(tensors, tiles, metalsim.ALL_SCHEDULES, is_causal=True)


@pytest.mark.parametrize("layout", ["bhld", "blhd", "sliced"])
@pytest.mark.parametrize("dtype", [HALF, BFLOAT, FLOAT], ids=str)
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_layouts(tiles: Tiles, dtype: torch.dtype, layout: str) -> None:
    run_dense(cases.dense(2, (4, 2), (20, 37), (64, 32), dtype, layout), tiles)


@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_expanded_keys(tiles: Tiles) -> None:
    query, key, value = cases.dense(2, (4, 4), (20, 37), (64, 32), HALF)
    run_dense([query, key[:1].expand(key.shape), value[:, :1].expand(value.shape)], tiles)


@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_scores_that_rise_from_tile_to_tile(tiles: Tiles) -> None:
    """The maximum moves in every tile, by less and by more than the slack and than fp32's range, in every other 8 rows."""
    query, key, value = cases.dense(1, (1, 1), (33, 130), (64, 64), FLOAT)
    for rise in (0.3, 3.0, -3.0, 100.0):
        query[..., 0] = torch.where(torch.arange(33) // 8 % 2 == 0, 8.0, -8.0)
        key[..., 0] = rise * torch.arange(130)
        run_dense([query, key, value], tiles)


def _table_case(sequences: packed_cases.Lengths, block_size: int = 0) -> packed_cases.PackedCase:
    return packed_cases.PackedCase(HALF, 64, (4, 2), sequences, "sliced", "", block_size)


SEQUENCES: list[packed_cases.Lengths] = [
    ((0, 0), (0, 4), (4, 0), (2, 9), (0, 0), (40, 40), (17, 70)),
    ((33, 70), (0, 0), (48, 31)),
]
PACKED_KEYWORDS = ["", "causal", "causal+left+batch_alibi+softcap+sinks+scale"]


@pytest.mark.parametrize("names", PACKED_KEYWORDS)
@pytest.mark.parametrize("sequences", SEQUENCES, ids=str)
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_packed(tiles: Tiles, sequences: packed_cases.Lengths, names: str) -> None:
    tensors = packed_cases.packed_tensors(_table_case(sequences), torch.device("cpu"))
    ends = [packed_cases.ends(lengths, torch.device("cpu")) for lengths in zip(*sequences, strict=True)]
    options = cases.keywords(names, len(sequences), 4)
    run = prefill(
        *tensors, tiles=tiles, check=True, schedule=(FIRST, LAST), cu_seqlens_q=ends[0], cu_seqlens_k=ends[1], **options
    )
    reference.assert_matches(run.out, run.lse, reference.varlen_attention, *tensors, *ends, **options)


def _paged(
    sequences: packed_cases.Lengths, block_size: int, layout: str = "separate"
) -> tuple[list[Tensor], Tensor, dict]:
    query, key, value = packed_cases.packed_tensors(_table_case(sequences, block_size), torch.device("cpu"))
    lengths_q, lengths_k = zip(*sequences, strict=True)
    cache = packed_cases.paged_cache(key, value, lengths_k, block_size, layout)
    ends = packed_cases.ends(lengths_q, torch.device("cpu"))
    return (
        [query, cache.key_cache, cache.value_cache],
        ends,
        {"block_table": cache.block_table, "seqused_k": cache.seqused_k},
    )


def _assert_paged(run: Result, tensors: list[Tensor], ends: Tensor, where: dict, **options: Any) -> None:
    inputs = (*tensors, where["block_table"], where["seqused_k"], ends)
    reference.assert_matches(run.out, run.lse, reference.paged_attention, *inputs, **options)


@pytest.mark.parametrize("names", ["", "causal+left+batch_alibi+softcap+sinks+scale"])
@pytest.mark.parametrize("block_size", [1, 8, 16, 17, 24, 32])
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_paged(tiles: Tiles, block_size: int, names: str) -> None:
    """Blocks lie in any order; the unused end of a block, unused blocks and unused entries of the table hold NaN and -1."""
    options = cases.keywords(names, len(SEQUENCES[0]), 4)
    layout = "heads_first" if block_size == 16 else "interleaved"
    tensors, ends, where = _paged(SEQUENCES[0], block_size, layout)
    run = prefill(*tensors, tiles=tiles, check=True, schedule=(FIRST, LAST), cu_seqlens_q=ends, **where, **options)
    _assert_paged(run, tensors, ends, where, **options)


@pytest.mark.parametrize("block_size", [1, 8, 16, 17])
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_blocks_behind_every_window(tiles: Tiles, block_size: int) -> None:
    """A cache with a sliding window has given them back: their entries are -1, and block 0 holds NaN."""
    tensors, ends, where = _paged(((17, 150),), block_size)
    table = where["block_table"]
    kept = (150 - 17 - 20) // block_size
    table[0, :kept] = torch.tensor([-1, 1 << 30])[torch.arange(kept) % 2]
    free = table[0].eq(0).nonzero()
    if free.numel():  # block 0 is in use: swap it with one that is not
        unused = next(n for n in range(tensors[1].shape[0]) if n not in table[0].tolist())
        for cache in tensors[1:]:
            cache[unused] = cache[0]
        table[0, free[0]] = unused
    for cache in tensors[1:]:
        cache[0] = torch.nan
    options = {"is_causal": True, "window_left": 20}
    run = prefill(*tensors, tiles=tiles, check=True, cu_seqlens_q=ends, **where, **options)
    where["block_table"] = table.where(table < tensors[1].shape[0], -1)
    _assert_paged(run, tensors, ends, where, **options)


@pytest.mark.parametrize("block_size", [16, 17])
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_entries_that_name_no_block_are_zeros(tiles: Tiles, block_size: int) -> None:
    tensors, ends, where = _paged(((17, 100),), block_size)
    where["block_table"][0, 1] = -1
    run = prefill(*tensors, tiles=tiles, check=True, cu_seqlens_q=ends, **where)
    _assert_paged(run, tensors, ends, where)


@pytest.mark.parametrize("block_size", [16, 17])
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_wild_tables_and_lengths_stay_inside(tiles: Tiles, block_size: int) -> None:
    """Nothing is said about the result; metalsim finds any access outside of a tensor."""
    tensors, ends, where = _paged(((17, 100), (20, 30)), block_size)
    where["block_table"][:] = torch.tensor([-(1 << 31), 1 << 30, -1, 10_000])[
        torch.arange(where["block_table"].numel()) % 4
    ].view_as(where["block_table"])
    for lengths in ((1 << 30, -5), (-(1 << 31), 2**31 - 1)):
        where["seqused_k"][:] = torch.tensor(lengths)
        prefill(*tensors, tiles=tiles, check=True, cu_seqlens_q=ends, max_seqlen_q=20, **where)
    key, value = (torch.randn(50, 2, 64).to(HALF) for _ in range(2))
    for wild in ([-7, 20, 1 << 30], [37, -3, 5], [2**31 - 1, -(1 << 31), 0]):
        cu_seqlens = torch.tensor(wild, dtype=torch.int32)
        for q_ends, k_ends in ((cu_seqlens, ends), (ends, cu_seqlens)):
            prefill(
                tensors[0],
                key,
                value,
                tiles=tiles,
                check=True,
                cu_seqlens_q=q_ends,
                cu_seqlens_k=k_ends,
                max_seqlen_q=40,
            )


def test_threadgroup_memory_of_every_planned_pipeline() -> None:
    for (dim, dim_v), dtype, tiles in PLANNED:
        size = (tiles.stage or dtype).itemsize
        at_most = tiles.key_tile * ((dim + dim_v) * size + 32) if tiles.staged else 0
        assert at_most <= 32768
    run = prefill(*cases.dense(1, (1, 1), (8, 8), (64, 64), HALF), tiles=STAGED, count=True)
    assert run.counts.threadgroup_memory == 16 * (128 * 2 + 32)
