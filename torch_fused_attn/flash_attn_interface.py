"""FlashAttention 2's functions, with its signatures, defaults, layouts and alignment, on the operators of this package.

``from torch_fused_attn.flash_attn_interface import flash_attn_func`` in the place of ``from flash_attn import
flash_attn_func``. ``docs/flash_attn.md`` lists what differs. Tensors are [B, L, H, D], packed ones [T, H, D]. All functions
are forward only, and none copies anything to the host.

Source of the interface: T. Dao, ``flash_attn`` 2.7 and 2.8, ``flash_attn/flash_attn_interface.py``.
"""

from torch import Tensor

from torch_fused_attn._flash_attn_options import attention_options
from torch_fused_attn._tensors import with_unit_stride
from torch_fused_attn.flash_attn_kvcache import flash_attn_with_kvcache
from torch_fused_attn.functional import (
    AttentionOptions,
    fused_attention,
    fused_attention_paged,
    fused_attention_varlen,
)

__all__ = [
    "flash_attn_func",
    "flash_attn_kvpacked_func",
    "flash_attn_qkvpacked_func",
    "flash_attn_varlen_func",
    "flash_attn_varlen_kvpacked_func",
    "flash_attn_varlen_qkvpacked_func",
    "flash_attn_with_kvcache",
]

FlashAttnResult = Tensor | tuple[Tensor, Tensor, Tensor]


def flash_attn_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Tensor | None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
) -> FlashAttnResult:
    """Attention on dense batches; positions are bottom-right aligned when query and key lengths differ.

    Args:
        q: [B, Lq, Hq, D], fp32, fp16 or bf16, D from 1 to 256; copied if its last dimension is strided, as k and v are.
        k: [B, Lk, Hkv, D], q's dtype and device; Hq a multiple of Hkv.
        v: [B, Lk, Hkv, Dv].
        dropout_p: must be 0 (default).
        softmax_scale: factor on q·k; default 1/sqrt(D).
        causal: hide the keys after each query's position ``i + Lk - Lq``; default False.
        window_size: numbers of keys (before, after) its position that a query sees; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        alibi_slopes: fp32 [Hq] or [B, Hq]; ``-slope * |i + Lk - Lq - j|`` is added to the scores; default: none.
        deterministic: without effect: it is about flash_attn's backward pass, and the operators are deterministic.
        return_attn_probs: also return the softmax's log-sum-exp and, in the place of the probabilities, which are never in
            memory, the empty tensor that flash_attn returns when dropout_p is 0; default False.

    Returns:
        out [B, Lq, Hq, Dv] in q's dtype; with ``return_attn_probs`` (out, lse, empty), lse fp32 [B, Hq, Lq]. A query that
        sees no key has out 0 and lse -inf.

    Raises:
        RuntimeError: a tensor is wrong (the message names it as :func:`torch_fused_attn.fused_attention` does), or grad
            mode is on and an input requires grad.
        ValueError: dropout_p is not 0.
    """
    options = _options("flash_attn_func", dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes)
    return _dense(q, k, v, options, return_attn_probs)


def flash_attn_kvpacked_func(
    q: Tensor,
    kv: Tensor,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Tensor | None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
) -> FlashAttnResult:
    """Attention with key and value in one tensor, of which they are views.

    Args:
        q: [B, Lq, Hq, D], fp32, fp16 or bf16, D from 1 to 256.
        kv: [B, Lk, 2, Hkv, D], q's dtype and device.
        dropout_p: must be 0 (default).
        softmax_scale: factor on q·k; default 1/sqrt(D).
        causal: hide the keys after each query's position, bottom-right aligned; default False.
        window_size: numbers of keys (before, after) its position that a query sees; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        alibi_slopes: fp32 [Hq] or [B, Hq]; default: none.
        deterministic: without effect, see :func:`flash_attn_func`.
        return_attn_probs: also return lse and an empty tensor, see :func:`flash_attn_func`; default False.

    Returns:
        out [B, Lq, Hq, D] in the inputs' dtype; with ``return_attn_probs`` (out, lse, empty), lse fp32 [B, Hq, Lq].

    Raises:
        RuntimeError: a tensor is wrong, or grad mode is on and an input requires grad.
        ValueError: dropout_p is not 0, or ``kv`` has another shape.
    """
    name = "flash_attn_kvpacked_func"
    _check_packing(name, "kv", kv, ("B", "Lk", "2", "Hkv", "D"))
    options = _options(name, dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes)
    key, value = kv.unbind(2)
    return _dense(q, key, value, options, return_attn_probs)


