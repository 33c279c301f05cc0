"""``attn_implementation="fused_attn"`` where Metal refuses kernels: the same tokens, by stock PyTorch."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from test_transformers_paged import _quiet, generate_batch, generate_each  # noqa: F401  (the fixture is for every test)
from transformers_models import PADDING, build, padded, token_ids

from torch_fused_attn import KernelError
from torch_fused_attn.integrations.transformers import attention, continuous_batching

FUNCTIONS = ("fused_attention", "fused_attention_varlen", "fused_attention_paged")


@pytest.fixture(autouse=True)
def refusals() -> Iterator[dict[str, mock.Mock]]:
    """Let every operator of the integration raise what Metal's refusal becomes, and return what is called instead."""

    def refused(*_: Any, **__: Any) -> None:
        raise KernelError("fused_attn: Metal does not compile it", "the kernel of test_transformers_stock")

    patches = {name: mock.patch.object(attention, name, side_effect=refused) for name in FUNCTIONS}
    patches["reshape_and_cache_"] = mock.patch.object(continuous_batching, "reshape_and_cache_", side_effect=refused)
    started = {name: patch.start() for name, patch in patches.items()}
    yield started
    for patch in patches.values():
        patch.stop()


@pytest.mark.filterwarnings("ignore:stock attention computes")
@pytest.mark.parametrize("name", ["Llama", "Gemma 2", "gpt-oss", "BLOOM", "Qwen2-MoE", "Llama 4", "DeepSeek-V3"])
def test_generate(name: str, refusals: dict[str, mock.Mock], device: torch.device) -> None:
    """Grouped heads, softcap, sinks, ALiBi, windows, whole masks, and values narrower than keys; padded on the left."""
    ids, mask = padded((11, 7, 1), "left")
    how = {"do_sample": False, "max_new_tokens": 7, "pad_token_id": PADDING}
    expected = build(name, "eager").generate(ids, attention_mask=mask, **how)
    actual = build(name).to(device).generate(ids.to(device), attention_mask=mask.to(device), **how)
    assert refusals["fused_attention"].called
    assert torch.equal(actual.cpu(), expected)


@pytest.mark.filterwarnings("ignore:stock attention computes")
@pytest.mark.parametrize("name", ["Llama", "Gemma 2", "gpt-oss"])
def test_generate_batch(name: str, refusals: dict[str, mock.Mock], device: torch.device) -> None:
    prompts = [token_ids(1, length)[0].tolist() for length in (3, 23, 1, 9, 40)]
    assert generate_batch(build(name).to(device), prompts) == generate_each(name, prompts)
    assert {name for name, function in refusals.items() if function.called} == {*FUNCTIONS[1:], "reshape_and_cache_"}
