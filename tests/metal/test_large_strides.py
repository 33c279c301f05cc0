"""Offsets past 2^32 elements: strides of tensors, blocks of caches, masks, results, and what cache kernels write.

A tensor here is a view that strides over addresses of which there are more than the machine has memory; only the pages that
the view reaches are ever touched. Each stride in turn is far, and no power of two, so that an offset of which the upper bits
are lost does not by chance land on the right element. test_large.py does the same through the operators.

Left out: partial results of split decode that are larger than that, since all of them are written.
"""

import mmap
from typing import Any

import packed_cases
import prefill_cases
import pytest
import reference
import torch
from launch import Call, make_call, numbers
from launch_operators import copy_blocks, merge_states, reshape_and_cache
from launch_plan import plan_of, run_plan
from prefill_cases import HALF
from torch import Tensor

CPU = torch.device("cpu")
#: Elements from the first to the last of a dimension that is far, and what a view takes beyond that.
FAR = 2**32 + 2**30 + 2**14 + 2**6
ROOM = 2**18
#: Neighbouring rows of keys so far apart that those of a fragment, which are loaded together, are FAR apart.
FAR_ROWS = FAR // 7
#: Calls of each kernel: GPU family, query heads of a kv head, query tokens.
KERNELS = {"staged": (7, 2, 17), "direct": (9, 2, 17), "vector": (9, 2, 2), "matrix": (9, 4, 2)}
#: Of Linux; Python has no name for it before 3.12.
MAP_NORESERVE = 0x4000


def addresses(elements: int, dtype: torch.dtype) -> Tensor:
    """Return zeros that the system counts as memory only when they are touched."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
    return torch.frombuffer(mmap.mmap(-1, elements * dtype.itemsize, flags), dtype=dtype)


def moved(tensor: Tensor, dim: int, least_stride: int = 0) -> Tensor:
    """Return a copy whose first and last elements along ``dim`` are FAR elements apart, or more."""
    near = [size for n, size in enumerate(tensor.shape) if n != dim]
    strides = list(torch.empty(near, device="meta").stride())
    steps = tensor.shape[dim] - 1
    far = max(-(-FAR // steps // 8), -(-least_stride // 8)) * 8
    strides.insert(dim, far)
    return addresses(steps * far + ROOM, tensor.dtype).as_strided(tensor.shape, strides).copy_(tensor)


def heads_of(kernel: str, which: str) -> tuple[int, int]:
    """Return query and kv heads: queries of one kv head are far from each other, or kv heads are."""
    kv_heads = 1 if which in ("query", "results") else 2
    return KERNELS[kernel][1] * kv_heads, kv_heads


def run(call: Call, family: int, **changes: Any) -> None:
    run_plan(call, plan_of(call, family, **changes), check=True)


def move_results(call: Call, dim: int) -> None:
    """Let out be far along ``dim``, and lse where it has a stride there: its rows are neighbours."""
    number, params = numbers(), call.params
    call.out = moved(call.out, dim)
    params.out.batch, params.out.head, params.out.row = call.out.stride()[:3]
    if dim < 2:
        call.lse = moved(call.lse, dim)
        params.lse_batch, params.lse_head = call.lse.stride()[:2]
    call.buffers |= {number["kOutBuffer"]: call.out, number["kLseBuffer"]: call.lse}


@pytest.mark.parametrize("dim", [0, 1, 2], ids=["batch", "head", "row"])
@pytest.mark.parametrize("which", ["query", "key", "value", "results"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_dense(kernel: str, which: str, dim: int) -> None:
    family, _, tokens = KERNELS[kernel]
    tensors = prefill_cases.dense(2, heads_of(kernel, which), (tokens, 40), (64, 64), HALF)
    if which != "results":
        index = ("query", "key", "value").index(which)
        tensors[index] = moved(tensors[index], dim, FAR_ROWS if dim == 2 and which != "query" else 0)
    call = make_call(*tensors, is_causal=True)
    if which == "results":
        move_results(call, dim)
    run(call, family)
    reference.assert_matches(call.out, call.lse, reference.attention, *tensors, is_causal=True)


def test_merged_splits() -> None:
    tensors = prefill_cases.dense(2, (4, 2), (1, 40), (64, 64), HALF)
    for dim in (0, 1):
        call = make_call(*tensors)
        move_results(call, dim)
        plan = plan_of(call, 9, len_k=4096)
        plan["keys_per_split"] = plan["key_tile"]
        assert plan["num_splits"] > 1
        run_plan(call, plan, check=True)
        reference.assert_matches(call.out, call.lse, reference.attention, *tensors)


@pytest.mark.parametrize("dim", [0, 1, 2, 3], ids=["batch", "head", "row", "column"])
@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_masks(kernel: str, kind: str, dim: int) -> None:
    family, _, tokens = KERNELS[kernel]
    heads = heads_of(kernel, "query")
    tensors = prefill_cases.dense(2, heads, (tokens, 40), (64, 64), HALF)
    mask = prefill_cases.make_mask(f"{kind}_BHLS", (2, heads[0], tokens, 40))
    mask[..., : tokens - 1, :] = False if kind == "bool" else -torch.inf  # so that labels of tiles are the last row's
    mask = moved(mask, dim)
    call = make_call(*tensors, attn_mask=mask)
    run(call, family)
    reference.assert_matches(call.out, call.lse, reference.attention, *tensors, attn_mask=mask)


def packed(kernel: str, which: str) -> tuple[list[Tensor], packed_cases.Lengths]:
    """Return query, key and value of two sequences, of which the second is FAR from the first where their tokens are."""
    tokens = KERNELS[kernel][2]
    sequences = ((tokens, 40), (max(tokens // 8, 1), 7))
    case = packed_cases.PackedCase(HALF, 64, heads_of(kernel, which), sequences, "thd", "")
    return packed_cases.packed_tensors(case, CPU), sequences


@pytest.mark.parametrize("dim", [0, 1], ids=["token", "head"])
@pytest.mark.parametrize("which", ["query", "key", "value"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_packed(kernel: str, which: str, dim: int) -> None:
    tensors, sequences = packed(kernel, which)
    index = ("query", "key", "value").index(which)
    ends = [packed_cases.ends(lengths, CPU) for lengths in zip(*sequences, strict=True)]
    tensors[index] = moved(tensors[index], dim)
    call = make_call(*tensors, cu_seqlens_q=ends[0], cu_seqlens_k=ends[1])
    run(call, KERNELS[kernel][0])
    reference.assert_matches(call.out, call.lse, reference.varlen_attention, *tensors, *ends)


def in_far_blocks(cache: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Return a cache of many blocks, of which the last ones are those of ``cache``, and the table that names them."""
    blocks = cache.shape[0]
    many = FAR // cache[0].numel() + blocks
    far = addresses(many * cache[0].numel(), cache.dtype).view(many, *cache.shape[1:])
    far[-blocks:] = cache
    return far, torch.where(table < 0, -1, table + many - blocks).int()