def flash_attn_qkvpacked_func(
    qkv: Tensor,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Tensor | None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
) -> FlashAttnResult:
    """Self-attention with query, key and value in one tensor, of which they are views.

    Args:
        qkv: [B, L, 3, H, D], fp32, fp16 or bf16, D from 1 to 256.
        dropout_p: must be 0 (default).
        softmax_scale: factor on q·k; default 1/sqrt(D).
        causal: hide the keys after each query's position, bottom-right aligned; default False.
        window_size: numbers of keys (before, after) its position that a query sees; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        alibi_slopes: fp32 [Hq] or [B, Hq]; default: none.
        deterministic: without effect, see :func:`flash_attn_func`.
        return_attn_probs: also return lse and an empty tensor, see :func:`flash_attn_func`; default False.

    Returns:
        out [B, L, H, D] in the inputs' dtype; with ``return_attn_probs`` (out, lse, empty), lse fp32 [B, H, L].

    Raises:
        RuntimeError: a tensor is wrong, or grad mode is on and an input requires grad.
        ValueError: dropout_p is not 0, or ``qkv`` has another shape.
    """
    name = "flash_attn_qkvpacked_func"
    _check_packing(name, "qkv", qkv, ("B", "L", "3", "H", "D"))
    options = _options(name, dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes)
    query, key, value = qkv.unbind(2)
    return _dense(query, key, value, options, return_attn_probs)


