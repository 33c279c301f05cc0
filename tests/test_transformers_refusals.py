"""What ``attn_implementation="fused_attn"`` refuses, and how importing and registering behave."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers_models import DECODER, build, token_ids

from torch_fused_attn.integrations.transformers import registration
from torch_fused_attn.integrations.transformers.attention import fused_attention_forward
from torch_fused_attn.integrations.transformers.model_support import MaskKind, mask_kind


class Layer(nn.Module):
    is_causal = True


def attend(**keywords: object) -> torch.Tensor:
    query = torch.randn(1, 2, 4, 8)
    return fused_attention_forward(Layer(), query, query, query, keywords.pop("attention_mask", None), **keywords)[0]


OFFSETS = {"cu_seq_lens_q": torch.tensor([0, 4], dtype=torch.int32)}
REFUSED = {
    "dropout must be 0, but was 0.1: .* call model.eval": {"dropout": 0.1},
    "output_attentions must be False, but was True: .*eager": {"output_attentions": True},
    "passes sinks .attention sinks that differ from query to query.*eager": {"sinks": torch.zeros(1, 2, 4, 1)},
    "passes indices .a selection of keys for each query.*eager": {"indices": torch.zeros(1, 4, 2)},
    "passes block_indices .a selection of key blocks for each query.*eager": {"block_indices": torch.zeros(1, 1, 4, 2)},
    "passes block_table .*eager": {"block_table": torch.zeros(1, 1)},
    r"attention_mask must be None where cu_seq_lens_q is given, but has shape \[1, 4\]": {
        "attention_mask": torch.ones(1, 4, dtype=torch.bool),
        **OFFSETS,
    },
    r"position_bias must be None where cu_seq_lens_q is given, but has shape \[1, 2, 4, 4\]": {
        "position_bias": torch.zeros(1, 2, 4, 4),
        **OFFSETS,
    },
    r"attention_mask must be \[B, Lkv\] or \[B, 1 or H, Lq, Lkv\], but has shape \[1, 4, 4\]": {
        "attention_mask": torch.ones(1, 4, 4, dtype=torch.bool)
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_the_operators_do_not_have_is_named(message: str) -> None:
    with pytest.raises(ValueError, match=f"^fused_attn: .*{message}"):
        attend(**REFUSED[message])


def test_nothing_unsupported_is_nothing_to_refuse() -> None:
    attend(dropout=0.0, output_attentions=False, sinks=None, block_table=None, use_cache=True, position_ids=None)


def test_gradients_are_refused_by_the_operator() -> None:
    with torch.enable_grad(), pytest.raises(RuntimeError, match="no_grad"):
        build("Llama")(token_ids(1, 4))


def test_training_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^fused_attn: dropout must be 0, but was 0\.1"):
        build("BERT", attention_probs_dropout_prob=0.1).train()(token_ids(1, 4))


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("MptForCausalLM", "MptConfig"),
        ("FalconForCausalLM", "FalconConfig"),
        ("DebertaV2Model", "DebertaV2Config"),
    ],
)
def test_models_that_would_ignore_the_function_are_refused(model: str, config: str) -> None:
    tiny = getattr(transformers, config)(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=8)
    with pytest.raises(ValueError, match=f"^fused_attn: {model} computes its attention itself.*eager"):
        getattr(transformers, model)._from_config(tiny, attn_implementation="fused_attn")
    getattr(transformers, model)._from_config(tiny, attn_implementation="eager")


def test_a_loaded_model_that_would_ignore_the_function_keeps_its_own() -> None:
    """It is only logged, by transformers."""
    tiny = transformers.MptConfig(d_model=32, n_layers=1, n_heads=2, vocab_size=8)
    model = transformers.MptForCausalLM._from_config(tiny)
    model.set_attn_implementation("fused_attn")
    assert model.config._attn_implementation == "eager"


def test_bloom_is_switched_when_it_is_loaded_and_not_later() -> None:
    """So says transformers, because BLOOM's attention is its own; it keeps that, and its results."""
    model = build("BLOOM", "eager")
    ids = token_ids(2, 5)
    before = model(ids).logits
    model.set_attn_implementation("fused_attn")
    assert model.config._attn_implementation == "eager"
    assert torch.equal(model(ids).logits, before)


