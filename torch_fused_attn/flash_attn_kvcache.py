"""FlashAttention 2's ``flash_attn_with_kvcache``: append to a cache in place, then attend to it.

Every cache is a paged one here. A contiguous cache [B, S, H, D] is one whose blocks are its rows, of S tokens each, so
that nothing is copied, gathered or masked, and a sequence's row is its only block.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from torch_fused_attn import _C
from torch_fused_attn._flash_attn_options import attention_options
from torch_fused_attn._rotary import apply_rotary
from torch_fused_attn._tensors import is_readable, with_unit_stride
from torch_fused_attn.cache_ops import reshape_and_cache_
from torch_fused_attn.functional import AttentionOptions, fused_attention_paged

_NAME = "flash_attn_with_kvcache"


def flash_attn_with_kvcache(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    k: Tensor | None = None,
    v: Tensor | None = None,
    rotary_cos: Tensor | None = None,
    rotary_sin: Tensor | None = None,
    cache_seqlens: int | Tensor | None = None,
    cache_batch_idx: Tensor | None = None,
    cache_leftpad: Tensor | None = None,
    block_table: Tensor | None = None,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    rotary_interleaved: bool = True,
    alibi_slopes: Tensor | None = None,
    num_splits: int = 0,
    return_softmax_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Append new keys and values to a cache, in place, and attend to all that it holds.

    Token i of ``k`` and ``v`` gets position ``cache_seqlens + i`` of its sequence. Queries are bottom-right aligned: with
    ``causal`` the last of ``q`` sees every key. Nothing here waits for a device or copies anything to the host. On a device
    a token beyond the cache's capacity is therefore not stored, where on the CPU the call raises.

    Args:
        q: [B, Lq, Hq, D], fp32, fp16 or bf16, D from 1 to 256. A view if its tokens lie one after another in memory, as in
            [B, L, H, D] or a slice of a packed projection; copied otherwise.
        k_cache: [cache_batch, S, Hkv, D], or with block_table [num_blocks, block_size, Hkv, D], blocks of any size; q's
            dtype and device; written if k is given. Pass the whole cache: each S is another kernel on MPS.
        v_cache: as k_cache.
        k: [B, Lnew, Hkv, D], the new keys; default: none.
        v: as k, given if and only if k is.
        rotary_cos: [num_positions, rotary_dim / 2], floating point, rotary_dim at most D; num_positions at least the cache's
            capacity (S, or max_blocks * block_size), and more by as many tokens as q is longer than k. k is rotated by the
            rows of its positions before it is stored, q by rows ``cache_seqlens + i``, or, if it is neither causal nor has
            a window shorter than the capacity, all of it by row ``cache_seqlens``. Needs k; default: nothing is rotated.
        rotary_sin: as rotary_cos.
        cache_seqlens: how many tokens each sequence has in the cache, new ones not included: an int, or int32 [B] on q's
            device; default: the cache is full. Needed if k is given.
        cache_batch_idx: int32 [B], the row of k_cache of each sequence; default: 0 to B - 1. Rows must differ if k is
            given. Not with block_table.
        cache_leftpad: int32 [B], how many tokens at a sequence's beginning are padding that no query sees; positions and
            cache_seqlens count them. Not with block_table. It copies a cache whose sequences do not follow one another
            in memory, and makes attention read the cache token by token. Default: none.
        block_table: int32 [B, max_blocks], the blocks that hold each sequence's tokens; entries beyond them may be -1;
            default: the cache is contiguous.
        softmax_scale: factor on q·k; default 1/sqrt(D).
        causal: hide the keys after each query's position; default False.
        window_size: numbers of keys (before, after) its position that a query sees; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        rotary_interleaved: pairs are elements (0, 1), (2, 3), ...; if False (0, rotary_dim / 2), ...; default True.
        alibi_slopes: fp32 [Hq] or [B, Hq]; ``-slope * distance`` is added to the scores; default: none.
        num_splits: without effect: how the keys are split over the device is decided for each call.
        return_softmax_lse: also return the softmax's log-sum-exp; default False.

    Returns:
        out [B, Lq, Hq, D] in q's dtype; with ``return_softmax_lse`` (out, lse), lse fp32 [B, Hq, Lq]. A query that sees no
        key has out 0 and lse -inf.

    Raises:
        RuntimeError: grad mode is on and an input requires grad, or an option or a tensor is wrong (the message names it
            as :func:`torch_fused_attn.fused_attention_paged` does). The cache is unchanged.
        ValueError: an argument is wrong or missing; the message names it. The cache is unchanged.

    Source: T. Dao, ``flash_attn`` 2.7 and 2.8. Rotary embedding: J. Su et al., "RoFormer", 2021.
    """
    _check_presence(k, v, rotary_cos, rotary_sin, cache_seqlens, cache_batch_idx, cache_leftpad, block_table)
    _refuse_gradients({"q": q, "k_cache": k_cache, "v_cache": v_cache, "k": k, "v": v})
    _check_shapes(q, k_cache, v_cache, k, v)
    batch, len_q = q.shape[:2]
    len_new = 0 if k is None else k.shape[1]
    blocks = _blocks(q, k_cache, cache_batch_idx, block_table)
    lengths = _lengths(q, cache_seqlens, blocks.capacity, len_new)
    if cache_leftpad is not None:
        _check_leftpad(cache_leftpad, q, lengths + len_new)
    if k is not None and rotary_cos is not None and rotary_sin is not None:
        _check_rotary(rotary_cos, rotary_sin, q, blocks.capacity + max(len_q - len_new, 0))
        # flash_attn takes a window that is no shorter than the cache for none.
        has_window = any(0 <= width < blocks.capacity for width in window_size)
        steps_q = len_q if causal or has_window else 1
        q, k = (
            apply_rotary(x, rotary_cos, rotary_sin, _positions(lengths, steps), interleaved=rotary_interleaved)
            for x, steps in ((q, steps_q), (k, len_new))
        )

    query = with_unit_stride(q).flatten(0, 1)
    offsets = torch.arange(batch + 1, dtype=torch.int32, device=q.device) * len_q
    options = attention_options(softmax_scale, causal, window_size, softcap, alibi_slopes)
    if k is not None and v is not None:
        _check_attention(query, k_cache, v_cache, blocks.table, lengths, offsets, len_q, options)
        _append(k, v, k_cache, v_cache, blocks, lengths)
        lengths = lengths + len_new
    table = blocks.table
    if cache_leftpad is not None:
        k_cache, v_cache = (cache.flatten(0, 1).unsqueeze(1) for cache in (k_cache, v_cache))
        table = _one_token_blocks(blocks, cache_leftpad, k_cache.shape[0])
        lengths = lengths - cache_leftpad
    out, lse = fused_attention_paged(
        query, k_cache, v_cache, table, lengths, offsets, len_q, return_lse=True, **options
    )
    out = out.view(batch, len_q, *out.shape[1:])
    lse = lse.view(lse.shape[0], batch, len_q).transpose(0, 1)
    return (out, lse.contiguous()) if return_softmax_lse else out


