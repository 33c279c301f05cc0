"""How the work is shared out among cores never shows: one core, few, and more than there are pieces of work.

The CPU backend chooses by the number of threads: tiles from a common list or inside of each tile, the keys of short
queries in parts or in one piece, sequences side by side or one after another.
"""

from collections.abc import Iterator

import pytest
import torch
from cases import randn
from packed_cases import ends, paged_cache
from reference import assert_matches, attention, paged_attention, varlen_attention

from torch_fused_attn import alibi_slopes, fused_attention, fused_attention_paged, fused_attention_varlen

DTYPES = [torch.float32, torch.bfloat16]


@pytest.fixture(params=[1, 2, 8])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def masks(batch: int, heads: int, keys: int, device: torch.device) -> dict:
    """Masks that hide the keys of whole parts, when a core has but a part of them."""
    position = torch.arange(keys, device=device)
    return {
        "none": None,
        "second half": position >= keys // 2,
        "first key": position == 0,
        "last key": position == keys - 1,
        "nothing": torch.zeros(keys, dtype=torch.bool, device=device),
        "bias of each head": randn(batch, heads, 1, keys, dtype=torch.float32, device=device),
    }


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mask", ["none", "second half", "last key", "nothing", "bias of each head"])
@pytest.mark.parametrize(("heads", "keys"), [((4, 1), 5001), ((1, 1), 2049), ((6, 2), 4100), ((3, 3), 2500)])
def test_one_query_over_many_keys(heads, keys, mask, dtype, device):
    query = randn(1, heads[0], 1, 32, dtype=dtype, device=device)
    key, value = (randn(1, heads[1], keys, 32, dtype=dtype, device=device) for _ in range(2))
    attn_mask = masks(1, heads[0], keys, device)[mask]
    sinks = randn(heads[0], dtype=torch.float32, device=device)
    for keywords in ({}, {"is_causal": True, "window_left": keys // 3}, {"sinks": sinks}, {"softcap": 5.0}):
        out, lse = fused_attention(query, key, value, attn_mask=attn_mask, **keywords, return_lse=True)
        assert_matches(out, lse, attention, query, key, value, attn_mask=attn_mask, **keywords)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("length", [70, 300, 1100])
@pytest.mark.parametrize("mask", ["none", "first key", "second half", "bias of each head"])
def test_many_queries(length, mask, dtype, device):
    query, key, value = (randn(2, 2, length, 16, dtype=dtype, device=device) for _ in range(3))
    attn_mask = masks(2, 2, length, device)[mask]
    for keywords in ({"is_causal": True}, {"alibi_slopes": alibi_slopes(2).to(device)}, {"window_left": 9}):
        out, lse = fused_attention(query, key, value, attn_mask=attn_mask, **keywords, return_lse=True)
        assert_matches(out, lse, attention, query, key, value, attn_mask=attn_mask, **keywords)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("lengths", [[300], [1, 0, 700, 64], [40] * 9], ids=str)
def test_packed_sequences(lengths, dtype, device):
    tensors = [randn(sum(lengths), 2, 16, dtype=dtype, device=device) for _ in range(3)]
    arguments = (*tensors, ends(lengths, device), ends(lengths, device))
    for keywords in ({}, {"is_causal": True, "alibi_slopes": alibi_slopes(2).to(device)}):
        out, lse = fused_attention_varlen(*arguments, *2 * [max(lengths)], **keywords, return_lse=True)
        assert_matches(out, lse, varlen_attention, *arguments, **keywords)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("new", [1, 3, 40])
@pytest.mark.parametrize("lengths", [[3000], [1500, 40, 600]], ids=str)
def test_paged_cache(lengths, new, dtype, device):
    queries = [new] * len(lengths)
    query = randn(sum(queries), 4, 32, dtype=dtype, device=device)
    key, value = (randn(sum(lengths), 1, 32, dtype=dtype, device=device) for _ in range(2))
    arguments = (query, *paged_cache(key, value, lengths, block_size=16), ends(queries, device))
    slopes = alibi_slopes(4).to(device)
    for keywords in ({"is_causal": True}, {"is_causal": True, "window_left": 700, "alibi_slopes": slopes}):
        out, lse = fused_attention_paged(*arguments, new, **keywords, return_lse=True)
        assert_matches(out, lse, paged_attention, *arguments, **keywords)
