"""The decode kernel on metalsim: right by the tolerance rule, no finding of its checks, the same bits in every order."""

from typing import Any, NamedTuple

import packed_cases
import prefill_cases as cases
import pytest
import reference
import torch
from launch_decode import DecodeResult, DecodeTiles, decode
from prefill_cases import BFLOAT, FLOAT, HALF
from torch import Tensor

import metalsim

FIRST, LAST = metalsim.ALL_SCHEDULES[0], metalsim.ALL_SCHEDULES[-1]


class Form(NamedTuple):
    """A form of the kernel: heads and query tokens that make enough rows, and a choice of tiles, smaller than planned."""

    name: str
    heads: tuple[int, int]
    tokens: int
    tiles: DecodeTiles

    def __str__(self) -> str:
        return self.name


VECTOR = Form("vector", (4, 2), 2, DecodeTiles(simdgroups=2, key_tile=16))
#: A tile as planned: one run, two, four, or keys one by one, as blocks are.
LONG_VECTOR = Form("long_vector", (4, 2), 2, DecodeTiles(simdgroups=2))
MATRIX = Form("matrix", (6, 2), 2, DecodeTiles(simdgroups=2, key_tile=16))
TWO_TILES = Form("two_tiles", (10, 2), 3, DecodeTiles(simdgroups=3, key_tile=8, row_tiles=2))
STAGED = Form("staged", (6, 2), 6, DecodeTiles(simdgroups=6, key_tile=8))
FORMS = [VECTOR, MATRIX, TWO_TILES, STAGED]
#: The forms that apply rules to scores in code of their own; the others do as MATRIX does.
RULE_FORMS = [VECTOR, MATRIX]


def run_dense(tensors: list[Tensor], tiles: DecodeTiles, schedule: Any = FIRST, **options: Any) -> DecodeResult:
    result = decode(*tensors, tiles=tiles, check=True, schedule=schedule, **options)
    options = {name: option for name, option in options.items() if name not in ("splits", "keys_per_split")}
    reference.assert_matches(result.out, result.lse, reference.attention, *tensors, **options)
    return result


def tensors_of(
    form: Form, keys: int, head_dims: tuple[int, int] = (40, 24), dtype: torch.dtype = HALF, **layout: Any
) -> list[Tensor]:
    return cases.dense(2, form.heads, (form.tokens, keys), head_dims, dtype, **layout)


@pytest.mark.parametrize("splits", [1, 2, 7])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_lengths(form: Form, splits: int) -> None:
    """Shorter than a tile, a tile and one less and more, fewer tiles than splits, several for each split, uneven ones."""
    for keys in (1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 230):
        run_dense(tensors_of(form, keys), form.tiles, splits=splits, is_causal=True)


@pytest.mark.parametrize("keys_per_split", [16, 48, 1 << 20, (1 << 32) - 16])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_least_keys_of_a_split(form: Form, keys_per_split: int) -> None:
    """The first splits have them, more of them the more keys there are; what is left for the others may be nothing."""
    for keys in (20, 100):
        result = run_dense(tensors_of(form, keys), form.tiles, splits=3, keys_per_split=keys_per_split, is_causal=True)
        assert result.partial_out is not None
        assert result.partial_lse is not None
        empty = result.partial_lse == -torch.inf
        assert (result.partial_out[empty] == 0).all()
        if keys_per_split >= keys:
            assert empty[1:].all()
            assert not empty[0].any()


@pytest.mark.parametrize("names", cases.KEYWORDS)
@pytest.mark.parametrize("form", RULE_FORMS, ids=str)
def test_keywords(form: Form, names: str) -> None:
    options = cases.keywords(names, 2, form.heads[0])
    run_dense(tensors_of(form, 93, layout="blhd"), form.tiles, splits=2, **options)


@pytest.mark.parametrize("names", ["causal", "left0+sinks", "top_left+left+right"])
@pytest.mark.parametrize("splits", [1, 2])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_more_queries_than_keys(form: Form, splits: int, names: str) -> None:
    """Rows that see no key, in sequences of one key."""
    run_dense(tensors_of(form, 1), form.tiles, splits=splits, **cases.keywords(names, 2, form.heads[0]))