@pytest.mark.parametrize("block_size", [8, 17, 32])
@pytest.mark.parametrize("kernel", KERNELS)
def test_paged(kernel: str, block_size: int) -> None:
    (query, key, value), sequences = packed(kernel, "key")
    lengths_q, lengths_k = zip(*sequences, strict=True)
    cache = packed_cases.paged_cache(key, value, lengths_k, block_size)
    ends = packed_cases.ends(lengths_q, CPU)
    far_keys, table = in_far_blocks(cache.key_cache, cache.block_table)
    far_values, _ = in_far_blocks(cache.value_cache, cache.block_table)
    where = {"cu_seqlens_q": ends, "block_table": table, "seqused_k": cache.seqused_k}
    call = make_call(query, far_keys, far_values, **where)
    run(call, KERNELS[kernel][0])
    reference.assert_matches(call.out, call.lse, reference.paged_attention, query, *cache, ends)


@pytest.mark.parametrize("dim", [1, 2], ids=["token", "head"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_paged_within_a_block(kernel: str, dim: int) -> None:
    (query, key, value), sequences = packed(kernel, "key")
    lengths_q, lengths_k = zip(*sequences, strict=True)
    cache = packed_cases.paged_cache(key, value, lengths_k, 16)
    ends = packed_cases.ends(lengths_q, CPU)
    caches = (moved(cache.key_cache, dim), moved(cache.value_cache, dim))
    where = {"block_table": cache.block_table, "seqused_k": cache.seqused_k}
    call = make_call(query, *caches, cu_seqlens_q=ends, **where)
    run(call, KERNELS[kernel][0])
    reference.assert_matches(call.out, call.lse, reference.paged_attention, query, *cache, ends)


def test_cache_writes() -> None:
    """Tokens from far away into blocks that are far away, and from there to other ones."""
    tokens, heads, dim, block_size = 5, 2, 64, 16
    for far_dim in (0, 1):
        key, value = (moved(torch.randn(tokens, heads, dim).half(), far_dim) for _ in range(2))
        near = torch.full((4, block_size, heads, dim), torch.nan, dtype=HALF)
        caches = [in_far_blocks(near, torch.zeros(1))[0] for _ in range(2)]
        first = caches[0].shape[0] - 4
        offsets = torch.tensor([3, 63, 20, 0, 41])
        reshape_and_cache(key, value, *caches, first * block_size + offsets, check=True)
        copy_blocks(*caches, torch.tensor([[first, 1], [first + 3, first + 1]]), check=True)
        for cache, tensor in zip(caches, (key, value), strict=True):
            expected = near.clone()
            expected.flatten(0, 1)[offsets] = tensor
            assert torch.equal(cache[1].view(torch.int16), expected[0].view(torch.int16))
            expected[1] = expected[3]
            assert torch.equal(cache[-4:].view(torch.int16), expected.view(torch.int16))


@pytest.mark.parametrize("dim", [0, 1, 2], ids=["batch", "head", "row"])
def test_merged_states(dim: int) -> None:
    outs = [torch.randn(2, 3, 5, 16).half() for _ in range(2)]
    lses = [torch.randn(2, 3, 5) for _ in range(2)]
    far = [moved(tensor, dim) for tensor in (outs[0], lses[0], outs[1], lses[1])]
    out, lse = merge_states(*far, check=True)
    expected_out, expected_lse = merge_states(outs[0], lses[0], outs[1], lses[1], check=True)
    assert torch.equal(out, expected_out)
    assert torch.equal(lse, expected_lse)