class _Blocks(NamedTuple):
    """Where each sequence's tokens lie: token p in block ``table[b, p // block_size]``, as in a paged cache."""

    table: Tensor  # int32 [B, max_blocks]
    block_size: int
    capacity: int  # tokens of a sequence, at most


def _blocks(q: Tensor, k_cache: Tensor, cache_batch_idx: Tensor | None, block_table: Tensor | None) -> _Blocks:
    batch, block_size = q.shape[0], k_cache.shape[1]
    if block_table is not None:
        _check_index("block_table", block_table, q, (batch, block_table.shape[-1]))
        return _Blocks(block_table.contiguous(), block_size, block_table.shape[1] * block_size)
    if cache_batch_idx is None:
        if k_cache.shape[0] < batch:
            raise ValueError(
                f"{_NAME}: k_cache must have at least one row for each of q's {batch} sequences, but its shape is "
                f"{list(k_cache.shape)}: with cache_batch_idx sequences may share rows"
            )
        return _Blocks(torch.arange(batch, dtype=torch.int32, device=q.device).unsqueeze(1), block_size, block_size)
    _check_index("cache_batch_idx", cache_batch_idx, q, (batch,), maximum=k_cache.shape[0] - 1)
    return _Blocks(cache_batch_idx.contiguous().unsqueeze(1), block_size, block_size)


