"""``paged_forward``: keys and values in the blocks of a cache; decode, several new tokens, chunked prefill."""

import pytest
import torch
from cases import DTYPES, randn
from packed_cases import (
    Cache,
    PackedCase,
    empty_caches,
    ends,
    packed_keywords,
    packed_tensors,
    paged_cache,
    paged_cases,
)
from reference import assert_matches, attention, paged_attention
from torch import Tensor

from torch_fused_attn import alibi_slopes, fused_attention, fused_attention_paged, fused_attention_varlen


@pytest.mark.parametrize("case", paged_cases(), ids=str)
def test_matches_the_definition(case: PackedCase, device: torch.device) -> None:
    """What no query may read (spare blocks, the end of a sequence's last block) is NaN in these caches."""
    query, key, value = packed_tensors(case, device)
    lengths_q, lengths_k = zip(*case.sequences, strict=True)
    cache = paged_cache(key, value, lengths_k, case.block_size, case.cache_layout)
    offsets, keywords = ends(lengths_q, device), packed_keywords(case, device)
    before = [x.clone() for x in cache]

    out, lse = fused_attention_paged(query, *cache, offsets, max(lengths_q), **keywords, return_lse=True)

    assert_matches(out, lse, paged_attention, query, *cache, offsets, **keywords)
    assert out.is_contiguous()
    assert lse.is_contiguous()
    for after, original in zip(cache, before, strict=True):
        torch.testing.assert_close(after, original, rtol=0.0, atol=0.0, equal_nan=True)


def dense_inputs(heads: int, kv_heads: int, length: int, device: torch.device) -> list[Tensor]:
    """Return one sequence's query, key and value, [length, heads, 32]."""
    return [randn(length, h, 32, dtype=torch.float32, device=device) for h in (heads, kv_heads, kv_heads)]


OPTIONS = {"is_causal": True, "window_left": 50, "softcap": 5.0, "alibi_slopes": alibi_slopes(4)}