@pytest.mark.parametrize("name", cases.MASKS)
@pytest.mark.parametrize("form", RULE_FORMS, ids=str)
def test_masks(form: Form, name: str) -> None:
    tensors = tensors_of(form, 70)
    mask = cases.make_mask(name, (2, form.heads[0], form.tokens, 70))
    result = decode(*tensors, tiles=form.tiles, splits=2, check=True, attn_mask=mask)
    # A row full of the lowest number: its lse is that number in one base and not in another; out is what counts.
    lse = None if name.startswith("lowest") else result.lse
    reference.assert_matches(result.out, lse, reference.attention, *tensors, attn_mask=mask)


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_mask_with_everything(form: Form, splits: int) -> None:
    options = cases.keywords("causal+left+batch_alibi+softcap+sinks+scale", 2, form.heads[0])
    mask = cases.make_mask("float_BHLS", (2, form.heads[0], form.tokens, 70))
    run_dense(tensors_of(form, 70), form.tiles, attn_mask=mask, splits=splits, **options)


#: Head dims, type, and tiles as kernel_plan chooses them, for some heads that share a kv head. All of them in every order.
PLANNED = [
    *(
        (dims, HALF, 1, DecodeTiles(key_tile=32))
        for dims in ((8, 8), (40, 40), (64, 64), (96, 96), (128, 128), (256, 256))
    ),
    *(
        (dims, dtype, 4, DecodeTiles(key_tile=32))
        for dims, dtype in (((64, 64), BFLOAT), ((128, 80), HALF), ((256, 256), HALF))
    ),
    *((dims, FLOAT, 2, DecodeTiles(key_tile=32)) for dims in ((8, 8), (64, 64), (128, 128), (192, 136), (256, 256))),
    *(
        (dims, HALF, 8, DecodeTiles(key_tile=32))
        for dims in ((8, 8), (40, 40), (64, 64), (72, 88), (96, 96), (128, 128))
    ),
    *((dims, HALF, 8, DecodeTiles(key_tile=16)) for dims in ((192, 128), (256, 256))),
    *((dims, BFLOAT, 8, DecodeTiles(key_tile=32)) for dims in ((64, 64), (80, 40), (128, 128))),
    *((dims, FLOAT, 8, DecodeTiles(key_tile=16)) for dims in ((8, 8), (24, 40), (64, 64), (128, 128), (256, 256))),
    *((dims, HALF, 16, DecodeTiles(key_tile=16, row_tiles=2)) for dims in ((64, 64), (128, 128))),
    *((dims, FLOAT, 16, DecodeTiles(key_tile=16, row_tiles=2)) for dims in ((64, 64), (72, 72))),
    ((256, 256), HALF, 16, DecodeTiles(key_tile=8, simdgroups=4)),
    ((128, 128), FLOAT, 16, DecodeTiles(key_tile=8, simdgroups=4)),
    ((64, 64), HALF, 24, DecodeTiles(key_tile=32, simdgroups=3)),
    ((256, 256), FLOAT, 24, DecodeTiles(key_tile=8, simdgroups=3)),
    *((dims, HALF, 32, DecodeTiles(key_tile=32, simdgroups=4)) for dims in ((40, 40), (64, 64), (128, 128))),
    ((256, 256), HALF, 32, DecodeTiles(key_tile=16, simdgroups=4)),
    ((64, 64), BFLOAT, 32, DecodeTiles(key_tile=32, simdgroups=4)),
    *((dims, FLOAT, 32, DecodeTiles(key_tile=16, simdgroups=4)) for dims in ((8, 8), (128, 128))),
]


@pytest.mark.parametrize(("head_dims", "dtype", "rows", "tiles"), PLANNED, ids=str)
def test_planned_tiles(head_dims: tuple[int, int], dtype: torch.dtype, rows: int, tiles: DecodeTiles) -> None:
    tensors = cases.dense(1, (2 * rows, 2), (1, 150), head_dims, dtype)
    result = run_dense(tensors, tiles, metalsim.ALL_SCHEDULES, splits=2, window_left=100)
    assert result.counts.thread_loaded_bytes == 0
    assert result.counts.threadgroup_memory <= 32768


