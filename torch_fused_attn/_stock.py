"""What the operators compute, by stock PyTorch: for calls whose kernel Metal refuses.

The functions take the arguments of those that they stand in for, and give the same results; their scores are in memory.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

# Not by its module: there it may be ours, routed.
from torch.nn.functional import scaled_dot_product_attention

from torch_fused_attn.kernel_error import KernelError, warn_once

Result = TypeVar("Result")


def fused_or_stock(
    fused: Callable[..., Result], stock: Callable[..., Result], *arguments: Any, **options: Any
) -> Result:
    """Return what ``fused`` does, or what ``stock`` does where Metal refuses a kernel, with a warning once for each."""
    try:
        return fused(*arguments, **options)
    except KernelError as error:
        warn_once(error)
    return stock(*arguments, **options)


def attention(
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
) -> Tensor:
    """Stand in for :func:`torch_fused_attn.fused_attention`, aligned at the bottom right."""
    len_q, len_k = query.shape[2], key.shape[2]
    if is_causal:
        window_right = 0
    limits_left, limits_right = 0 <= window_left < len_k - 1, 0 <= window_right < len_q - 1
    visible = attn_mask if attn_mask is not None and attn_mask.dtype == torch.bool else None
    bias = attn_mask.float() if attn_mask is not None and visible is None else None
    is_eager = bias is not None or alibi_slopes is not None or softcap > 0 or sinks is not None
    is_all_causal = window_right == 0 and len_q == len_k and not (limits_left or is_eager) and visible is None
    if limits_left or alibi_slopes is not None or (limits_right and not is_all_causal):
        position = torch.arange(len_k - len_q, len_k, device=query.device)[:, None]
        distance = torch.arange(len_k, device=query.device) - position
        for is_limited, rule in ((limits_left, -distance <= window_left), (limits_right, distance <= window_right)):
            if is_limited:
                visible = rule if visible is None else visible & rule
        if alibi_slopes is not None:
            lines = -alibi_slopes.view(-1, alibi_slopes.shape[-1], 1, 1) * distance.abs()
            bias = lines if bias is None else bias + lines
    if is_eager:
        return _eager(query, key, value, visible, bias, scale, softcap, sinks)
    enable_gqa = query.shape[1] != key.shape[1]
    out = scaled_dot_product_attention(
        query, key, value, visible, is_causal=is_all_causal, scale=scale, enable_gqa=enable_gqa
    )
    # A query that sees no key: what stock gives then differs from device to device.
    return out if visible is None else out.masked_fill(~visible.any(-1, keepdim=True), 0.0)


def _eager(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Tensor | None,
    bias: Tensor | None,
    scale: float | None,
    softcap: float,
    sinks: Tensor | None,
) -> Tensor:
    """Attend in fp32, a step after another, with what ``F.scaled_dot_product_attention`` has no argument for."""
    group = query.shape[1] // key.shape[1]
    q, k, v = query.float(), key.float().repeat_interleave(group, 1), value.float().repeat_interleave(group, 1)
    scores = q @ k.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if softcap > 0:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    if visible is not None:
        scores = scores.masked_fill(~visible, -torch.inf)
    if sinks is not None:
        column = sinks.float().view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        weights = torch.cat([scores, column], -1).softmax(-1)[..., :-1]
    else:
        is_empty = (scores == -torch.inf).all(-1, keepdim=True)
        weights = scores.softmax(-1).masked_fill(is_empty, 0.0)
    return (weights @ v).to(query.dtype)


def attention_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    **options: Any,
) -> Tensor:
    """Stand in for :func:`torch_fused_attn.fused_attention_varlen`. Waits for the device to learn the lengths."""
    ends = cu_seqlens_k.tolist()
    keys = [(key[start:end], value[start:end]) for start, end in pairwise(ends)]
    return _each(query, keys, cu_seqlens_q, options)


def attention_paged(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seqused_k: Tensor,
    cu_seqlens_q: Tensor,
    max_seqlen_q: int,
    **options: Any,
) -> Tensor:
    """Stand in for :func:`torch_fused_attn.fused_attention_paged`. Waits for the device, and copies keys and values."""
    # An entry below 0 is of a block that no query sees.
    keys = [
        (key_cache[blocks].flatten(0, 1)[:used], value_cache[blocks].flatten(0, 1)[:used])
        for blocks, used in zip(block_table.clamp(min=0), seqused_k.tolist(), strict=True)
    ]
    return _each(query, keys, cu_seqlens_q, options)


def _each(query: Tensor, keys: list[tuple[Tensor, Tensor]], cu_seqlens_q: Tensor, options: dict[str, Any]) -> Tensor:
    """Attend in each sequence by itself; all tensors [T, H, D]."""
    slopes = options.pop("alibi_slopes", None)
    parts = []
    for number, ((start, end), (key, value)) in enumerate(zip(pairwise(cu_seqlens_q.tolist()), keys, strict=True)):
        own = slopes[number] if slopes is not None and slopes.dim() == 2 else slopes
        q, k, v = (x.transpose(0, 1)[None] for x in (query[start:end], key, value))
        parts.append(attention(q, k, v, alibi_slopes=own, **options)[0].transpose(0, 1))
    return torch.cat(parts)


def reshape_and_cache_(
    key: Tensor, value: Tensor, key_cache: Tensor, value_cache: Tensor, slot_mapping: Tensor
) -> None:
    """Stand in for :func:`torch_fused_attn.reshape_and_cache_`. Waits for the device to learn which tokens are skipped."""
    is_kept = slot_mapping >= 0
    slots, block_size = slot_mapping[is_kept], key_cache.shape[1]
    place = (slots // block_size, slots % block_size)
    key_cache[place] = key[is_kept]
    value_cache[place] = value[is_kept]
