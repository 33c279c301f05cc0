"""BLOOM, whose attention does not go through transformers' AttentionInterface, on the fused operators with ALiBi."""

import functools
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from torch_fused_attn.functional import alibi_slopes
from torch_fused_attn.integrations.transformers.attention import NAME, fused_attention_forward


def install() -> type:
    """Let ``BloomAttention`` use the operators where ``attn_implementation="fused_attn"``; return BLOOM's config class."""
    modeling = import_module("transformers.models.bloom.modeling_bloom")
    attention = modeling.BloomAttention
    create, eager = attention.__init__, attention.forward

    @functools.wraps(create)
    def create_with_config(self: Any, config: Any, *args: Any, **keywords: Any) -> None:
        create(self, config, *args, **keywords)
        self.config = config

    @functools.wraps(eager)
    def forward(self: Any, hidden_states: Tensor, residual: Tensor, alibi: Tensor, *args: Any, **keywords: Any) -> Any:
        is_fused = hasattr(self, "config") and self.config._attn_implementation == NAME
        return (_fused_forward if is_fused else eager)(self, hidden_states, residual, alibi, *args, **keywords)

    attention.__init__ = create_with_config
    attention.forward = forward
    config_class: type = import_module("transformers.models.bloom.configuration_bloom").BloomConfig
    return config_class


def _fused_forward(
    self: Any,
    hidden_states: Tensor,
    residual: Tensor,
    alibi: Tensor,
    attention_mask: Tensor | None,
    layer_past: Any = None,
    use_cache: bool = False,
    output_attentions: bool = False,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Do what ``BloomAttention.forward`` does; ``alibi`` is its own [B * H, 1, Lkv].

    Without a mask the biases are those of the paper, which the operators compute from the slopes. A padding mask makes
    BLOOM count only the tokens that take part, so that the biases must be added as they are: still one number a key.
    """
    if self.pretraining_tp > 1 and self.slow_but_exact:
        raise ValueError(
            "fused_attn: BLOOM's slow_but_exact must be False, but was True: load the model with "
            'attn_implementation="eager" for it'
        )
    query, key, value = self._reshape(self.query_key_value(hidden_states))
    if layer_past is not None:
        key, value = layer_past.update(key, value, self.layer_idx)
    batch_size, num_heads = query.shape[:2]
    context, _ = fused_attention_forward(
        self,
        query,
        key,
        value,
        attention_mask,
        dropout=self.attention_dropout.p if self.training else 0.0,
        scaling=self.inv_norm_factor,
        is_causal=True,
        alibi_slopes=_slopes(num_heads, query.device) if attention_mask is None else None,
        position_bias=None if attention_mask is None else alibi.view(batch_size, num_heads, 1, -1),
        output_attentions=output_attentions,
    )
    output = self.dense(context.flatten(2))
    return residual + nn.functional.dropout(output, self.hidden_dropout, self.training), None


@functools.cache
def _slopes(num_heads: int, device: torch.device) -> Tensor:
    """Return ALiBi's slopes, which are the same in every layer and step."""
    return alibi_slopes(num_heads, device=device)
