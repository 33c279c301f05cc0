"""The mask function of ``attn_implementation="fused_attn"``: what is causal, sliding or padded is not written out.

A mask of [Lq, Lkv] is made only for patterns that the operators have no rule for, and for models that cannot be
trusted with the rules (:mod:`~torch_fused_attn.integrations.transformers.model_support` says which). What is
returned otherwise is described in :mod:`~torch_fused_attn.integrations.transformers.attention`.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from torch_fused_attn.integrations.transformers.model_support import MaskKind, mask_kind

_masking_utils = import_module("transformers.masking_utils")
_is_tracing = import_module("transformers.utils.import_utils").is_tracing


def fused_attention_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any] = _masking_utils.causal_mask_function,
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    use_vmap: bool = False,
    config: Any = None,
    **keywords: Any,
) -> Tensor | None:
    """Return the attention mask of a model's layers of one kind, as transformers' ``AttentionMaskInterface`` asks for it.

    Args:
        batch_size: B.
        q_length: number of new tokens, Lq.
        kv_length: number of keys that the cache will return, Lkv, a static cache's free places included.
        q_offset: position of the first new token; a tensor with a static cache.
        kv_offset: position of the first of those keys, above 0 once a sliding window's cache has dropped some.
        mask_function: which keys a query sees, as a function of indices, without padding.
        attention_mask: bool [B, >= keys so far], False for padding.
        local_size: size of the sliding window or chunk, if any.
        allow_is_causal_skip: the function is causal, or causal within ``local_size``, and nothing else.
        allow_is_bidirectional_skip: likewise not causal.
        use_vmap: the function may be the user's.
        config: the model's.
        **keywords: what else transformers' own mask functions take.

    Returns:
        None, [B, Lkv], [N + 1] or [B, 1, Lq, Lkv]: the attention function says what they mean.
    """
    written_out = {
        "batch_size": batch_size,
        "q_length": q_length,
        "kv_length": kv_length,
        "q_offset": q_offset,
        "kv_offset": kv_offset,
        "mask_function": mask_function,
        "attention_mask": attention_mask,
        "use_vmap": use_vmap,
        "allow_is_causal_skip": False,
        "allow_is_bidirectional_skip": False,
        **keywords,
    }
    kind = mask_kind(type(config))
    if kind == MaskKind.ADDITIVE:
        mask: Tensor = _masking_utils.eager_mask(**written_out)
        return mask
    if kind == MaskKind.RULES:
        if allow_is_bidirectional_skip and (local_size is None or kv_length <= local_size):
            return _key_mask(attention_mask, kv_offset, kv_length, kv_length)
        if allow_is_causal_skip and not _is_chunked(config, local_size, kv_length + kv_offset):
            # A static cache's offset is a tensor, which cannot be read while the graph is traced.
            if not (isinstance(q_offset, Tensor) and _is_tracing(q_offset)):
                num_keys = int(q_offset) + q_length - kv_offset
                if num_keys <= kv_length:
                    return _key_mask(attention_mask, kv_offset, num_keys, kv_length, batch_size, keywords["device"])
        elif attention_mask is None and not use_vmap and not _is_tracing():
            offsets = _packed_offsets(mask_function)
            if offsets is not None:
                return offsets
    mask = _masking_utils.sdpa_mask(**written_out)
    return mask


def _key_mask(
    padding_mask: Tensor | None,
    kv_offset: int,
    num_keys: int,
    kv_length: int,
    batch_size: int = 1,
    device: torch.device | None = None,
) -> Tensor | None:
    """Return the [B, num_keys] mask of the keys that exist, or None where those are all that the cache returns."""
    if padding_mask is not None:
        missing = kv_offset + num_keys - padding_mask.shape[1]
        if missing > 0:
            padding_mask = torch.nn.functional.pad(padding_mask, (0, missing))
        padding_mask = padding_mask[:, kv_offset : kv_offset + num_keys]
        # What the mask holds cannot be read while the graph is traced.
        if _is_tracing(padding_mask) or not bool(padding_mask.all()):
            return padding_mask
    if num_keys == kv_length:
        return None
    return torch.ones((batch_size, num_keys), dtype=torch.bool, device=device)


def _is_chunked(config: Any, local_size: int | None, end: int) -> bool:
    """Say whether keys may be hidden by chunks of the sequence, which are not the operators' windows."""
    return local_size is not None and getattr(config, "attention_chunk_size", None) is not None and end > local_size


def _packed_offsets(mask_function: Callable[..., Any]) -> Tensor | None:
    """Return the offsets of the sequences that a mask function keeps apart, if they are causal or sliding in themselves.

    transformers builds such a function from positions that start anew in the middle of a row; the sequence that a token
    belongs to is found in its closure. A function of any other make is not recognised.
    """
    parts = _joined(mask_function)
    if [name for name, _ in parts] != ["remap_positions_for_packed_sequence", "packed_sequence_mask_function"]:
        return None
    within = parts[0][1]["mask_function"]
    sliding = [name for name, _ in _joined(within)] == ["sliding_window_overlay", "causal_mask_function"]
    if not sliding and _maker(within)[0] != "causal_mask_function":
        return None
    sequence_ids: Tensor = parts[1][1]["packed_sequence_mask"]
    starts = torch.ones_like(sequence_ids, dtype=torch.bool)
    starts[:, 1:] = sequence_ids[:, 1:] != sequence_ids[:, :-1]
    offsets = starts.flatten().nonzero().flatten()
    return torch.nn.functional.pad(offsets, (0, 1), value=sequence_ids.numel()).to(torch.int32)


def _maker(function: Callable[..., Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of the function that made a mask function, or its own, and what it captured."""
    if not inspect.isfunction(function):
        return "", {}
    return function.__qualname__.split(".")[0], dict(inspect.getclosurevars(function).nonlocals)


def _joined(function: Callable[..., Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the makers of the mask functions whose intersection a mask function is."""
    name, captured = _maker(function)
    return [_maker(part) for part in captured["mask_functions"]] if name == "and_masks" else []