def test_sparse_attention_is_refused() -> None:
    """DeepSeek's indexer picks keys for each query, and hides the others by the mask for SDPA and eager attention alone."""
    config = transformers.DeepseekV32Config(
        **{name: value for name, value in DECODER.items() if name != "head_dim"} | {"num_key_value_heads": 4},
        **{"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12},
        **{"first_k_dense_replace": 2, "index_n_heads": 2, "index_head_dim": 16, "index_topk": 4},
    )
    model = transformers.DeepseekV32ForCausalLM._from_config(config, attn_implementation="fused_attn").eval()
    with pytest.raises(ValueError, match=r"^fused_attn: the model passes indices"):
        model(token_ids(1, 9))


def test_blooms_slow_but_exact_is_refused() -> None:
    with pytest.raises(ValueError, match="slow_but_exact must be False, but was True"):
        build("BLOOM", pretraining_tp=2, slow_but_exact=True)(token_ids(1, 4))


def test_how_much_models_are_trusted() -> None:
    for name, kind in (
        ("Llama", MaskKind.RULES),
        ("Gemma 2", MaskKind.RULES),
        ("gpt-oss", MaskKind.RULES),
        ("Whisper", MaskKind.RULES),
        ("Qwen2-MoE", MaskKind.BOOLEAN),
        ("Llama 4", MaskKind.BOOLEAN),
        ("T5", MaskKind.BOOLEAN),
    ):
        assert mask_kind(type(build(name).config)) == kind, name


def test_registering_twice_does_nothing() -> None:
    check = transformers.PreTrainedModel.get_correct_attn_implementation
    registration.register()
    assert transformers.PreTrainedModel.get_correct_attn_implementation is check
    assert {"fused_attn", "paged|fused_attn"} <= set(ALL_ATTENTION_FUNCTIONS.valid_keys())


def test_the_older_name_is_turned_into_the_first() -> None:
    with pytest.warns(FutureWarning, match="paged"):
        assert build("Llama", "paged|fused_attn").config._attn_implementation == "fused_attn"


@pytest.mark.parametrize("version", ["4.57.6", "5.0.0", "5.23.0"])
def test_an_older_transformers_is_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(__version__=version))
    with pytest.raises(ImportError, match=rf"^torch_fused_attn: transformers must be 5\.24 or newer, but is {version}"):
        registration._check_version()


@pytest.mark.parametrize("version", ["5.24.0", "5.24.0.dev0", "5.30.1", "6.0.0rc1"])
def test_this_and_newer_ones_are_not(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(__version__=version))
    registration._check_version()


def test_a_missing_transformers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"^torch_fused_attn: transformers is not installed: run `pip install"):
        registration._check_version()


def test_transformers_is_imported_by_register_and_not_before() -> None:
    program = (
        "import sys, torch_fused_attn; from torch_fused_attn.integrations import transformers; "
        "assert 'transformers' not in sys.modules; transformers.register(); assert 'transformers' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# What models pass to their attention function, in the transformers that is installed. A new one must be looked at.
UNDERSTOOD = {
    "attention_mask",
    "cu_seq_lens_k",
    "cu_seq_lens_q",
    "dropout",
    "is_causal",
    "key",
    "max_length_k",
    "max_length_q",
    "output_attentions",
    "position_bias",
    "query",
    "s_aux",
    "scaling",
    "sliding_window",
    "softcap",
    "value",
}
REFUSED_BY_NAME = {"block_indices", "indices", "sinks"}
WITHOUT_EFFECT = {
    "deterministic",
    "position_ids",
}


def test_every_keyword_that_models_pass_is_accounted_for() -> None:
    passed: dict[str, str] = {}
    for path in Path(transformers.__file__).parent.glob("models/*/modeling_*.py"):
        for call in re.findall(r"\battention_interface\((.*?)\n\s*\)", path.read_text(), re.DOTALL):
            passed |= dict.fromkeys(re.findall(r"^\s*(\w+)=", call, re.MULTILINE), path.name)
    unknown = {name: path for name, path in passed.items() if name not in UNDERSTOOD | REFUSED_BY_NAME | WITHOUT_EFFECT}
    assert not unknown
    assert passed.keys() >= UNDERSTOOD - {"query", "key", "value"}, "the scan missed some"
