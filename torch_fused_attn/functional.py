"""The functional interface: thin, typed wrappers of ``torch.ops.fused_attn``."""

import math
from typing import Literal, TypedDict, overload

import torch
from torch import Tensor
from typing_extensions import Unpack


class AttentionOptions(TypedDict, total=False):
    """The keyword arguments that the three forms of attention share; :func:`fused_attention` defines them."""

    is_causal: bool
    scale: float | None
    alibi_slopes: Tensor | None
    window_left: int
    window_right: int
    softcap: float
    sinks: Tensor | None


class DenseOptions(AttentionOptions, total=False):
    """What :func:`fused_attention` takes besides."""

    attn_mask: Tensor | None
    causal_alignment: str


def alibi_slopes(num_heads: int, *, device: torch.device | str | None = None) -> Tensor:
    """Return the ALiBi slopes of Press et al. for ``num_heads`` heads.

    For a power of two n the slopes are the geometric sequence that starts at 2^(-8/n) with that same ratio; for any other
    number, the slopes of the next lower power of two, followed by every second slope of the next higher one.

    Args:
        num_heads: number of query heads, at least 1.
        device: where to put the result; default: torch's current default device.

    Returns:
        fp32 [num_heads], all positive; the operators subtract ``slope * distance``.

    Raises:
        ValueError: ``num_heads`` is less than 1.

    Source: O. Press, N. A. Smith, M. Lewis, "Train Short, Test Long", ICLR 2022, section 3, and for numbers that are no
    power of two the authors' published reference implementation.
    """
    if num_heads < 1:
        raise ValueError(f"alibi_slopes: num_heads must be at least 1, but was {num_heads}")

    def geometric(n: int) -> list[float]:
        return [2.0 ** (-8.0 * (i + 1) / n) for i in range(n)]

    lower = 2 ** int(math.log2(num_heads))
    slopes = geometric(lower) + geometric(2 * lower)[0::2][: num_heads - lower]
    return torch.tensor(slopes, dtype=torch.float32, device=device)


