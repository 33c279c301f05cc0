"""What decoding costs, counted, and modelled beside PyTorch's and MLX's kernels.

Counts are of one kv head. Heads share nothing, so that those of a call with four are four times as many.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from launch import numbers
from launch_decode import DEFAULT_TILES, DecodeResult, DecodeTiles, decode
from torch import Tensor

from metalsim import model
from metalsim.counts import Counts

sys.path.append(str(Path(__file__).parents[1] / "metalsim"))
import real_kernels

HALF, BFLOAT, FLOAT = torch.float16, torch.bfloat16, torch.float32
LANES = 32


def one_kv_head(rows: int, tokens: int, keys: int, head_dim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    query = torch.randn(1, rows // tokens, tokens, head_dim).to(dtype)
    key, value = (torch.randn(1, 1, keys, head_dim).to(dtype) for _ in range(2))
    return query, key, value


def count(
    rows: int,
    keys: int,
    head_dim: int,
    dtype: torch.dtype = HALF,
    *,
    tokens: int = 1,
    block_size: int = 0,
    splits: int = 4,
    tiles: DecodeTiles = DEFAULT_TILES,
) -> DecodeResult:
    """Run decoding of one kv head, from a paged cache if there is a block size."""
    query, key, value = one_kv_head(rows, tokens, keys, head_dim, dtype)
    if not block_size:
        return decode(query, key, value, tiles=tiles, splits=splits, count="lines")
    blocks = torch.randperm(keys // block_size)
    caches = [torch.empty_like(x).view(-1, block_size, 1, head_dim) for x in (key, value)]
    for cache, tensor in zip(caches, (key, value), strict=True):
        cache[blocks] = tensor.view(cache.shape)
    where = {
        "block_table": blocks.int()[None],
        "seqused_k": torch.tensor([keys], dtype=torch.int32),
        "cu_seqlens_q": torch.tensor([0, tokens], dtype=torch.int32),
    }
    packed = query[0].transpose(0, 1).contiguous()
    return decode(packed, *caches, tiles=tiles, splits=splits, count="lines", **where)


def kv_ratio(counts: Counts, keys: int, head_dim: int, dtype: torch.dtype) -> float:
    """Return the bytes of keys and values that were loaded, over those that there are."""
    loaded = sum(counts.device[numbers()[name]].loaded_bytes for name in ("kKeyBuffer", "kValueBuffer"))
    return loaded / model.kv_bytes(1, 1, keys, head_dim, dtype.itemsize)


@pytest.mark.parametrize("block_size", [0, 16])
@pytest.mark.parametrize("dtype", [HALF, FLOAT], ids=str)
@pytest.mark.parametrize(("queries_per_kv_head", "tokens"), [(1, 1), (4, 1), (8, 1), (16, 1), (32, 1), (1, 8), (4, 8)])
def test_keys_and_values_are_loaded_once(
    queries_per_kv_head: int, tokens: int, dtype: torch.dtype, block_size: int
) -> None:
    keys = 1000 if not block_size else 1008
    rows = queries_per_kv_head * tokens
    tiles = DecodeTiles(key_tile=16)
    counts = count(rows, keys, 64, dtype, tokens=tokens, block_size=block_size, tiles=tiles).run.counts
    assert kv_ratio(counts, keys, 64, dtype) == 1.0
    traffic = counts.device[numbers()["kKeyBuffer"]]
    assert traffic.load_instructions == -(-traffic.loaded_bytes // 512), "a load of a simdgroup is 32 times 16 bytes"
    assert counts.thread_loaded_bytes == counts.thread_stored_bytes == 0


@pytest.mark.parametrize(("rows", "row_tiles"), [(8, 1), (16, 1), (16, 2), (24, 1), (32, 1)])
@pytest.mark.parametrize("dtype", [HALF, FLOAT], ids=str)
def test_matrix_products_and_threadgroup_memory(dtype: torch.dtype, rows: int, row_tiles: int) -> None:
    keys, head_dim, splits = 512, 64, 2
    simdgroups = 3 if rows == 24 else 4
    tiles = DecodeTiles(simdgroups=simdgroups, key_tile=16, row_tiles=row_tiles)
    counts = count(rows, keys, head_dim, dtype, splits=splits, tiles=tiles).run.counts
    products = 2 * (rows // 8) * (keys // 8) * (head_dim // 8)
    assert sum(counts.matrix_products.values()) == products
    assert set(counts.matrix_products) == (
        {"f32=f16*f16+f32", "f32=f32*f16+f32"} if dtype is HALF else {"f32=f32*f32+f32"}
    )
    is_staged = rows > 8 * row_tiles
    steps = keys // 16 // (simdgroups * 8 * row_tiles // rows) if is_staged else 0
    end = splits * (1 + 2 * row_tiles * (head_dim // 32)) - splits  # the first columns need no barrier before them
    assert counts.threadgroup_barriers <= 2 * steps + end + 2 * splits
    assert_few_bank_conflicts(counts)


def converted(counts: Counts | None) -> dict[str, int]:
    return {kind: number for kind, number in counts.conversions.items() if number} if counts is not None else {}


@pytest.mark.parametrize("splits", [1, 2])
@pytest.mark.parametrize(("rows", "row_tiles"), [(8, 1), (16, 2), (32, 1)])
@pytest.mark.parametrize("dtype", [HALF, BFLOAT], ids=str)
def test_matrices_convert_nothing_but_the_output(dtype: torch.dtype, rows: int, row_tiles: int, splits: int) -> None:
    """Partial results are fp32, so that of split keys it is the merge that converts."""
    head_dim = 64
    result = count(rows, 256, head_dim, dtype, splits=splits, tiles=DecodeTiles(row_tiles=row_tiles))
    output = {"f32>f16" if dtype is HALF else "f32>bf16": rows * head_dim}
    merged = None if result.merge_run is None else result.merge_run.counts
    assert [converted(result.run.counts), converted(merged)] == ([output, {}] if splits == 1 else [{}, output])


@pytest.mark.parametrize("rows", [1, 4])
def test_vectors_convert_keys_and_values_once_for_all_rows(rows: int) -> None:
    """Vectors are multiplied as fp32; of bfloat that is no conversion, but a matter of where its bits are put."""
    keys, head_dim, simdgroups = 256, 64, 4
    for dtype, widened in ((HALF, 2 * keys * head_dim), (BFLOAT, 0)):
        tiles = DecodeTiles(simdgroups=simdgroups)
        found = converted(count(rows, keys, head_dim, dtype, splits=1, tiles=tiles).run.counts)
        queries = rows * head_dim * simdgroups * (LANES // (head_dim // 8)) if widened else 0
        assert found.pop("f16>f32", 0) == widened + queries
        assert found == {"f32>f16" if dtype is HALF else "f32>bf16": rows * head_dim}


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("head_dim", [64, 128])
def test_vectors(rows: int, head_dim: int) -> None:
    """Per 32 keys and row: fewer shuffles than keys for the scores, as many as loads of V for the weights."""
    keys = 1024
    counts = count(rows, keys, head_dim, splits=1, tiles=DecodeTiles(simdgroups=1)).run.counts
    loads = head_dim // 8
    assert counts.shuffles <= rows * (keys // 32 * ((loads - 1) + loads) + 64)
    assert not counts.matrix_products
    assert_few_bank_conflicts(counts)


LONG_TILE = 32  #: keys of a simdgroup's step, as planned for vectors


@pytest.mark.parametrize(("block_size", "lookups"), [(8, 4), (16, 2), (24, 4), (32, 1), (48, 2), (64, 1), (17, 32)])
@pytest.mark.parametrize("rows", [1, 4])
def test_the_table_is_looked_up_once_for_each_run(rows: int, block_size: int, lookups: int) -> None:
    """A run is what lies in one block; where blocks do not fit tiles, each of the 2 * 16 loads of a tile looks it up."""
    keys = 3 * LONG_TILE * (1 if LONG_TILE % block_size == 0 else block_size)
    splits = 2 if keys < 1000 else 4
    paged, contiguous = (count(rows, keys, 128, block_size=size, splits=splits).run.counts for size in (block_size, 0))
    tiles = keys // LONG_TILE
    table = paged.device[numbers()["kBlockTableBuffer"]]
    assert table.load_instructions == table.load_transactions == tiles * lookups
    if lookups < LONG_TILE:
        # Lanes of a whole tile branch for its runs at most, and for none of its loads.
        more = paged.operations["branch"] - contiguous.operations["branch"]
        assert more <= tiles * LANES * (1 + lookups)


@pytest.mark.parametrize("chip", ["M1 Max", "M4 Pro"])
@pytest.mark.parametrize(("rows", "head_dim"), [(1, 64), (1, 128), (4, 128)])
def test_paging_costs_vectors_little(rows: int, head_dim: int, chip: str) -> None:
    """Modelled, never run: what kernels do besides waiting for the DRAM."""
    paged, contiguous = (
        model.estimate(count(rows, 2048, head_dim, block_size=size).run.counts, chip, dram_bytes=0).seconds
        for size in (16, 0)
    )
    assert paged <= 1.03 * contiguous


def assert_few_bank_conflicts(counts: Counts) -> None:
    """Assert that lines of the source take the cycles that their bytes need, 128 in a cycle, or one an access."""
    lines = [line for line in counts.lines if line.space == "threadgroup"]
    assert lines
    needed = sum(max(line.instructions, line.bytes / 128) for line in lines)
    assert sum(line.cycles_apple7 for line in lines) <= 1.05 * needed
    assert sum(line.cycles_apple9 for line in lines) <= 1.05 * needed


# Modelled times: 32 query heads, 4 kv heads, one token, 16384 keys, fp16.
KEYS, KV_HEADS, GROUP = 16384, 4, 8
CHIPS = ["M1 Max", "M4 Pro"]


def modelled(runs: list[Counts], chip: str, head_dim: int, *, dram: bool) -> float:
    """Return the seconds of kernels that follow each other, of which the first one reads keys and values."""
    kv_bytes = model.kv_bytes(1, KV_HEADS, KEYS, head_dim, 2) if dram else 0
    bytes_read = [kv_bytes] + [0] * (len(runs) - 1)
    estimates = [
        model.estimate(model.repeat(run, KV_HEADS), chip, dram_bytes=read)
        for run, read in zip(runs, bytes_read, strict=True)
    ]
    return sum(estimate.seconds for estimate in estimates)


@functools.cache
def their_counts(head_dim: int) -> list[list[Counts]]:
    """Return the counts of PyTorch's and MLX's decode kernels, each in one pass and in two."""

    def extrapolated(build: Callable[..., real_kernels.Case], two_pass: bool) -> list[Counts]:
        runs = {}
        for keys in (1024, 2048):
            case = build(*real_kernels.attention_inputs(1, GROUP, 1, 1, keys, head_dim, HALF), two_pass=two_pass)
            runs[keys] = [dispatch.run(dispatch.pipeline(), count=True).counts for dispatch in case.dispatches]
        return [
            model.extrapolate({keys: counts[i] for keys, counts in runs.items()}, KEYS) for i in range(len(runs[1024]))
        ]

    kernels = (real_kernels.torch_decode, real_kernels.mlx_vector)
    return [extrapolated(kernel, two_pass) for kernel in kernels for two_pass in (False, True)]


@functools.cache
def our_counts(head_dim: int, block_size: int) -> list[Counts]:
    result = count(GROUP, KEYS, head_dim, block_size=block_size, splits=32)
    assert result.merge_run is not None
    return [result.run.counts, result.merge_run.counts]


@pytest.mark.parametrize("block_size", [0, 16])
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("head_dim", [64, 96, 128])
def test_modelled_time(head_dim: int, chip: str, block_size: int) -> None:
    """At most 0.60 of theirs in what kernels do; with the DRAM, as fast as it delivers the cache, and the rest for free.

    A DRAM that is read at 0.85 of its bandwidth takes 0.48 to 0.67 of the time that the best of the others takes, so that
    nothing can reach 0.60 at all head dims.
    """
    ours = our_counts(head_dim, block_size)
    theirs = their_counts(head_dim)
    own_work, with_dram = (
        modelled(ours, chip, head_dim, dram=dram) / min(modelled(other, chip, head_dim, dram=dram) for other in theirs)
        for dram in (False, True)
    )
    dram_seconds = model.kv_bytes(1, KV_HEADS, KEYS, head_dim, 2) / (0.85e9 * model.chip(chip).dram_gb_per_s)
    floor = dram_seconds / min(modelled(other, chip, head_dim, dram=True) for other in theirs)
    print(
        f"D{head_dim} {chip}: {own_work:.2f} of the best without the DRAM, {with_dram:.2f} with it, at least {floor:.2f}"
    )
    assert own_work <= 0.40
    assert with_dram <= max(0.60, 1.08 * floor)