@pytest.mark.parametrize(
    ("queries_per_kv_head", "tokens"),
    [(1, 1), (1, 3), (1, 8), (2, 2), (3, 1), (3, 5), (4, 8), (5, 1), (7, 4), (8, 1), (8, 4), (16, 2), (17, 1), (32, 1)],
)
def test_rows(queries_per_kv_head: int, tokens: int) -> None:
    """Any number of rows up to 32, causal between the tokens."""
    tensors = cases.dense(2, (2 * queries_per_kv_head, 2), (tokens, 70), (64, 64), HALF)
    run_dense(tensors, DecodeTiles(simdgroups=-(-queries_per_kv_head * tokens // 8)), splits=2, is_causal=True)


@pytest.mark.parametrize("layout", ["bhld", "blhd", "sliced"])
@pytest.mark.parametrize("dtype", [HALF, BFLOAT, FLOAT], ids=str)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_layouts(form: Form, dtype: torch.dtype, layout: str) -> None:
    """Rows that are aligned and, in "sliced", rows that are not."""
    run_dense(tensors_of(form, 37, (88, 104), dtype, layout=layout), form.tiles)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_expanded_keys(form: Form) -> None:
    query, key, value = tensors_of(form, 37)
    run_dense([query, key[:1].expand(key.shape), value[:, :1].expand(value.shape)], form.tiles)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_scores_that_rise_from_tile_to_tile(form: Form) -> None:
    """The maximum moves in every tile, by less and by more than the slack and than fp32's range; scores are far from 0."""
    query, key, value = tensors_of(form, 130, dtype=FLOAT)
    for rise in (0.3, 3.0, -3.0, 100.0):
        query[..., 0] = 8.0
        key[..., 0] = rise * torch.arange(130)
        run_dense([query, key, value], form.tiles, splits=2)


@pytest.mark.parametrize("splits", [1, 2])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_keys_behind_every_window_are_not_read(form: Form, splits: int) -> None:
    """They hold NaN, and so does what lies between the last key and the end of its tile, in a longer tensor."""
    query, key, value = tensors_of(form, 150)
    for tensor in (key, value):
        tensor[:, :, : 150 - form.tokens - 25] = torch.nan
    longer = [torch.full((2, form.heads[1], 170, x.shape[-1]), torch.nan, dtype=HALF) for x in (key, value)]
    views = [x[:, :, :150].copy_(y) for x, y in zip(longer, (key, value), strict=True)]
    options = {"is_causal": True, "window_left": 25}
    result = decode(query, *views, tiles=form.tiles, splits=splits, check=True, **options)
    clean = [x.nan_to_num(nan=0.0) for x in (key, value)]
    reference.assert_matches(result.out, result.lse, reference.attention, query, *clean, **options)


def sequences_of(form: Form) -> packed_cases.Lengths:
    """Return sequences without queries, without keys, with one, with many, with fewer queries than the form takes."""
    most = form.tokens
    return ((0, 0), (0, 4), (most, 0), (1, 9), (0, 0), (most, 40), (most - 1, 170), (most, 1))


def packed_tensors(
    form: Form, block_size: int = 0, layout: str = "sliced", sequences: packed_cases.Lengths = ()
) -> list[Tensor]:
    case = packed_cases.PackedCase(HALF, 64, form.heads, sequences or sequences_of(form), layout, "", block_size)
    return packed_cases.packed_tensors(case, torch.device("cpu"))


PACKED_KEYWORDS = ["", "causal", "causal+left+batch_alibi+softcap+sinks+scale"]


@pytest.mark.parametrize("names", PACKED_KEYWORDS)
@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_packed(form: Form, splits: int, names: str) -> None:
    sequences = sequences_of(form)
    tensors = packed_tensors(form)
    ends = [packed_cases.ends(lengths, torch.device("cpu")) for lengths in zip(*sequences, strict=True)]
    options = cases.keywords(names, len(sequences), form.heads[0])
    where = {"cu_seqlens_q": ends[0], "cu_seqlens_k": ends[1]}
    result = decode(*tensors, tiles=form.tiles, splits=splits, check=True, schedule=(FIRST, LAST), **where, **options)
    reference.assert_matches(result.out, result.lse, reference.varlen_attention, *tensors, *ends, **options)


def paged(
    form: Form, block_size: int, layout: str = "separate", sequences: packed_cases.Lengths = ()
) -> tuple[list[Tensor], Tensor, dict[str, Tensor]]:
    sequences = sequences or sequences_of(form)
    query, key, value = packed_tensors(form, block_size, "thd", sequences)
    lengths_q, lengths_k = zip(*sequences, strict=True)
    cache = packed_cases.paged_cache(key, value, lengths_k, block_size, layout)
    ends = packed_cases.ends(lengths_q, torch.device("cpu"))
    where = {"block_table": cache.block_table, "seqused_k": cache.seqused_k}
    return [query, cache.key_cache, cache.value_cache], ends, where


def assert_paged(result: DecodeResult, tensors: list[Tensor], ends: Tensor, where: dict, **options: Any) -> None:
    inputs = (*tensors, where["block_table"], where["seqused_k"], ends)
    reference.assert_matches(result.out, result.lse, reference.paged_attention, *inputs, **options)


@pytest.mark.parametrize(
    ("block_size", "names"),
    [(1, ""), (8, ""), (16, ""), (17, ""), (24, ""), (32, ""), (16, PACKED_KEYWORDS[-1]), (17, PACKED_KEYWORDS[-1])],
)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_paged(form: Form, block_size: int, names: str) -> None:
    """Blocks lie in any order; the unused end of a block, unused blocks and unused entries of the table hold NaN and -1."""
    options = cases.keywords(names, len(sequences_of(form)), form.heads[0])
    tensors, ends, where = paged(form, block_size, "heads_first" if block_size == 16 else "interleaved")
    result = decode(
        *tensors, tiles=form.tiles, splits=3, check=True, schedule=(FIRST, LAST), cu_seqlens_q=ends, **where, **options
    )
    assert_paged(result, tensors, ends, where, **options)


@pytest.mark.parametrize("block_size", [1, 4, 5, 8, 16, 24, 32, 40, 64])
def test_blocks_of_a_long_tile(block_size: int) -> None:
    """Tiles that are one run, two, four, and none, because blocks are too short or their runs begin anywhere."""
    tensors, ends, where = paged(LONG_VECTOR, block_size)
    dispatch = {"tiles": LONG_VECTOR.tiles, "check": True, "schedule": metalsim.ALL_SCHEDULES}
    result = decode(*tensors, splits=2, cu_seqlens_q=ends, is_causal=True, **dispatch, **where)
    assert_paged(result, tensors, ends, where, is_causal=True)


@pytest.mark.parametrize("blocks", [1, 2, 3, 5])
@pytest.mark.parametrize("block_size", [8, 16, 24])
def test_the_table_ends_inside_of_a_tile(block_size: int, blocks: int) -> None:
    """The last sequence's row of the table is full, and there is nothing behind it."""
    sequences = ((2, 3), (2, block_size * blocks))
    tensors, ends, where = paged(LONG_VECTOR, block_size, sequences=sequences)
    where["block_table"] = where["block_table"][:, :blocks].contiguous()
    result = decode(*tensors, tiles=LONG_VECTOR.tiles, check=True, cu_seqlens_q=ends, **where)
    assert_paged(result, tensors, ends, where)


@pytest.mark.parametrize("block_size", [8, 17])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_blocks_behind_every_window(form: Form, block_size: int) -> None:
    """A cache with a sliding window has given them back: their entries name no block, or one that holds NaN."""
    tensors, ends, where = paged(form, block_size)
    table, key_cache = where["block_table"], tensors[1]
    nowhere = next(n for n in range(key_cache.shape[0]) if n not in table.flatten().tolist())
    for b, (queries, keys) in enumerate(sequences_of(form)):
        for n in range(max(keys - max(queries, 1) - 20, 0) // block_size):
            table[b, n] = (-1, 1 << 30, nowhere)[n % 3]
    options = {"is_causal": True, "window_left": 20}
    result = decode(*tensors, tiles=form.tiles, splits=2, check=True, cu_seqlens_q=ends, **where, **options)
    where["block_table"] = table.where((table < key_cache.shape[0]) & (table != nowhere), -1)
    assert_paged(result, tensors, ends, where, **options)


@pytest.mark.parametrize("block_size", [8, 16, 17])
@pytest.mark.parametrize("form", [*FORMS, LONG_VECTOR], ids=str)
def test_entries_that_name_no_block_are_zeros(form: Form, block_size: int) -> None:
    """Among them a run of a tile whose other runs are there."""
    tensors, ends, where = paged(form, block_size)
    where["block_table"][6, 1] = -1
    result = decode(*tensors, tiles=form.tiles, splits=2, check=True, cu_seqlens_q=ends, **where)
    assert_paged(result, tensors, ends, where)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_wild_tables_and_lengths_stay_inside(form: Form) -> None:
    """Nothing is said about the result; metalsim finds any access outside of a tensor."""
    tensors, ends, where = paged(form, 16)
    table, lengths = where["block_table"], where["seqused_k"]
    wild = torch.tensor([-(1 << 31), 1 << 30, -1, 10_000], dtype=torch.int32)
    table[:] = wild[torch.arange(table.numel()) % 4].view_as(table)
    options = {"tiles": form.tiles, "splits": 2, "check": True, "max_seqlen_q": form.tokens}
    for length in (1 << 30, -5, -(1 << 31), 2**31 - 1):
        lengths[:] = length
        decode(*tensors, cu_seqlens_q=ends, **where, **options)
    key, value = (torch.randn(50, form.heads[1], 64).to(HALF) for _ in range(2))
    for numbers in ([-7, 20, 1 << 30], [37, -3, 5], [2**31 - 1, -(1 << 31), 0]):
        odd = torch.tensor(numbers, dtype=torch.int32)
        for q_ends, k_ends in ((odd, ends), (ends, odd.repeat(3))):
            decode(tensors[0], key, value, cu_seqlens_q=q_ends, cu_seqlens_k=k_ends, **options)
