"""The layouts of this project's first four kernels, on the operators that took their place.

Those kernels were `fused_attention` and `fused_attention_f16` on [seq, heads, dim], `fused_attention_batched` on
[batch, seq, heads, dim], and `paged_attention` with a block table and a length for each query token. docs/kernels.md has the
table. No layout needs a copy: the operators take views.
"""

import pytest
import torch
from reference import assert_matches, attention, paged_attention, varlen_attention
from torch import Tensor

from torch_fused_attn import alibi_slopes, fused_attention, fused_attention_paged, fused_attention_varlen

HEADS = [(4, 4), (8, 2)]


def shares_memory(view: Tensor, tensor: Tensor) -> bool:
    return view.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()


def randn(*sizes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.randn(*sizes).to(device, dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=["fused_attention_f16", "fused_attention"])
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("is_causal", [False, True])
def test_sequence_heads_dim(dtype: torch.dtype, heads: tuple[int, int], is_causal: bool, device: torch.device) -> None:
    """Both ways to pass one sequence, [seq, heads, dim]: packed, and as a view with a batch of one."""
    query = randn(70, heads[0], 64, dtype=dtype, device=device)
    key, value = (randn(90, heads[1], 64, dtype=dtype, device=device) for _ in range(2))
    cu_seqlens_q, cu_seqlens_k = (
        torch.tensor([0, length], dtype=torch.int32, device=device) for length in (len(query), len(key))
    )
    options = {"is_causal": is_causal, "alibi_slopes": alibi_slopes(heads[0], device=device)}
    out, lse = fused_attention_varlen(
        query, key, value, cu_seqlens_q, cu_seqlens_k, len(query), len(key), return_lse=True, **options
    )
    assert out.shape == query.shape
    assert_matches(out, lse, varlen_attention, query, key, value, cu_seqlens_q, cu_seqlens_k, **options)

    views = [x.transpose(0, 1)[None] for x in (query, key, value)]
    assert all(shares_memory(view, x) for view, x in zip(views, (query, key, value), strict=True))
    out, lse = fused_attention(*views, return_lse=True, **options)
    assert_matches(out, lse, attention, *views, **options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("is_causal", [False, True])
def test_batch_sequence_heads_dim(
    dtype: torch.dtype, heads: tuple[int, int], is_causal: bool, device: torch.device
) -> None:
    query = randn(3, 40, heads[0], 64, dtype=dtype, device=device)
    key, value = (randn(3, 55, heads[1], 64, dtype=dtype, device=device) for _ in range(2))
    views = [x.transpose(1, 2) for x in (query, key, value)]
    assert all(shares_memory(view, x) for view, x in zip(views, (query, key, value), strict=True))
    out, lse = fused_attention(*views, is_causal=is_causal, return_lse=True)
    assert_matches(out, lse, attention, *views, is_causal=is_causal)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("block_size", [16, 64])
def test_a_block_table_and_a_length_for_each_query_token(
    heads: tuple[int, int], block_size: int, device: torch.device
) -> None:
    """Each token of query is a sequence of its own: cu_seqlens_q counts 0, 1, 2, ..."""
    lengths = [1, block_size - 1, block_size, 3 * block_size + 5]
    num_blocks, tokens = 16, len(lengths)
    caches = [randn(num_blocks, block_size, heads[1], 64, dtype=torch.float16, device=device) for _ in range(2)]
    block_table = torch.randperm(num_blocks)[: 4 * tokens].view(tokens, 4).int().to(device)
    seqused_k = torch.tensor(lengths, dtype=torch.int32, device=device)
    cu_seqlens_q = torch.arange(tokens + 1, dtype=torch.int32, device=device)
    query = randn(tokens, heads[0], 64, dtype=torch.float16, device=device)
    inputs = (query, *caches, block_table, seqused_k, cu_seqlens_q)
    out, lse = fused_attention_paged(*inputs, max_seqlen_q=1, return_lse=True)
    assert out.shape == query.shape
    assert_matches(out, lse, paged_attention, *inputs)


def test_alibi_penalises_distance(device: torch.device) -> None:
    """Of equal keys, the nearest weighs most."""
    query = torch.zeros(1, 2, 1, 8, device=device)
    key = torch.zeros(1, 2, 20, 8, device=device)
    value = torch.eye(20, 20)[None, None].expand(1, 2, 20, 20).to(device)
    weights = fused_attention(query, key, value, alibi_slopes=alibi_slopes(2, device=device)).cpu()
    assert (weights.diff(dim=-1) > 0).all()
