"""Continuous batching (``generate_batch``) on the paged operators, in transformers' own paged cache.

That cache is [num_pages, page_size, Hkv, D] for each layer, which is the operators' layout: new keys and values are
written with :func:`~torch_fused_attn.reshape_and_cache_`, and attention reads them where they lie. (transformers' own
update copies every request's keys and values out of the cache, in each layer of each step.)

Layers with a sliding window keep a ring of the last ``sliding_window`` tokens for each request. A step of one token for
each request reads that ring in place, too. In a step with longer chunks, new tokens overwrite some that the chunk still
sees; only there a copy is made, of at most ``sliding_window - 1`` tokens a request and the new ones.
"""

import functools
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from torch_fused_attn import _stock
from torch_fused_attn.cache_ops import reshape_and_cache_
from torch_fused_attn.integrations.transformers.attention import NAME, PAGED_KEYS, PagedKeys
from torch_fused_attn.integrations.transformers.model_support import MaskKind, mask_kind

# Block tables by the read indices that they stand for: all layers of one kind share them within a step.
_block_tables: Any = WeakTensorKeyDictionary()


def install(without_cache_arguments: frozenset[type]) -> None:
    """Let ``generate_batch`` accept ``"fused_attn"``, and its paged cache serve our operators.

    Args:
        without_cache_arguments: configuration classes of models that do not pass the arguments which a paged cache needs.
    """
    api: Any = import_module("transformers.generation.continuous_batching.continuous_api")
    cache_class: Any = import_module("transformers.generation.continuous_batching.cache").PagedAttentionCache
    choose, resolve, update = (
        api.ContinuousBatchingManager.switch_to_cb_friendly_attn,
        api.resolve_continuous_batching_config,
        cache_class.update,
    )

    @functools.wraps(choose)
    def keep_fused_attention(self: Any, model: Any, *args: Any, **keywords: Any) -> None:
        if model.config._attn_implementation != NAME:
            choose(self, model, *args, **keywords)
        else:
            _check_model(type(model).__name__, type(model.config.get_text_config()), without_cache_arguments)

    @functools.wraps(resolve)
    def refuse_padding(config: Any, *args: Any, **keywords: Any) -> Any:
        resolved = resolve(config, *args, **keywords)
        if config._attn_implementation == NAME:
            _check_no_padding(resolved)
        return resolved

    @functools.wraps(update)
    def fused_update(
        self: Any, key_states: Tensor, value_states: Tensor, layer_idx: int, kwargs: dict[str, Any]
    ) -> Any:
        if self.config._attn_implementation != NAME:
            return update(self, key_states, value_states, layer_idx, kwargs)
        return _update(self.layer_to_allocator[layer_idx], key_states, value_states, layer_idx, kwargs)

    api.ContinuousBatchingManager.switch_to_cb_friendly_attn = keep_fused_attention
    api.resolve_continuous_batching_config = refuse_padding
    cache_class.update = torch.compiler.disable(fused_update)  # type: ignore[no-untyped-call]


def _check_model(name: str, config_class: type, without_cache_arguments: frozenset[type]) -> None:
    """Refuse a model that hides keys by masks, since there are none in a continuous batch, or that cannot use the cache."""
    if mask_kind(config_class) != MaskKind.RULES or config_class in without_cache_arguments:
        raise ValueError(
            f"fused_attn: {name} cannot be batched continuously with fused attention, because it does not pass its "
            'attention all that a paged cache needs: use generate(), or attn_implementation="paged|eager"'
        )


def _check_no_padding(resolved: Any) -> None:
    if resolved.varlen_compile_config is not None or any(resolved.cuda_graph_booleans):
        raise ValueError(
            "fused_attn: continuous batching must run without torch.compile and without device graphs, because both pad "
            "the batch with tokens of no sequence: set default_compile_level=0 and use_cuda_graph=False"
        )


def _update(
    allocator: Any, key_states: Tensor, value_states: Tensor, layer_idx: int, kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Store the new tokens of a layer, and note in ``kwargs`` where its attention finds all of them.

    Args:
        allocator: transformers' manager of this layer's part of the cache.
        key_states: [1, Hkv, T, D], the new tokens of all requests, one after another.
        value_states: as key_states.
        layer_idx: the layer.
        kwargs: the keywords of the layer's attention function; changed in place.

    Returns:
        Keys and values, as transformers' own update does: those that attention reads if it does not read the cache.
    """
    kwargs["cu_seq_lens_k"] = kwargs["cu_seq_lens_k"][allocator.layer_type].to(torch.int32)
    kwargs["max_length_k"] = kwargs["max_length_k"][allocator.layer_type]
    read_index = kwargs["read_index"][allocator.index]
    write_index = kwargs["write_index"][allocator.index]
    is_ring = allocator.layer_type == "sliding_attention"
    key, value = (x[0].transpose(0, 1) for x in (key_states, value_states))

    if is_ring and read_index.numel() > 0 and kwargs["max_length_q"] > 1:
        key, value = allocator.update(key, value, layer_idx, read_index, write_index)
        return key.transpose(0, 1)[None], value.transpose(0, 1)[None]

    # Both have the pages of all layers and of keys and values alike, shifted to start at this layer's first one.
    key_cache, value_cache = allocator._kv_page_views[layer_idx]
    _stock.fused_or_stock(
        reshape_and_cache_, _stock.reshape_and_cache_, key, value, key_cache, value_cache, write_index
    )
    if read_index.numel() > 0:
        if is_ring:
            # Position p is at place p % sliding_window, and no page but the first begins at a known one: pages of one token.
            key_cache, value_cache = (cache.flatten(0, 1)[:, None] for cache in (key_cache, value_cache))
        table = _block_tables.get(read_index)
        if table is None:
            table = _block_table(read_index, write_index, kwargs, key_cache.shape[1], is_ring)
            _block_tables[read_index] = table
        kwargs[PAGED_KEYS] = PagedKeys(key_cache, value_cache, table, kwargs["cu_seq_lens_k"].diff())
    return key_states, value_states


def _block_table(
    read_index: Tensor, write_index: Tensor, kwargs: dict[str, Any], block_size: int, is_ring: bool
) -> Tensor:
    """Return the block table int32 [B, max_blocks] of the tokens at ``read_index``, in the order of their positions."""
    ends = kwargs["cu_seq_lens_k"].long()
    if is_ring:
        # The one new token of each request has no place in read_index yet.
        read_index = read_index.clone()
        read_index[ends[1:] - 1] = write_index
    num_blocks = -(-kwargs["max_length_k"] // block_size)
    firsts = ends[:-1, None] + torch.arange(num_blocks, device=ends.device) * block_size
    is_used = firsts < ends[1:, None]
    blocks = read_index[firsts.clamp(max=read_index.numel() - 1)] // block_size
    return blocks.masked_fill(~is_used, -1).to(torch.int32)