@overload
def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, *, return_lse: Literal[False] = ..., **options: Unpack[DenseOptions]
) -> Tensor: ...
@overload
def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, *, return_lse: Literal[True], **options: Unpack[DenseOptions]
) -> tuple[Tensor, Tensor]: ...
@overload
def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, *, return_lse: bool = ..., **options: Unpack[DenseOptions]
) -> Tensor | tuple[Tensor, Tensor]: ...
def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    alibi_slopes: Tensor | None = None,
    window_left: int = -1,
    window_right: int = -1,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    causal_alignment: str = "bottom_right",
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Scaled dot product attention on dense, batched tensors, without a score matrix in memory.

    All keyword arguments compose. With ``p = i + Lkv - Lq`` the position of query i among the keys, and before the softmax::

        score[i, j] = scale * (query[i] · key[j])
        score[i, j] = softcap * tanh(score[i, j] / softcap)     if softcap > 0
        score[i, j] = score[i, j] - alibi_slope * |p - j|       if alibi_slopes is given
        score[i, j] = score[i, j] + attn_mask[i, j]             if attn_mask is floating point
        score[i, j] = -inf     if attn_mask[i, j] is False, if is_causal and j > p,
                               or if j is outside of [p - window_left, p + window_right]

    ``is_causal`` with Lq = 2 and Lkv = 4 (1 = visible), which is where this differs from ``F.scaled_dot_product_attention``::

        bottom_right (default)     top_left
        1 1 1 0                    1 0 0 0
        1 1 1 1                    1 1 0 0

    Args:
        query: [B, Hq, Lq, D], fp32, fp16 or bf16, D from 1 to 256; any strides, but 1 in the last dimension.
        key: [B, Hkv, Lkv, D], query's dtype and device; Hq a multiple of Hkv (grouped-query attention, nothing is copied).
        value: [B, Hkv, Lkv, Dv], Dv from 1 to 256.
        attn_mask: bool (True where a key takes part) or floating point (added); broadcastable to [B, Hq, Lq, Lkv]; default:
            none.
        is_causal: hide the keys after each query's position; default False.
        scale: factor on query·key; default 1/sqrt(D).
        alibi_slopes: fp32 [Hq] or [B, Hq], see :func:`alibi_slopes`; default: none.
        window_left: number of keys before its position that a query sees; -1 (default) = all.
        window_right: number of keys after it; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        sinks: [Hq], fp32 or query's dtype: one extra logit a head in the softmax's denominator; default: none.
        causal_alignment: "bottom_right" (default), or "top_left" to place query i at key i for ``is_causal`` and the windows.
        return_lse: also return the logarithm of the softmax's denominator; default False.

    Returns:
        out [B, Hq, Lq, Dv] in query's dtype; with ``return_lse`` also lse fp32 [B, Hq, Lq], natural logarithm. out is laid
        out as query is: where query is a transposed [B, Lq, Hq, D], ``out.transpose(1, 2).flatten(2)`` is a view; otherwise
        out is contiguous.
        A query that sees no key has out 0 and lse -inf (with sinks: the sink).

    Raises:
        RuntimeError: an argument is wrong (the message names it), or grad mode is on and an input requires grad.
        KernelError: Metal refuses a kernel that the call needs; a RuntimeError, too.

    Source: A. Vaswani et al. 2017, section 3.2.1; T. Dao, "FlashAttention-2", 2023, algorithm 1; alignment as in
    FlashAttention from 2.1; ALiBi: O. Press et al. 2022; softcap: Gemma 2 report, section 2; sinks: G. Xiao et al. 2024.
    """
    out, lse = torch.ops.fused_attn.forward(
        query,
        key,
        value,
        attn_mask=attn_mask,
        is_causal=is_causal,
        scale=scale,
        alibi_slopes=alibi_slopes,
        window_left=window_left,
        window_right=window_right,
        softcap=softcap,
        sinks=sinks,
        causal_alignment=causal_alignment,
    )
    return (out, lse) if return_lse else out


@overload
def fused_attention_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    *,
    return_lse: Literal[False] = ...,
    **options: Unpack[AttentionOptions],
) -> Tensor: ...
@overload
def fused_attention_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    *,
    return_lse: Literal[True],
    **options: Unpack[AttentionOptions],
) -> tuple[Tensor, Tensor]: ...
@overload
def fused_attention_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    *,
    return_lse: bool = ...,
    **options: Unpack[AttentionOptions],
) -> Tensor | tuple[Tensor, Tensor]: ...
def fused_attention_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    alibi_slopes: Tensor | None = None,
    window_left: int = -1,
    window_right: int = -1,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention over sequences of different lengths, packed one after another without padding.

    Sequence b's queries are ``query[cu_seqlens_q[b]:cu_seqlens_q[b + 1]]``, its keys likewise; nothing crosses sequences.

    Args:
        query: [Tq, Hq, D], fp32, fp16 or bf16, D from 1 to 256; any strides, but 1 in the last dimension.
        key: [Tk, Hkv, D], query's dtype and device; Hq a multiple of Hkv.
        value: [Tk, Hkv, D].
        cu_seqlens_q: int32 [B + 1], cumulative query lengths, from 0 to Tq, on query's device.
        cu_seqlens_k: int32 [B + 1], cumulative key lengths, from 0 to Tk.
        max_seqlen_q: no sequence has more queries than this; on MPS the results of those beyond it are not written.
        max_seqlen_k: no sequence has more keys than this.
        is_causal: as in :func:`fused_attention`, default False; positions are bottom-right aligned in each sequence.
        scale: factor on query·key; default 1/sqrt(D).
        alibi_slopes: fp32 [Hq] or [B, Hq]; default: none.
        window_left: number of keys before its position that a query sees; -1 (default) = all.
        window_right: number of keys after it; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        sinks: [Hq], fp32 or query's dtype; default: none.
        return_lse: also return the logarithm of the softmax's denominator; default False.

    Returns:
        out [Tq, Hq, D] in query's dtype; with ``return_lse`` also lse fp32 [Hq, Tq], natural logarithm.

    Raises:
        RuntimeError: an argument is wrong (the message names it), or grad mode is on and an input requires grad.
        KernelError: Metal refuses a kernel that the call needs; a RuntimeError, too.

    Source: as :func:`fused_attention`; the packed layout is that of FlashAttention's ``flash_attn_varlen_func``.
    """
    out, lse = torch.ops.fused_attn.varlen_forward(
        query,
        key,
        value,
        cu_seqlens_q,
        cu_seqlens_k,
        max_seqlen_q,
        max_seqlen_k,
        is_causal=is_causal,
        scale=scale,
        alibi_slopes=alibi_slopes,
        window_left=window_left,
        window_right=window_right,
        softcap=softcap,
        sinks=sinks,
    )
    return (out, lse) if return_lse else out


