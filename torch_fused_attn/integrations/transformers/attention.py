"""The attention function of ``attn_implementation="fused_attn"``: transformers' arguments become the operators'.

What the attention mask may be is agreed with :mod:`~torch_fused_attn.integrations.transformers.masks`:

=====================  ================================================================================================
None                   only the rules: ``is_causal`` and ``sliding_window``
[B, Lkv], bool         the rules, and True where a key takes part; shorter than the keys where a static cache has room left
[N + 1], int32         the batch is N packed sequences, whose offsets these are; the rules hold in each of them
[B, 1 or H, Lq, Lkv]   everything that is hidden, bool or added to the scores; no rule holds besides
=====================  ================================================================================================
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torch_fused_attn import _stock
from torch_fused_attn._stock import fused_or_stock
from torch_fused_attn._tensors import with_unit_stride
from torch_fused_attn.functional import (
    AttentionOptions,
    fused_attention,
    fused_attention_paged,
    fused_attention_varlen,
)

NAME = "fused_attn"

# The keyword with which the paged cache's update hands the attention function what it needs.
PAGED_KEYS = "fused_attn_paged_keys"

# Keywords that some models give their attention and that change its result, but have no counterpart in the operators.
_UNSUPPORTED = {
    "block_table": "a block table of transformers' decode fast path",
    "block_indices": "a selection of key blocks for each query",
    "indices": "a selection of keys for each query",
    "sinks": "attention sinks that differ from query to query",
}


class PagedKeys(NamedTuple):
    """The keys and values that the sequences of a continuous batch see, as :func:`fused_attention_paged` takes them.

    Attributes:
        key_cache: [num_blocks, block_size, Hkv, D], a view of transformers' own cache.
        value_cache: as key_cache.
        block_table: int32 [B, max_blocks], padded with -1.
        seqused_k: int32 [B].
    """

    key_cache: Tensor
    value_cache: Tensor
    block_table: Tensor
    seqused_k: Tensor


def fused_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    alibi_slopes: Tensor | None = None,
    cu_seq_lens_q: Tensor | None = None,
    cu_seq_lens_k: Tensor | None = None,
    max_length_q: int | None = None,
    max_length_k: int | None = None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Attend, as transformers' ``AttentionInterface`` asks for it.

    Calls of a kernel that Metal refuses are computed by stock PyTorch, with a warning once; only compiled code raises then.

    Args:
        module: the attention layer; its ``is_causal`` counts where the argument is None.
        query: [B, Hq, Lq, D], fp32, fp16 or bf16; copied if its last dimension is strided, as key and value are.
        key: [B, Hkv, Lkv, D]; Hq a multiple of Hkv.
        value: [B, Hkv, Lkv, Dv].
        attention_mask: see above.
        dropout: must be 0.
        scaling: factor on query·key; default 1/sqrt(D).
        sliding_window: keys that a query sees, itself included; with ``is_causal=False`` as many on either side of it.
        softcap: soft limit of the scores' magnitude; default none.
        is_causal: hide the keys after each query's position; the last query stands at the last key.
        s_aux: [Hq], attention sinks, fp32 or query's dtype.
        position_bias: [1 or B, Hq, Lq, Lkv], added to the scores.
        alibi_slopes: fp32 [Hq], for models with ALiBi; see :func:`torch_fused_attn.alibi_slopes`.
        cu_seq_lens_q: int [N + 1], offsets of the sequences that are packed in [B, L] tokens.
        cu_seq_lens_k: likewise for the keys; default cu_seq_lens_q.
        max_length_q: the longest sequence; default L.
        max_length_k: likewise for the keys.
        **keywords: whatever else the model forwards.

    Returns:
        out [B, Lq, Hq, Dv], contiguous, and None in place of the attention weights, which never exist.

    Raises:
        ValueError: the model needs dropout, the attention weights, or anything else that the operators do not have.
        RuntimeError: the operator refuses an argument (the message names it), for instance a tensor that requires grad.
    """
    _refuse_unsupported(dropout, keywords)
    query, key, value = (with_unit_stride(x) for x in (query, key, value))
    if is_causal is None:
        is_causal = bool(getattr(module, "is_causal", False))
    options: AttentionOptions = {
        "is_causal": is_causal,
        "scale": scaling,
        "alibi_slopes": alibi_slopes,
        "softcap": softcap or 0.0,
        "sinks": s_aux,
    }
    if sliding_window is not None:  # counts the query's own key, which the operators do not
        options["window_left"] = options["window_right"] = sliding_window - 1
    if cu_seq_lens_q is None and attention_mask is not None and attention_mask.dim() == 1:
        cu_seq_lens_q = attention_mask
    if cu_seq_lens_q is None:
        out = _dense(query, key, value, attention_mask, position_bias, options)
        return out.transpose(1, 2).contiguous(), None

    _refuse_beside_offsets(attention_mask, position_bias)
    offsets_q = cu_seq_lens_q.to(torch.int32)
    max_q = query.shape[2] if max_length_q is None else _as_int(max_length_q)
    paged_keys: PagedKeys | None = keywords.get(PAGED_KEYS)
    if paged_keys is not None:
        call = (_packed(query), *paged_keys, offsets_q, max_q)
        out = fused_or_stock(fused_attention_paged, _stock.attention_paged, *call, **options)
    else:
        offsets_k = offsets_q if cu_seq_lens_k is None else cu_seq_lens_k.to(torch.int32)
        max_k = key.shape[2] if max_length_k is None else _as_int(max_length_k)
        tokens = _packed(query), _packed(key), _packed(value)
        lengths = offsets_q, offsets_k, max_q, max_k
        out = fused_or_stock(fused_attention_varlen, _stock.attention_varlen, *tokens, *lengths, **options)
    batch_size, num_heads, length, _ = query.shape
    return out.view(batch_size, length, num_heads, -1), None