def flash_attn_varlen_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Tensor | None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
    block_table: Tensor | None = None,
) -> FlashAttnResult:
    """Attention over sequences of different lengths, packed one after another, or with keys in a paged cache.

    Args:
        q: [Tq, Hq, D], fp32, fp16 or bf16, D from 1 to 256; copied if its last dimension is strided, as k and v are.
        k: [Tk, Hkv, D], or with block_table [num_blocks, block_size, Hkv, D], blocks of any size.
        v: as k.
        cu_seqlens_q: int32 [B + 1], cumulative query lengths, from 0 to Tq, on q's device.
        cu_seqlens_k: int32 [B + 1], cumulative key lengths, from 0; with block_table they need not end at any total.
        max_seqlen_q: no sequence has more queries than this.
        max_seqlen_k: no sequence has more keys than this; without effect with block_table.
        dropout_p: must be 0 (default).
        softmax_scale: factor on q·k; default 1/sqrt(D).
        causal: hide the keys after each query's position, bottom-right aligned in each sequence; default False.
        window_size: numbers of keys (before, after) its position that a query sees; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        alibi_slopes: fp32 [Hq] or [B, Hq]; default: none.
        deterministic: without effect, see :func:`flash_attn_func`.
        return_attn_probs: also return lse and an empty tensor, see :func:`flash_attn_func`; default False.
        block_table: int32 [B, max_blocks], the blocks that hold each sequence's keys; entries beyond them may be -1; default:
            none, keys are packed.

    Returns:
        out [Tq, Hq, D] in q's dtype; with ``return_attn_probs`` (out, lse, empty), lse fp32 [Hq, Tq].

    Raises:
        RuntimeError: a tensor is wrong (the message names it as :func:`torch_fused_attn.fused_attention_varlen` or
            ``fused_attention_paged`` does), or grad mode is on and an input requires grad.
        ValueError: dropout_p is not 0.
    """
    name = "flash_attn_varlen_func"
    options = _options(name, dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes)
    if block_table is None:
        lengths = (cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
        return _packed(q, k, v, *lengths, options, return_attn_probs)
    query, key_cache, value_cache = (with_unit_stride(x) for x in (q, k, v))
    blocks = (block_table.contiguous(), cu_seqlens_k.diff())
    out, lse = fused_attention_paged(
        query, key_cache, value_cache, *blocks, cu_seqlens_q, max_seqlen_q, return_lse=True, **options
    )
    return _result(out, lse, return_attn_probs)


def flash_attn_varlen_kvpacked_func(
    q: Tensor,
    kv: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Tensor | None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
) -> FlashAttnResult:
    """Packed sequences with key and value in one tensor, of which they are views.

    Args:
        q: [Tq, Hq, D], fp32, fp16 or bf16, D from 1 to 256.
        kv: [Tk, 2, Hkv, D], q's dtype and device.
        cu_seqlens_q: int32 [B + 1], cumulative query lengths, from 0 to Tq, on q's device.
        cu_seqlens_k: int32 [B + 1], cumulative key lengths, from 0 to Tk.
        max_seqlen_q: no sequence has more queries than this.
        max_seqlen_k: no sequence has more keys than this.
        dropout_p: must be 0 (default).
        softmax_scale: factor on q·k; default 1/sqrt(D).
        causal: hide the keys after each query's position, bottom-right aligned; default False.
        window_size: numbers of keys (before, after) its position that a query sees; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        alibi_slopes: fp32 [Hq] or [B, Hq]; default: none.
        deterministic: without effect, see :func:`flash_attn_func`.
        return_attn_probs: also return lse and an empty tensor, see :func:`flash_attn_func`; default False.

    Returns:
        out [Tq, Hq, D] in the inputs' dtype; with ``return_attn_probs`` (out, lse, empty), lse fp32 [Hq, Tq].

    Raises:
        RuntimeError: a tensor is wrong, or grad mode is on and an input requires grad.
        ValueError: dropout_p is not 0, or ``kv`` has another shape.
    """
    name = "flash_attn_varlen_kvpacked_func"
    _check_packing(name, "kv", kv, ("Tk", "2", "Hkv", "D"))
    options = _options(name, dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes)
    key, value = kv.unbind(1)
    lengths = (cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
    return _packed(q, key, value, *lengths, options, return_attn_probs)


def flash_attn_varlen_qkvpacked_func(
    qkv: Tensor,
    cu_seqlens: Tensor,
    max_seqlen: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Tensor | None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
) -> FlashAttnResult:
    """Self-attention over packed sequences with query, key and value in one tensor, of which they are views.

    Args:
        qkv: [T, 3, H, D], fp32, fp16 or bf16, D from 1 to 256.
        cu_seqlens: int32 [B + 1], cumulative lengths, from 0 to T, on qkv's device.
        max_seqlen: no sequence is longer than this.
        dropout_p: must be 0 (default).
        softmax_scale: factor on q·k; default 1/sqrt(D).
        causal: hide the keys after each query's position, bottom-right aligned; default False.
        window_size: numbers of keys (before, after) its position that a query sees; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        alibi_slopes: fp32 [Hq] or [B, Hq]; default: none.
        deterministic: without effect, see :func:`flash_attn_func`.
        return_attn_probs: also return lse and an empty tensor, see :func:`flash_attn_func`; default False.

    Returns:
        out [T, H, D] in the inputs' dtype; with ``return_attn_probs`` (out, lse, empty), lse fp32 [H, T].

    Raises:
        RuntimeError: a tensor is wrong, or grad mode is on and an input requires grad.
        ValueError: dropout_p is not 0, or ``qkv`` has another shape.
    """
    name = "flash_attn_varlen_qkvpacked_func"
    _check_packing(name, "qkv", qkv, ("T", "3", "H", "D"))
    options = _options(name, dropout_p, softmax_scale, causal, window_size, softcap, alibi_slopes)
    query, key, value = qkv.unbind(1)
    lengths = (cu_seqlens, cu_seqlens, max_seqlen, max_seqlen)
    return _packed(query, key, value, *lengths, options, return_attn_probs)


def _options(
    function: str,
    dropout_p: float,
    softmax_scale: float | None,
    causal: bool,
    window_size: tuple[int, int],
    softcap: float,
    alibi_slopes: Tensor | None,
) -> AttentionOptions:
    """Refuse dropout, and return the other options as keyword arguments of ``fused_attention``."""
    if dropout_p != 0.0:
        raise ValueError(
            f"{function}: dropout_p must be 0, but was {dropout_p}: the operators are forward only and drop nothing; "
            "train with F.scaled_dot_product_attention, and pass 0 in eval mode"
        )
    return attention_options(softmax_scale, causal, window_size, softcap, alibi_slopes)


def _check_packing(function: str, name: str, packed: Tensor, shape: tuple[str, ...]) -> None:
    """Refuse a tensor that does not hold as many tensors as its third last dimension has to."""
    if packed.dim() != len(shape) or packed.shape[-3] != int(shape[-3]):
        raise ValueError(
            f"{function}: {name} must be [{', '.join(shape)}], but its shape is {list(packed.shape)}: "
            f"torch.stack(..., dim={len(shape) - 3}) packs separate tensors"
        )


def _dense(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, return_attn_probs: bool) -> FlashAttnResult:
    query, key, value = (with_unit_stride(x).transpose(1, 2) for x in (q, k, v))
    out, lse = fused_attention(query, key, value, return_lse=True, **options)
    return _result(out.transpose(1, 2), lse, return_attn_probs)


def _packed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    options: AttentionOptions,
    return_attn_probs: bool,
) -> FlashAttnResult:
    query, key, value = (with_unit_stride(x) for x in (q, k, v))
    lengths = (cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
    out, lse = fused_attention_varlen(query, key, value, *lengths, return_lse=True, **options)
    return _result(out, lse, return_attn_probs)


def _result(out: Tensor, lse: Tensor, return_attn_probs: bool) -> FlashAttnResult:
    """Return what flash_attn does: with return_attn_probs a third tensor, which is empty where nothing is dropped."""
    return (out, lse, out.new_empty(0)) if return_attn_probs else out