def _lengths(q: Tensor, cache_seqlens: int | Tensor | None, capacity: int, len_new: int) -> Tensor:
    """Return how many tokens the cache holds of each sequence, int32 [B]."""
    if isinstance(cache_seqlens, Tensor):
        _check_index("cache_seqlens", cache_seqlens, q, (q.shape[0],), maximum=capacity - len_new)
        return cache_seqlens.contiguous()
    length = capacity if cache_seqlens is None else cache_seqlens
    if not 0 <= length <= capacity - len_new:
        raise ValueError(
            f"{_NAME}: cache_seqlens must be from 0 to {capacity - len_new}, the cache's capacity less k's tokens, but was "
            f"{length}: allocate a longer cache"
        )
    return torch.full((q.shape[0],), length, dtype=torch.int32, device=q.device)


def _positions(lengths: Tensor, steps: int) -> Tensor:
    """Return the positions, int64 [B, steps], of the tokens that follow those in the cache."""
    return lengths.long().unsqueeze(1) + torch.arange(steps, device=lengths.device)


def _append(k: Tensor, v: Tensor, k_cache: Tensor, v_cache: Tensor, blocks: _Blocks, lengths: Tensor) -> None:
    """Store the new tokens at positions ``lengths``, ``lengths + 1``, ... of their sequences."""
    positions = _positions(lengths, k.shape[1])
    columns = (positions // blocks.block_size).clamp(max=blocks.table.shape[1] - 1)
    slots = blocks.table.long().gather(1, columns) * blocks.block_size + positions % blocks.block_size
    # Negative slots are skipped: those of unset blocks (-1) are, and what is beyond the capacity must be, because it would
    # overwrite another sequence's tokens.
    slots = slots.masked_fill(positions >= blocks.capacity, -1).flatten()
    if is_readable(slots) and bool((slots < 0).any()):
        raise ValueError(
            f"{_NAME}: block_table must name a block for every new token, but is negative where one of them goes: take a "
            "free block for each sequence that outgrows its last one"
        )
    keys, values = (with_unit_stride(x).flatten(0, 1) for x in (k, v))
    reshape_and_cache_(keys, values, k_cache, v_cache, slots)


def _one_token_blocks(blocks: _Blocks, leftpad: Tensor, num_rows: int) -> Tensor:
    """Return the block table, int32 [B, S], that reads a contiguous cache token by token, from behind the padding."""
    first = blocks.table * blocks.block_size + leftpad.unsqueeze(1)
    rows = first + torch.arange(blocks.capacity, dtype=torch.int32, device=leftpad.device)
    return rows.clamp(max=num_rows - 1)  # the last sequence's table would run past the cache, where no key is


def _check_presence(
    k: Tensor | None,
    v: Tensor | None,
    rotary_cos: Tensor | None,
    rotary_sin: Tensor | None,
    cache_seqlens: int | Tensor | None,
    cache_batch_idx: Tensor | None,
    cache_leftpad: Tensor | None,
    block_table: Tensor | None,
) -> None:
    """Refuse arguments that need others, or exclude them."""
    if (k is None) != (v is None):
        raise ValueError(
            f"{_NAME}: k and v must be given both or not at all, but {'v' if k is None else 'k'} was alone"
        )
    if k is not None and cache_seqlens is None:
        raise ValueError(
            f"{_NAME}: cache_seqlens must be given with k, but was None: new tokens go there, to 0 if the cache is empty"
        )
    if (rotary_cos is None) != (rotary_sin is None):
        present = "rotary_sin" if rotary_cos is None else "rotary_cos"
        raise ValueError(
            f"{_NAME}: rotary_cos and rotary_sin must be given both or not at all, but {present} was alone"
        )
    if rotary_cos is not None and k is None:
        raise ValueError(
            f"{_NAME}: k and v must be given with rotary_cos, but were None: rotate q yourself if nothing is appended"
        )
    for name, tensor in (("cache_batch_idx", cache_batch_idx), ("cache_leftpad", cache_leftpad)):
        if tensor is not None and block_table is not None:
            raise ValueError(
                f"{_NAME}: {name} must be None with block_table, but was given: block_table says where each sequence lies"
            )


def _refuse_gradients(inputs: dict[str, Tensor | None]) -> None:
    """Refuse what the operators would refuse, but before the cache is written."""
    for name, tensor in inputs.items():
        if tensor is not None and tensor.requires_grad and torch.is_grad_enabled():
            raise RuntimeError(
                f"{_NAME}: {name} requires grad, but the operators are forward only: wrap the call in torch.no_grad()"
            )


def _check_shapes(q: Tensor, k_cache: Tensor, v_cache: Tensor, k: Tensor | None, v: Tensor | None) -> None:
    for name, tensor, shape in (
        ("q", q, "[B, Lq, Hq, D]"),
        ("k_cache", k_cache, "[rows or blocks, tokens, Hkv, D]"),
        ("v_cache", v_cache, "[rows or blocks, tokens, Hkv, D]"),
        ("k", k, "[B, Lnew, Hkv, D]"),
        ("v", v, "[B, Lnew, Hkv, D]"),
    ):
        if tensor is not None and tensor.dim() != 4:
            raise ValueError(f"{_NAME}: {name} must be {shape}, but its shape is {list(tensor.shape)}")
    if k is not None and v is not None and (k.shape != v.shape or k.shape[0] != q.shape[0]):
        raise ValueError(
            f"{_NAME}: k and v must have the same shape, and q's batch size {q.shape[0]}, but their shapes are "
            f"{list(k.shape)} and {list(v.shape)}"
        )


def _check_index(name: str, tensor: Tensor, q: Tensor, shape: tuple[int, ...], maximum: int | None = None) -> None:
    """Refuse what is not int32 of this shape on q's device; and entries outside of [0, maximum], if they are readable."""
    if tensor.dtype != torch.int32 or tensor.shape != shape or tensor.device != q.device:
        raise ValueError(
            f"{_NAME}: {name} must be int32 {list(shape)} on q's device, {q.device}, but is {tensor.dtype} "
            f"{list(tensor.shape)} on {tensor.device}: convert it with .to(device, torch.int32)"
        )
    if maximum is not None and tensor.numel() and is_readable(tensor):
        smallest, largest = (int(x) for x in tensor.aminmax())
        if smallest < 0 or largest > maximum:
            raise ValueError(
                f"{_NAME}: {name}'s entries must be from 0 to {maximum}, but are from {smallest} to {largest}: {maximum} is "
                "what k_cache's shape (and the tokens of k) leave room for"
            )


def _check_leftpad(cache_leftpad: Tensor, q: Tensor, lengths: Tensor) -> None:
    _check_index("cache_leftpad", cache_leftpad, q, (q.shape[0],))
    if is_readable(cache_leftpad) and bool(((cache_leftpad < 0) | (cache_leftpad > lengths)).any()):
        raise ValueError(
            f"{_NAME}: cache_leftpad's entries must be from 0 to the sequences' lengths {lengths.tolist()}, k's tokens "
            f"included, but are {cache_leftpad.tolist()}"
        )


def _check_rotary(rotary_cos: Tensor, rotary_sin: Tensor, q: Tensor, num_positions: int) -> None:
    fits = rotary_cos.dim() == 2 and rotary_cos.shape == rotary_sin.shape and rotary_cos.shape[0] >= num_positions
    if not fits or 2 * rotary_cos.shape[1] > q.shape[3]:
        raise ValueError(
            f"{_NAME}: rotary_cos and rotary_sin must be [num_positions, rotary_dim / 2], num_positions at least "
            f"{num_positions}, the cache's capacity and what q has more tokens than k, and rotary_dim at most "
            f"{q.shape[3]}, but their shapes are {list(rotary_cos.shape)} and {list(rotary_sin.shape)}"
        )


def _check_attention(
    query: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    table: Tensor,
    lengths: Tensor,
    offsets: Tensor,
    len_q: int,
    options: AttentionOptions,
) -> None:
    """Run the operator's own checks before the cache is written; a compiler runs all of them while it traces."""
    if not torch.compiler.is_compiling():
        names = ("is_causal", "scale", "alibi_slopes", "window_left", "window_right", "softcap")
        in_order = [options[name] for name in names]  # type: ignore[literal-required]
        _C.check_paged_forward(query, k_cache, v_cache, table, lengths, offsets, len_q, *in_order, None)