def _refuse_unsupported(dropout: float, keywords: dict[str, Any]) -> None:
    if dropout:
        raise ValueError(
            f"fused_attn: dropout must be 0, but was {dropout}: the operators are for inference, call model.eval()"
        )
    if keywords.get("output_attentions"):
        raise ValueError(
            "fused_attn: output_attentions must be False, but was True: fused attention never has the attention weights, "
            'load the model with attn_implementation="eager" for them'
        )
    for name, meaning in _UNSUPPORTED.items():
        if keywords.get(name) is not None:
            raise ValueError(
                f"fused_attn: the model passes {name} ({meaning}), which the operators do not have: "
                'load it with attn_implementation="eager"'
            )


def _refuse_beside_offsets(attention_mask: Tensor | None, position_bias: Tensor | None) -> None:
    for name, tensor in (("attention_mask", attention_mask), ("position_bias", position_bias)):
        # One dimension: the offsets that the mask function found in the positions, which the model's own supersede.
        if tensor is not None and tensor.dim() != 1:
            raise ValueError(
                f"fused_attn: {name} must be None where cu_seq_lens_q is given, but has shape {list(tensor.shape)}: "
                "packed sequences are told apart by their offsets alone"
            )


def _dense(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    position_bias: Tensor | None,
    options: AttentionOptions,
) -> Tensor:
    if attention_mask is not None and attention_mask.dim() == 4:
        options = {**options, "is_causal": False, "window_left": -1, "window_right": -1}
    elif attention_mask is not None:
        if attention_mask.dim() != 2:
            raise ValueError(
                "fused_attn: attention_mask must be [B, Lkv] or [B, 1 or H, Lq, Lkv], but has shape "
                f"{list(attention_mask.shape)}"
            )
        num_keys = attention_mask.shape[1]
        if num_keys != key.shape[2]:
            key, value = key[:, :, :num_keys], value[:, :, :num_keys]
        attention_mask = attention_mask[:, None, None, :]
    if position_bias is not None:
        attention_mask = _biased(position_bias[..., : key.shape[2]], attention_mask)
    return fused_or_stock(fused_attention, _stock.attention, query, key, value, attn_mask=attention_mask, **options)


def _biased(position_bias: Tensor, mask: Tensor | None) -> Tensor:
    """Return the one additive mask that bias and mask make together."""
    if mask is None:
        return position_bias
    if mask.dtype == torch.bool:
        return torch.where(mask, position_bias, -torch.inf)
    return position_bias + mask


def _packed(tokens: Tensor) -> Tensor:
    """Return [B, H, L, D] as [B * L, H, D]: a view of what a projection [B, L, H, D] was transposed from."""
    return tokens.transpose(1, 2).flatten(0, 1)


def _as_int(length: int | Tensor) -> int:
    """Return a length, which some models compute as a tensor, as a number."""
    return int(length.item()) if isinstance(length, Tensor) else length
