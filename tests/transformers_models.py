"""Tiny models of the architectures that ``attn_implementation="fused_attn"`` is tested with.

The weights are random, but large, so that attention is far from uniform and a wrong mask shows.
"""

import copy
import os
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from torch import Tensor, nn

from torch_fused_attn.integrations.transformers import register

register()
transformers.logging.set_verbosity_error()

VOCABULARY = 97
PADDING = 0
WINDOW = 5
DECODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 128,
    "pad_token_id": PADDING,
    "bos_token_id": 1,
    "eos_token_id": None,
}
ENCODER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
ENCODER_DECODER = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "pad_token_id": PADDING,
    "bos_token_id": 1,
    "eos_token_id": None,
    "decoder_start_token_id": 1,
}


class Architecture(NamedTuple):
    """A model class, a tiny configuration for it, and how many attention calls one forward pass makes."""

    model: str
    config: str
    options: dict[str, Any]
    num_attentions: int = 2


DECODERS = {
    "Llama": Architecture("LlamaForCausalLM", "LlamaConfig", DECODER),
    "Qwen3": Architecture("Qwen3ForCausalLM", "Qwen3Config", DECODER),
    "Mistral": Architecture("MistralForCausalLM", "MistralConfig", DECODER | {"sliding_window": WINDOW}),
    "Gemma 2": Architecture(
        "Gemma2ForCausalLM",
        "Gemma2Config",
        DECODER | {"sliding_window": WINDOW, "attn_logit_softcapping": 5.0, "query_pre_attn_scalar": 16},
    ),
    "Gemma 3": Architecture(
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        DECODER
        | {
            "sliding_window": WINDOW,
            "query_pre_attn_scalar": 16,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "gpt-oss": Architecture(
        "GptOssForCausalLM",
        "GptOssConfig",
        DECODER
        | EXPERTS
        | {"sliding_window": WINDOW, "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}},
    ),
    "Phi": Architecture("PhiForCausalLM", "PhiConfig", DECODER | {"num_key_value_heads": 4}),
    "GPT-2": Architecture(
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "eos_token_id": None},
    ),
    # ALiBi, for a number of heads that is no power of two.
    "BLOOM": Architecture(
        "BloomForCausalLM",
        "BloomConfig",
        {"vocab_size": VOCABULARY, "hidden_size": 48, "n_layer": 2, "n_head": 6, "eos_token_id": None},
    ),
    # Values are narrower than keys.
    "DeepSeek-V3": Architecture(
        "DeepseekV3ForCausalLM",
        "DeepseekV3Config",
        {name: value for name, value in DECODER.items() if name != "head_dim"}
        | {
            "num_key_value_heads": 4,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 12,
            "first_k_dense_replace": 2,
        },
    ),
    # Its window is in the mask alone.
    "Qwen2-MoE": Architecture(
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        DECODER
        | {
            "use_sliding_window": True,
            "sliding_window": WINDOW,
            "max_window_layers": 1,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    # Its keys are hidden by chunks, which are no window.
    "Llama 4": Architecture(
        "Llama4ForCausalLM",
        "Llama4TextConfig",
        DECODER
        | EXPERTS
        | {
            "intermediate_size_mlp": 48,
            "attention_chunk_size": WINDOW,
            "layer_types": ["chunked_attention", "full_attention"],
        },
    ),
}
TEXT_ENCODERS = {
    "BERT": Architecture("BertModel", "BertConfig", ENCODER | {"vocab_size": VOCABULARY}),
    "ModernBERT": Architecture(
        "ModernBertModel",
        "ModernBertConfig",
        ENCODER
        | {
            "vocab_size": VOCABULARY,
            "pad_token_id": PADDING,
            "local_attention": 6,
            "layer_types": ["full_attention", "sliding_attention"],
        },
    ),
}
OTHERS = {
    "ViT": Architecture("ViTModel", "ViTConfig", ENCODER | {"image_size": 24, "patch_size": 8}),
    "CLIP": Architecture(
        "CLIPModel",
        "CLIPConfig",
        {
            "text_config": ENCODER | {"vocab_size": VOCABULARY, "max_position_embeddings": 32, "eos_token_id": 2},
            "vision_config": ENCODER | {"image_size": 24, "patch_size": 8},
        },
        num_attentions=4,
    ),
    "T5": Architecture(
        "T5ForConditionalGeneration",
        "T5Config",
        {
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "pad_token_id": PADDING,
            "eos_token_id": None,
            "decoder_start_token_id": 1,
        },
        num_attentions=6,
    ),
    "BART": Architecture(
        "BartForConditionalGeneration",
        "BartConfig",
        ENCODER_DECODER | {"max_position_embeddings": 64, "forced_eos_token_id": None},
        num_attentions=6,
    ),
    "Whisper": Architecture(
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        ENCODER_DECODER
        | {"num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 64, "begin_suppress_tokens": None},
        num_attentions=6,
    ),
}
ARCHITECTURES = DECODERS | TEXT_ENCODERS | OTHERS


def build(
    name: str, implementation: str | dict[str, str] = "fused_attn", *, experts: str = "eager", **options: Any
) -> nn.Module:
    """Return a model of an architecture on the CPU, in fp32: the same weights in every call.

    Args:
        name: the architecture.
        implementation: of the attention, or of each part's.
        experts: implementation of a mixture of experts; transformers' default does not take float64.
        **options: of the configuration.
    """
    architecture = ARCHITECTURES[name]
    config = getattr(transformers, architecture.config)(**(copy.deepcopy(architecture.options) | options))
    model_class = getattr(transformers, architecture.model)
    model = model_class._from_config(config, attn_implementation=implementation, experts_implementation=experts)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.2, generator=generator)
    return model.eval()


def token_ids(batch_size: int, length: int) -> Tensor:
    """Return random tokens, none of which is padding."""
    return torch.randint(3, VOCABULARY, (batch_size, length))


def padded(lengths: tuple[int, ...], side: str) -> tuple[Tensor, Tensor]:
    """Return tokens of a batch of sequences of these lengths, padded on the left or right, and the mask of the real ones."""
    columns = torch.arange(max(lengths))
    ends = torch.tensor(lengths)[:, None]
    mask = columns >= max(lengths) - ends if side == "left" else columns < ends
    ids = token_ids(len(lengths), max(lengths)).masked_fill(~mask, PADDING)
    return ids, mask.long()


def inputs_of(name: str, padding: str = "none") -> tuple[dict[str, Tensor], Tensor]:
    """Return a forward pass's inputs and which positions of its first output count, bool [B, L].

    Args:
        name: the architecture.
        padding: "none", "left" or "right", of the text; of what is attended to where a model has an encoder.
    """
    ids, mask = (token_ids(2, 11), None) if padding == "none" else padded((11, 7, 1), padding)
    text = {"input_ids": ids} if mask is None else {"input_ids": ids, "attention_mask": mask}
    batch_size = ids.shape[0]
    if name in DECODERS or name in TEXT_ENCODERS:
        return text, torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    if name == "ViT":
        return {"pixel_values": torch.randn(2, 3, 24, 24)}, torch.ones(2, 10, dtype=torch.bool)
    if name == "CLIP":
        return text | {"pixel_values": torch.randn(batch_size, 3, 24, 24)}, torch.ones(batch_size, batch_size).bool()
    if name == "Whisper":
        text = {"input_features": torch.randn(batch_size, 8, 40)}
    return text | {"decoder_input_ids": token_ids(batch_size, 6)}, torch.ones(batch_size, 6, dtype=torch.bool)
