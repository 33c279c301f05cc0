"""``attn_implementation="fused_attn"``: every architecture gives what its own eager attention gives, by our operators."""

from functools import partial
from unittest import mock

import pytest
import torch
import transformers
from reference import assert_close
from torch import Tensor
from transformers_calls import CountedOperators, RecordedTensors, only_fused_attention
from transformers_models import (
    ARCHITECTURES,
    DECODERS,
    OTHERS,
    PADDING,
    TEXT_ENCODERS,
    WINDOW,
    build,
    inputs_of,
    padded,
    token_ids,
)

from torch_fused_attn.integrations.transformers import attention

# Those whose masks hide more than rules can say, or whose class is not made for anything else than whole masks.
WITH_WHOLE_MASKS = {"Qwen2-MoE", "Llama 4", "T5", "ModernBERT"}
WITHOUT_PADDING = {"ViT", "Whisper"}
PADDINGS = ["none", "left", "right"]
ENCODER_DECODERS = ("T5", "BART", "Whisper")


def in_float64(name: str, **inputs: Tensor | bool) -> Tensor:
    """Return the first output of a model with eager attention in float64, softmax included."""
    softmax = torch.nn.functional.softmax

    def precise(scores: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
        # Padding's own rows are all hidden. Only finite scores keep them finite, of which the others take no notice.
        return softmax(scores.double().clamp(min=torch.finfo(torch.float32).min), dim)

    with mock.patch.object(torch.nn.functional, "softmax", precise):
        return build(name, "eager").double()(**inputs)[0]


def assert_matches_eager(actual: Tensor, name: str, counted: Tensor, **inputs: Tensor | bool) -> None:
    """Assert that a model's first output is the eager model's, by the tolerance rule of the operators' own tests."""
    exact, eager = (
        run(**{key: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for key, x in inputs.items()})
        for run, dtype in (
            (partial(in_float64, name), torch.float64),
            (lambda **inputs: build(name, "eager").to(actual.dtype)(**inputs)[0], actual.dtype),
        )
    )
    rows = [x[counted][:, None] for x in (actual.cpu(), exact, eager)]
    no_lse = torch.zeros(1, len(rows[0]), dtype=torch.float64)
    assert_close(rows[0], None, (rows[1], no_lse), (rows[2], no_lse), rows[1])


def on(device: torch.device, inputs: dict, dtype: torch.dtype = torch.float32) -> dict:
    return {name: x.to(device, dtype) if x.is_floating_point() else x.to(device) for name, x in inputs.items()}


def new_cache(model: torch.nn.Module, kind: str, capacity: int) -> transformers.Cache:
    if kind == "static":
        return transformers.StaticCache(config=model.config, max_cache_len=capacity)
    return transformers.DynamicCache(config=model.config)


def generate(model: torch.nn.Module, inputs: dict, **options: object) -> list[list[int]]:
    tokens = model.generate(
        **on(model.device, inputs), do_sample=False, max_new_tokens=7, pad_token_id=PADDING, **options
    )
    return tokens.tolist()


@pytest.mark.parametrize(
    ("name", "padding"),
    [(name, padding) for name in ARCHITECTURES for padding in (["none"] if name in WITHOUT_PADDING else PADDINGS)],
)
def test_outputs_are_the_eager_ones(name: str, padding: str, device: torch.device) -> None:
    inputs, counted = inputs_of(name, padding)
    model = build(name).to(device)
    with only_fused_attention(model) as calls:
        actual = model(**on(device, inputs))[0]
    assert calls == {"forward": ARCHITECTURES[name].num_attentions}
    assert_matches_eager(actual, name, counted, **inputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["Llama", "Gemma 2", "gpt-oss", "BLOOM", "BERT", "T5", "ViT"])
def test_outputs_in_16_bits(name: str, dtype: torch.dtype, device: torch.device) -> None:
    inputs, counted = inputs_of(name, "none" if name in WITHOUT_PADDING else "left")
    model = build(name).to(device, dtype)
    assert_matches_eager(model(**on(device, inputs, dtype))[0], name, counted, **inputs)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("name", DECODERS)
def test_generates_the_tokens_of_eager_attention(name: str, cache: str, device: torch.device) -> None:
    """For a batch of sequences of different lengths; the window ends within them."""
    ids, mask = padded((11, 6, 1), "left")
    inputs = {"input_ids": ids, "attention_mask": mask}
    model = build(name).to(device)
    with only_fused_attention(model) as calls:
        actual = generate(model, inputs, cache_implementation=None if cache == "dynamic" else cache)
    assert calls == {"forward": 7 * ARCHITECTURES[name].num_attentions}
    assert actual == generate(build(name, "eager"), inputs)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_encoder_decoders_generate_the_tokens_of_eager_attention(name: str, cache: str, device: torch.device) -> None:
    inputs, _ = inputs_of(name, "left")
    del inputs["decoder_input_ids"]
    model = build(name).to(device)
    with only_fused_attention(model) as calls:
        actual = generate(model, inputs, cache_implementation=None if cache == "dynamic" else cache)
    assert calls["forward"] > 0
    assert actual == generate(build(name, "eager"), inputs)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("name", DECODERS)
def test_several_tokens_at_once_continue_a_cache(name: str, cache: str, device: torch.device) -> None:
    """A second turn of a conversation: the new tokens stand behind the cached ones, whatever else a static cache holds."""
    ids, mask = padded((16, 11), "left")
    model = build(name).to(device)

    past, outputs = new_cache(model, cache, 24), []
    for start, end in ((0, 7), (7, 12), (12, 16)):
        inputs = {"input_ids": ids[:, start:end], "attention_mask": mask[:, :end]}
        # Padding moves a sequence's positions, which generate() takes care of.
        inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, start:end]
        if name == "BLOOM":
            del inputs["position_ids"]
        outputs.append(model(**on(device, inputs), cache=past).logits.cpu())
    whole = {"input_ids": ids, "attention_mask": mask}
    if name != "BLOOM":
        whole["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    assert_matches_eager(torch.cat(outputs, dim=1), name, mask.bool(), **whole)


@pytest.mark.parametrize("window", [2, 3, 64])
@pytest.mark.parametrize("name", ["Mistral", "Gemma 3", "gpt-oss"])
def test_windows_shorter_and_longer_than_the_sequence(name: str, window: int, device: torch.device) -> None:
    inputs = dict(zip(("input_ids", "attention_mask"), padded((11, 6), "left"), strict=True))
    actual = generate(build(name, sliding_window=window).to(device), inputs)
    assert actual == generate(build(name, "eager", sliding_window=window), inputs)


def given_masks(model: torch.nn.Module, *calls: dict) -> list[tuple]:
    """Return the shapes of the masks that the operator gets from the calls of a model, () for none."""
    shapes = []
    operator = attention.fused_attention

    def recorded(*args: Tensor, attn_mask: Tensor | None = None, **options: object) -> Tensor:
        shapes.append(() if attn_mask is None else tuple(attn_mask.shape))
        return operator(*args, attn_mask=attn_mask, **options)

    with mock.patch.object(attention, "fused_attention", recorded):
        for call in calls:
            model(**call)
    return shapes


@pytest.mark.parametrize("name", [name for name in DECODERS | TEXT_ENCODERS if name not in WITH_WHOLE_MASKS])
def test_no_mask_without_padding_and_one_row_with_it(name: str, device: torch.device) -> None:
    model = build(name).to(device)
    ids, mask = padded((11, 7, 1), "left")
    assert set(given_masks(model, on(device, {"input_ids": ids, "attention_mask": torch.ones_like(mask)}))) == {()}
    heads = 6 if name == "BLOOM" else 1  # whose biases depend on the padding
    padded_call = on(device, {"input_ids": ids, "attention_mask": mask})
    assert set(given_masks(model, padded_call)) == {(3, heads, 1, 11)}


@pytest.mark.parametrize("name", ["Llama", "Mistral", "Gemma 3", "gpt-oss"])
def test_no_mask_when_a_cache_is_continued(name: str, device: torch.device) -> None:
    model = build(name).to(device)
    ids = token_ids(2, 16).to(device)
    dynamic = transformers.DynamicCache(config=model.config)
    assert set(
        given_masks(model, {"input_ids": ids, "cache": dynamic}, {"input_ids": ids[:, :3], "cache": dynamic})
    ) == {()}
    static = transformers.StaticCache(config=model.config, max_cache_len=32)
    masks = given_masks(model, {"input_ids": ids, "cache": static}, {"input_ids": ids[:, :3], "cache": static})
    # The cache's free places are cut off. A window's cache is full, and has none.
    assert set(masks) <= {(), (2, 1, 1, 16), (2, 1, 1, 19)}


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize(
    ("name", "cache"),
    [
        (name, cache)
        for name in DECODERS | TEXT_ENCODERS
        if name not in WITH_WHOLE_MASKS
        for cache in (["dynamic", "static"] if name in DECODERS else ["none"])
    ],
)
def test_nothing_of_tokens_by_tokens_is_in_memory(name: str, cache: str, is_padded: bool, device: torch.device) -> None:
    """Neither a mask that is thrown away nor scores: no operator returns anything of the size of Lq * Lkv."""
    length, capacity = 29, 31  # primes that no other size is a multiple of
    ids, mask = padded((length, 17, 4), "left")
    inputs = {"input_ids": ids, "attention_mask": mask} if is_padded else {"input_ids": ids}
    model = build(name).to(device)
    if cache == "static":
        inputs["cache"] = new_cache(model, cache, capacity)
    with RecordedTensors() as recorded:
        model(**{key: x.to(device) if isinstance(x, Tensor) else x for key, x in inputs.items()})
    assert recorded.calls == {"forward": 2}
    sizes = {shape: torch.Size(shape).numel() for shape in recorded.shapes}
    assert not [shape for shape, n in sizes.items() if n and (n % length**2 == 0 or n % (length * capacity) == 0)]


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("name", [name for name, a in DECODERS.items() if a.options.get("num_key_value_heads") == 2])
def test_grouped_keys_are_not_repeated(name: str, cache: str, device: torch.device) -> None:
    """The operators get as many heads as the cache holds, and read them there, unless a window's cache drops some."""
    model = build(name).to(device)
    past = new_cache(model, cache, 12)
    ids = token_ids(2, 9).to(device)
    with RecordedTensors() as recorded:
        for tokens in (ids[:, :7], ids[:, 7:8], ids[:, 8:]):
            model(tokens, cache=past)
    assert {key.shape[1] for key in recorded.keys} == {2}
    assert len(recorded.keys) == 6
    for layer, key in zip(past.layers, recorded.keys[-2:], strict=True):
        assert layer.is_sliding or key.data_ptr() == layer.keys.data_ptr()


@pytest.mark.parametrize("is_packed", [False, True])
def test_heads_that_are_strided_are_copied(is_packed: bool, device: torch.device) -> None:
    """As the keys of some models are, which come out of a convolution."""
    query, key, value = (torch.randn(1, h, 16, 6).to(device).mT for h in (4, 2, 2))
    assert query.stride(-1) == 6
    offsets = torch.tensor([0, 6], dtype=torch.int32, device=device) if is_packed else None
    call = partial(attention.fused_attention_forward, torch.nn.Module(), cu_seq_lens_q=offsets, is_causal=True)
    out, _ = call(query, key, value, attention_mask=None)
    expected, _ = call(*(x.contiguous() for x in (query, key, value)), attention_mask=None)
    torch.testing.assert_close(out, expected)


def packed_batch() -> tuple[tuple[int, ...], dict[str, Tensor], dict[str, Tensor | int]]:
    """Return the lengths of packed sequences, a model's inputs for them, and the arguments that tell them apart."""
    lengths = (7, 3, 2)
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    offsets = torch.tensor([0, 7, 10, 12], dtype=torch.int32)
    inputs = {"input_ids": token_ids(1, 12), "position_ids": positions}
    return lengths, inputs, {"cu_seq_lens_q": offsets, "cu_seq_lens_k": offsets, "max_length_q": 7, "max_length_k": 7}


@pytest.mark.parametrize("name", ["Llama", "Mistral", "Gemma 2", "gpt-oss"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_packed_sequences_are_told_apart_by_offsets(name: str, use_cache: bool, device: torch.device) -> None:
    lengths, inputs, offsets = packed_batch()
    model = build(name).to(device)
    offsets = {key: x.to(device) if isinstance(x, Tensor) else x for key, x in offsets.items()}
    with only_fused_attention(model) as calls:
        actual = model(**on(device, inputs), **offsets, use_cache=use_cache).logits
    assert calls == {"varlen_forward": 2}
    for ids, logits in zip(inputs["input_ids"].split(lengths, 1), actual.split(lengths, 1), strict=True):
        assert_matches_eager(logits, name, torch.ones_like(ids, dtype=torch.bool), input_ids=ids)


@pytest.mark.parametrize("name", ["Llama", "Mistral"])
def test_packed_sequences_are_told_apart_by_positions(name: str, device: torch.device) -> None:
    """Without a mask of all tokens by all tokens; also where rows of a batch hold different sequences."""
    ids = token_ids(2, 12)
    positions = torch.stack([torch.arange(12) % 5, torch.arange(12) % 7])
    model = build(name).to(device)
    inputs = {"input_ids": ids, "position_ids": positions}
    with only_fused_attention(model) as calls:
        actual = model(**on(device, inputs), use_cache=False).logits
    assert calls == {"varlen_forward": 2}
    assert_matches_eager(actual, name, torch.ones_like(ids, dtype=torch.bool), **inputs, use_cache=False)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_a_mask_of_the_users_own_is_all_that_counts(dtype: torch.dtype, device: torch.device) -> None:
    """No rule is added: neither causality nor, in the second layer, the window."""
    ids = token_ids(2, 9)
    visible = (torch.rand(2, 1, 9, 9) > 0.3) | torch.eye(9, dtype=torch.bool)
    additive = torch.zeros(2, 1, 9, 9).masked_fill(~visible, torch.finfo(torch.float32).min)
    mask = visible if dtype == torch.bool else additive
    actual = build("Mistral").to(device)(ids.to(device), attention_mask=mask.to(device)).logits
    expected = build("Mistral", "eager")(ids, attention_mask=additive).logits
    torch.testing.assert_close(actual.cpu(), expected, rtol=1e-5, atol=1e-4)


def test_parts_of_a_model_can_have_other_implementations(device: torch.device) -> None:
    inputs, counted = inputs_of("CLIP", "right")
    model = build("CLIP", {"text_config": "fused_attn", "vision_config": "eager"}).to(device)
    with CountedOperators() as counted_operators:
        actual = model(**on(device, inputs))[0]
    assert counted_operators.calls == {"forward": 2}
    assert_matches_eager(actual, "CLIP", counted, **inputs)


@pytest.mark.parametrize("name", ["Llama", "Gemma 3", "BERT"])
def test_a_loaded_model_can_be_switched(name: str, device: torch.device) -> None:
    inputs, counted = inputs_of(name, "right")
    model = build(name, "eager").to(device)
    model.set_attn_implementation("fused_attn")
    with only_fused_attention(model) as calls:
        actual = model(**on(device, inputs))[0]
    assert calls == {"forward": 2}
    assert_matches_eager(actual, name, counted, **inputs)


def test_the_table_has_what_it_should() -> None:
    """A window that ends within the sequences, grouped heads, and a dozen architectures at least."""
    assert len(DECODERS | TEXT_ENCODERS | OTHERS) >= 12
    assert inputs_of("Llama")[0]["input_ids"].shape[1] > WINDOW
