"""Shape-only kernels of the operators, for ``torch.compile``, ``torch.export`` and the meta device.

Each runs the very checks of the real kernels (``csrc/attention_args.cpp``, on symbolic sizes) and returns empty tensors with
the real kernels' shapes, dtypes and strides. The parameters after ``query`` are what the schema says.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from torch_fused_attn import _C
from torch_fused_attn._inductor import prepare_for_written_views

_Function = TypeVar("_Function", bound=Callable[..., Any])
# torch's own decorator has no types.
_register_fake = cast(Callable[[str], Callable[[_Function], _Function]], torch.library.register_fake)


def _options(
    is_causal: bool = False,
    scale: float | None = None,
    alibi_slopes: Tensor | None = None,
    window_left: int = -1,
    window_right: int = -1,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
) -> tuple[Any, ...]:
    """Return the keyword arguments that the forwards share in the order of the checks' parameters."""
    return (is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks)


def _empty_like_heads(like: Tensor, head_dim: int) -> Tensor:
    """Return an empty [B, H, L, head_dim] in the layout that the operators give their outputs."""
    batch, num_heads, length, _ = like.shape
    if _C.is_token_major(like):
        return like.new_empty((batch, length, num_heads, head_dim)).transpose(1, 2)
    return like.new_empty((batch, num_heads, length, head_dim))


@_register_fake("fused_attn::forward")
def _forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    causal_alignment: str = "bottom_right",
    **options: Any,
) -> tuple[Tensor, Tensor]:
    _C.check_forward(query, key, value, attn_mask, *_options(**options), causal_alignment)
    batch, num_heads, len_q, _ = query.shape
    out = _empty_like_heads(query, value.shape[3])
    return out, query.new_empty((batch, num_heads, len_q), dtype=torch.float32)


def _packed_result(query: Tensor) -> tuple[Tensor, Tensor]:
    total_q, num_heads, _ = query.shape
    out = query.new_empty(query.shape)
    return out, query.new_empty((num_heads, total_q), dtype=torch.float32)


@_register_fake("fused_attn::varlen_forward")
def _varlen_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    _C.check_varlen_forward(
        query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, *_options(**options)
    )
    return _packed_result(query)


@_register_fake("fused_attn::paged_forward")
def _paged_forward(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seqused_k: Tensor,
    cu_seqlens_q: Tensor,
    max_seqlen_q: int,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    _C.check_paged_forward(
        query, key_cache, value_cache, block_table, seqused_k, cu_seqlens_q, max_seqlen_q, *_options(**options)
    )
    return _packed_result(query)


@_register_fake("fused_attn::reshape_and_cache_")
def _reshape_and_cache_(
    key: Tensor, value: Tensor, key_cache: Tensor, value_cache: Tensor, slot_mapping: Tensor
) -> None:
    _C.check_reshape_and_cache_(key, value, key_cache, value_cache, slot_mapping)
    prepare_for_written_views(key_cache, value_cache)


@_register_fake("fused_attn::copy_blocks_")
def _copy_blocks_(key_cache: Tensor, value_cache: Tensor, block_mapping: Tensor) -> None:
    _C.check_copy_blocks_(key_cache, value_cache, block_mapping)
    prepare_for_written_views(key_cache, value_cache)


@_register_fake("fused_attn::merge_states")
def _merge_states(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    _C.check_merge_states(out_a, lse_a, out_b, lse_b)
    out = out_a.new_empty(out_a.shape) if out_a.dim() == 3 else _empty_like_heads(out_a, out_a.shape[3])
    return out, lse_a.new_empty(lse_a.shape)
