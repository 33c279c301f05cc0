"""What a user of stock PyTorch writes instead: the compositions that the operators are compared with."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.utils.rnn import pad_sequence

NEG_INF = -float("inf")


def causal_mask(length: int) -> Tensor:
    """Return bool [L, L], True where a key takes part."""
    return torch.ones(length, length, dtype=torch.bool).tril_()


def window_mask(length: int, window: int) -> Tensor:
    """Return bool [L, L]: each query sees itself and the ``window - 1`` keys before it."""
    return causal_mask(length).triu_(1 - window)


def alibi_bias(slopes: Tensor, length: int, is_causal: bool) -> Tensor:
    """Return the fp32 bias [1, H, L, L] in one pass over it; SDPA takes it unrounded with a bf16 query too."""
    position = torch.arange(length, dtype=torch.float32)
    distance = (position[:, None] - position[None, :]).abs_()
    if is_causal:
        distance.masked_fill_(~causal_mask(length), float("inf"))
    return -slopes.view(1, -1, 1, 1) * distance


def softcap_eager(query: Tensor, key: Tensor, value: Tensor, softcap: float, is_causal: bool) -> Tensor:
    """Softcapped attention, step by step as model code has it: scores in the input's dtype, softmax in fp32."""
    scores = torch.matmul(query, key.mT) * query.shape[-1] ** -0.5
    scores = scores / softcap
    scores = torch.tanh(scores)
    scores = scores * softcap
    if is_causal:
        scores = scores.masked_fill(~causal_mask(query.shape[-2]), NEG_INF)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype) @ value


def softcap_in_place(query: Tensor, key: Tensor, value: Tensor, softcap: float, is_causal: bool) -> Tensor:
    """Do the same with the scalings folded together, and every step in place that can be."""
    scores = torch.matmul(query * (query.shape[-1] ** -0.5 / softcap), key.mT).tanh_().mul_(softcap)
    if is_causal:
        scores.masked_fill_(~causal_mask(query.shape[-2]), NEG_INF)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype) @ value


def window_chunked(query: Tensor, key: Tensor, value: Tensor, window: int, band: Tensor) -> Tensor:
    """Sliding window as a loop over chunks of ``window`` queries, each with only the keys that the chunk can see.

    ``band`` is bool [window, 2 * window - 1]: row r of a chunk that starts at s sees key ``s - window + 1 + column``.
    """
    chunks = []
    for start in range(0, query.shape[2], window):
        first, end = max(0, start - window + 1), start + window
        chunks.append(
            F.scaled_dot_product_attention(
                query[:, :, start:end], key[:, :, first:end], value[:, :, first:end], attn_mask=band[:, first - end :]
            )
        )
    return torch.cat(chunks, dim=2)


def window_band(window: int) -> Tensor:
    """Return the mask that every chunk of :func:`window_chunked` shares."""
    return torch.ones(window, 2 * window - 1, dtype=torch.bool).triu_().tril_(window - 1)


def compiled_flex(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    score_mod: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor] | None = None,
) -> Callable[[], Tensor]:
    """Return a call of FlexAttention; its block mask is built here, and it is compiled by the first call."""
    torch.compiler.reset()  # one function compiled for many cases would hit the recompilation limit, and run unfused
    block_mask = create_block_mask(visible, None, None, query.shape[2], key.shape[2], device="cpu")
    compiled = torch.compile(flex_attention, dynamic=False)
    return lambda: compiled(query, key, value, score_mod=score_mod, block_mask=block_mask)


def varlen_padded(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], is_causal: bool) -> Tensor:
    """Pad packed [T, H, D] sequences to the longest, mask, attend, and pack again."""
    query, key, value = (pad_sequence(x.split(lengths), batch_first=True).transpose(1, 2) for x in (query, key, value))
    valid = torch.arange(query.shape[2]) < torch.tensor(lengths)[:, None]
    mask = valid[:, None, None, :]
    if is_causal:
        mask = mask & causal_mask(query.shape[2])
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)[valid]


def varlen_padded_causal(query: Tensor, key: Tensor, value: Tensor, lengths: list[int]) -> Tensor:
    """Pad, and let causality hide the padding: it follows every real key, so that no mask is needed."""
    query, key, value = (pad_sequence(x.split(lengths), batch_first=True).transpose(1, 2) for x in (query, key, value))
    valid = torch.arange(query.shape[2]) < torch.tensor(lengths)[:, None]
    return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)[valid]


def varlen_loop(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], is_causal: bool) -> Tensor:
    """One SDPA call a sequence, on views of the packed [T, H, D] tensors."""
    out = torch.empty_like(query)
    for o, q, k, v in zip(*(x.split(lengths) for x in (out, query, key, value)), strict=True):
        q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
        o.copy_(F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)[0].transpose(0, 1))
    return out


def gather_blocks(cache: Tensor, block_table: Tensor) -> Tensor:
    """Copy a cache [num_blocks, block_size, Hkv, D] through int32 [B, max_blocks] into a view [B, Hkv, L, D]."""
    return cache[block_table].flatten(1, 2).transpose(1, 2)


def paged_gather(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, block_table: Tensor, lengths: Tensor | None, fold: bool
) -> Tensor:
    """Decode with query [B, Hq, D]: gather the blocks, then one SDPA call. ``lengths`` None = every table is full."""
    key, value = gather_blocks(key_cache, block_table), gather_blocks(value_cache, block_table)
    return decode_contiguous(query, key, value, lengths, fold)


def decode_contiguous(query: Tensor, key: Tensor, value: Tensor, lengths: Tensor | None, fold: bool) -> Tensor:
    """Decode with query [B, Hq, D] and key, value [B, Hkv, L, D].

    With ``fold``, the query heads that share a key head become the rows of one head: each key is then read once, which
    ``enable_gqa`` does not achieve.
    """
    mask = None if lengths is None else (torch.arange(key.shape[2]) < lengths[:, None])[:, None, None, :]
    rows = query.view(query.shape[0], key.shape[1], -1, query.shape[-1]) if fold else query.unsqueeze(2)
    return F.scaled_dot_product_attention(rows, key, value, attn_mask=mask, enable_gqa=not fold).view_as(query)


def paged_loop(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, block_table: Tensor, lengths: list[int]
) -> Tensor:
    """One gather and one folded SDPA call a sequence, over no more blocks than it has."""
    block_size = key_cache.shape[1]
    out = torch.empty_like(query)
    for b, length in enumerate(lengths):
        blocks = block_table[b : b + 1, : -(-length // block_size)]
        key, value = (gather_blocks(cache, blocks)[:, :, :length] for cache in (key_cache, value_cache))
        out[b] = decode_contiguous(query[b : b + 1], key, value, None, fold=True)[0]
    return out