@overload
def fused_attention_paged(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seqused_k: Tensor,
    cu_seqlens_q: Tensor,
    max_seqlen_q: int,
    *,
    return_lse: Literal[False] = ...,
    **options: Unpack[AttentionOptions],
) -> Tensor: ...
@overload
def fused_attention_paged(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seqused_k: Tensor,
    cu_seqlens_q: Tensor,
    max_seqlen_q: int,
    *,
    return_lse: Literal[True],
    **options: Unpack[AttentionOptions],
) -> tuple[Tensor, Tensor]: ...
@overload
def fused_attention_paged(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seqused_k: Tensor,
    cu_seqlens_q: Tensor,
    max_seqlen_q: int,
    *,
    return_lse: bool = ...,
    **options: Unpack[AttentionOptions],
) -> Tensor | tuple[Tensor, Tensor]: ...
def fused_attention_paged(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seqused_k: Tensor,
    cu_seqlens_q: Tensor,
    max_seqlen_q: int,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    alibi_slopes: Tensor | None = None,
    window_left: int = -1,
    window_right: int = -1,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention over a paged key/value cache: decode, several new tokens at once, and chunked prefill.

    Key p of sequence b lies in block ``block_table[b, p // block_size]`` at offset ``p % block_size``. The cache already
    holds the new tokens' keys and values; with ``is_causal`` a sequence's last query sees all of its keys.

    Args:
        query: [Tq, Hq, D], the new tokens of all sequences, packed; any strides, but 1 in the last dimension.
        key_cache: [num_blocks, block_size, Hkv, D], query's dtype and device; Hq a multiple of Hkv.
        value_cache: [num_blocks, block_size, Hkv, D].
        block_table: int32 [B, max_blocks]; entries that no query reaches (unused, or out of every window) may be -1.
        seqused_k: int32 [B], keys in the cache, the new ones included.
        cu_seqlens_q: int32 [B + 1], cumulative numbers of new tokens, from 0 to Tq.
        max_seqlen_q: no sequence has more new tokens than this; on MPS the results of those beyond it are not written.
        is_causal: as in :func:`fused_attention`, default False; positions are bottom-right aligned in each sequence.
        scale: factor on query·key; default 1/sqrt(D).
        alibi_slopes: fp32 [Hq] or [B, Hq]; default: none.
        window_left: number of keys before its position that a query sees; -1 (default) = all.
        window_right: number of keys after it; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        sinks: [Hq], fp32 or query's dtype; default: none.
        return_lse: also return the logarithm of the softmax's denominator; default False.

    Returns:
        out [Tq, Hq, D] in query's dtype; with ``return_lse`` also lse fp32 [Hq, Tq], natural logarithm.

    Raises:
        RuntimeError: an argument is wrong (the message names it), or grad mode is on and an input requires grad.
        KernelError: Metal refuses a kernel that the call needs; a RuntimeError, too.

    Source: W. Kwon et al., "PagedAttention", SOSP 2023, section 4.1; the cache layout is FlashAttention's.
    """
    out, lse = torch.ops.fused_attn.paged_forward(
        query,
        key_cache,
        value_cache,
        block_table,
        seqused_k,
        cu_seqlens_q,
        max_seqlen_q,
        is_causal=is_causal,
        scale=scale,
        alibi_slopes=alibi_slopes,
        window_left=window_left,
        window_right=window_right,
        softcap=softcap,
        sinks=sinks,
    )
    return (out, lse) if return_lse else out
