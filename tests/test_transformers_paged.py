"""``generate_batch`` with ``attn_implementation="fused_attn"``: continuous batching by the paged operators."""

import logging
from collections import Counter
from collections.abc import Iterator
from unittest import mock

import pytest
import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching import cache_allocators
from transformers_models import PADDING, build, token_ids

from torch_fused_attn.integrations.transformers import attention, continuous_batching

MODELS = ["Llama", "Qwen3", "Mistral", "Gemma 2", "Gemma 3", "gpt-oss", "Phi"]
WITH_WINDOWS = {"Mistral", "Gemma 2", "Gemma 3", "gpt-oss"}
NEW_TOKENS = 8


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Silence what transformers says about memory that it cannot measure, since the tests fix the cache's size."""
    logger = logging.getLogger("ContinuousBatchingLogger")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture
def calls() -> Iterator[Counter[str]]:
    """Count what attends, writes to the cache, and copies from it, in whatever thread; stock attention fails."""
    counted: Counter[str] = Counter()

    def counting(owner: object, name: str) -> object:
        original = getattr(owner, name)

        def call(*args: object, **options: object) -> object:
            counted[name] += 1
            return original(*args, **options)

        return mock.patch.object(owner, name, call)

    patches = [
        counting(attention, "fused_attention"),
        counting(attention, "fused_attention_varlen"),
        counting(attention, "fused_attention_paged"),
        counting(continuous_batching, "reshape_and_cache_"),
        mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", side_effect=AssertionError),
        mock.patch.object(cache_allocators.FullAttentionCacheAllocator, "update", side_effect=AssertionError),
        counting(cache_allocators.SlidingAttentionCacheAllocator, "update"),
    ]
    for patch in patches:
        patch.start()
    yield counted
    for patch in patches:
        patch.stop()


def generate_batch(model: torch.nn.Module, prompts: list[list[int]], **options: object) -> list[list[int]]:
    """Return the new tokens of each prompt; chunks of 24 tokens, pages of 4."""
    sizes = {"page_size": 4, "num_blocks": 64, "max_batch_tokens": 24, "max_requests_per_batch": 8}
    results = model.generate_batch(
        prompts,
        generation_config=GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=-1, pad_token_id=0),
        continuous_batching_config=ContinuousBatchingConfig(**(sizes | options)),
        progress_bar=False,
    )
    assert [result.error for result in results.values()] == [None] * len(prompts)
    return [result.generated_tokens for result in results.values()]


def generate_each(name: str, prompts: list[list[int]]) -> list[list[int]]:
    """Return the new tokens of each prompt by itself, with eager attention."""
    model = build(name, "eager")
    return [
        model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=PADDING)[
            0, len(prompt) :
        ].tolist()
        for prompt in prompts
    ]


@pytest.mark.parametrize("name", MODELS)
def test_continuous_batching_generates_the_tokens_of_eager_attention(
    name: str, calls: Counter[str], device: torch.device
) -> None:
    """Prompts of many lengths, the longest in two chunks beside others that decode already."""
    prompts = [token_ids(1, length)[0].tolist() for length in (3, 23, 1, 9, 40)]
    actual = generate_batch(build(name).to(device), prompts)
    assert calls["fused_attention_paged"] > calls["fused_attention_varlen"] > 0
    assert calls["fused_attention"] == 0
    assert (calls["update"] > 0) == (name in WITH_WINDOWS), "only chunks that overwrite a window's ring need a copy"
    steps = calls["fused_attention_paged"] + calls["fused_attention_varlen"]
    assert calls["reshape_and_cache_"] + calls["update"] == steps
    assert actual == generate_each(name, prompts)


def test_requests_share_the_blocks_of_a_prefix(calls: Counter[str], device: torch.device) -> None:
    """The second batch finds the first one's prompt in the cache, and prefills only what follows it."""
    prefix = token_ids(1, 21)[0].tolist()
    prompts = [[*prefix, 5, 6, 7], [*prefix, 8], prefix]
    model = build("Llama").to(device)
    assert generate_batch(model, prompts, max_requests_per_batch=1) == generate_each("Llama", prompts)
    assert calls["fused_attention_paged"] > 0


def test_pages_that_do_not_divide_the_window(device: torch.device) -> None:
    prompts = [token_ids(1, length)[0].tolist() for length in (2, 17, 11)]
    assert generate_batch(build("Mistral").to(device), prompts, page_size=7) == generate_each("Mistral", prompts)


@pytest.mark.parametrize("name", ["BLOOM", "Qwen2-MoE"])
def test_models_that_cannot_tell_their_attention_enough_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"fused_attn: .* cannot be batched continuously .*: use generate\(\)"):
        generate_batch(build(name), [[5, 6, 7]])


def test_padded_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"fused_attn: .* without torch\.compile .*: set default_compile_level=0"):
        generate_batch(build("Llama"), [[5, 6, 7]], default_compile_level=1)


def test_other_implementations_are_left_alone(device: torch.device) -> None:
    prompts = [token_ids(1, length)[0].tolist() for length in (3, 9)]
    assert generate_batch(build("Llama", "sdpa"), prompts) == generate_each("Llama", prompts)