@pytest.mark.parametrize("block_size", [1, 16, 17])
@pytest.mark.parametrize("chunks", [[1] * 75, [32, 32, 11], [64, 1, 1, 9], [75]], ids=lambda chunks: str(chunks[:4]))
def test_any_chunks_give_what_one_prefill_gives(block_size: int, chunks: list[int], device: torch.device) -> None:
    """Write each chunk into the cache, attend to everything so far, and compare with dense causal attention."""
    query, key, value = dense_inputs(4, 2, 75, device)
    options = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in OPTIONS.items()}
    num_blocks = -(-75 // block_size) + 2
    caches = empty_caches(num_blocks, block_size, 2, 32, "separate", torch.float32, device)
    table = torch.randperm(num_blocks, dtype=torch.int32)[None, :-2].to(device)
    outs, lses, start = [], [], 0
    for count in chunks:
        rows = torch.arange(start, start + count, device=device)
        slots = table[0].long()[rows // block_size] * block_size + rows % block_size
        torch.ops.fused_attn.reshape_and_cache_(key[rows], value[rows], *caches, slots)
        start += count
        used = torch.tensor([start], dtype=torch.int32, device=device)
        chunk = query[rows], *caches, table, used, ends([count], device), count
        out, lse = fused_attention_paged(*chunk, **options, return_lse=True)
        outs.append(out)
        lses.append(lse)
    dense = [x.transpose(0, 1)[None] for x in (query, key, value)]
    out, lse = torch.cat(outs).transpose(0, 1)[None], torch.cat(lses, dim=1)[None]
    assert_matches(out, lse, attention, *dense, **options)


def test_prefill_and_decode_share_a_call(device: torch.device) -> None:
    """Sequences with one new token, with several, and with none, next to one whose cache is empty."""
    lengths_q, lengths_k = (1, 7, 0, 33, 2, 1), (100, 7, 20, 50, 0, 1)
    query = randn(sum(lengths_q), 8, 64, dtype=torch.float32, device=device)
    key, value = (randn(sum(lengths_k), 2, 64, dtype=torch.float32, device=device) for _ in range(2))
    cache = paged_cache(key, value, lengths_k, 16)
    offsets = ends(lengths_q, device)
    out, lse = fused_attention_paged(query, *cache, offsets, 33, is_causal=True, return_lse=True)
    assert_matches(out, lse, paged_attention, query, *cache, offsets, is_causal=True)
    assert (out[41:43] == 0).all()
    assert (lse[:, 41:43] == -torch.inf).all()
    packed = query, key, value, offsets, ends(lengths_k, device), 33, 100
    torch.testing.assert_close(out, fused_attention_varlen(*packed, is_causal=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_entries_that_no_query_reaches_may_be_unset(dtype: torch.dtype, device: torch.device) -> None:
    """With a window, blocks that slid out of it are given back: their entries are -1, and others' data is in them."""
    lengths_q, lengths_k, block_size = (1, 5), (200, 131), 16
    query = randn(6, 4, 32, dtype=dtype, device=device)
    key, value = (randn(sum(lengths_k), 4, 32, dtype=dtype, device=device) for _ in range(2))
    cache = paged_cache(key, value, lengths_k, block_size)
    offsets, options = ends(lengths_q, device), {"is_causal": True, "window_left": 40}
    full = fused_attention_paged(query, *cache, offsets, 5, **options)
    for b in range(2):
        first_position = lengths_k[b] - lengths_q[b] - 40
        dead = cache.block_table[b, : first_position // block_size].long()
        cache.key_cache[dead] = cache.value_cache[dead] = torch.nan
        cache.block_table[b, : first_position // block_size] = -1
    assert (cache.block_table[:, 0] == -1).all()
    out, lse = fused_attention_paged(query, *cache, offsets, 5, **options, return_lse=True)
    assert torch.equal(out, full)
    assert_matches(out, lse, paged_attention, query, *cache, offsets, **options)


def test_sequences_may_share_blocks(device: torch.device) -> None:
    """Two sequences have the same prefix in the same blocks, in one case in a different order."""
    key_cache, value_cache = (randn(6, 8, 2, 16, dtype=torch.float32, device=device) for _ in range(2))
    table = torch.tensor([[3, 1, 0, -1], [3, 1, 5, 2], [1, 3, 1, -1]], dtype=torch.int32, device=device)
    used = torch.tensor([20, 32, 24], dtype=torch.int32, device=device)
    cache, offsets = Cache(key_cache, value_cache, table, used), ends((4, 1, 3), device)
    query = randn(8, 4, 16, dtype=torch.float32, device=device)
    out, lse = fused_attention_paged(query, *cache, offsets, 4, is_causal=True, return_lse=True)
    assert_matches(out, lse, paged_attention, query, *cache, offsets, is_causal=True)


@pytest.mark.parametrize("block_size", [16, 256])
def test_decode_equals_the_last_row_of_dense_attention(block_size: int, device: torch.device) -> None:
    lengths = (1, 300, 513)
    query = randn(3, 8, 64, dtype=torch.float32, device=device)
    key, value = (randn(sum(lengths), 2, 64, dtype=torch.float32, device=device) for _ in range(2))
    cache = paged_cache(key, value, lengths, block_size)
    out = fused_attention_paged(query, *cache, ends((1, 1, 1), device), 1, is_causal=True)
    for b, (k, v) in enumerate(zip(key.split(lengths), value.split(lengths), strict=True)):
        dense = fused_attention(query[b][None, :, None], *(x.transpose(0, 1)[None] for x in (k, v)), is_causal=True)
        torch.testing.assert_close(out[b], dense[0, :, 0])


def test_max_seqlen_q_is_an_upper_bound(device: torch.device) -> None:
    query, key, value = dense_inputs(4, 2, 40, device)
    cache, offsets = paged_cache(key, value, (15, 25), 8), ends((15, 25), device)
    exact = fused_attention_paged(query, *cache, offsets, 25, is_causal=True)
    torch.testing.assert_close(fused_attention_paged(query, *cache, offsets, 40, is_causal=True), exact)


def test_no_sequences(device: torch.device) -> None:
    query, key, value = dense_inputs(4, 2, 0, device)
    cache = paged_cache(key, value, (), 8)
    out, lse = fused_attention_paged(query, *cache, ends((), device), 0, return_lse=True)
    assert out.shape == (0, 4, 32)
    assert lse.shape == (4, 0)


def test_without_lse_the_result_is_one_tensor(device: torch.device) -> None:
    query, key, value = dense_inputs(4, 2, 9, device)
    cache, offsets = paged_cache(key, value, (9,), 8), ends((9,), device)
    with_lse, _ = fused_attention_paged(query, *cache, offsets, 9, return_lse=True)
    assert torch.equal(fused_attention_paged(query, *cache, offsets, 9), with_lse)
