"""The mask function of ``attn_implementation="fused_attn"``: what it returns means what transformers' own masks say."""

from itertools import product
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import masking_utils
from transformers_models import WINDOW

from torch_fused_attn.integrations.transformers.masks import fused_attention_mask
from torch_fused_attn.integrations.transformers.model_support import MaskKind, mask_kind, set_mask_kind


class Config(SimpleNamespace):
    """A configuration of a model that passes is_causal and sliding_window."""


set_mask_kind(Config, MaskKind.RULES)


class Pattern(NamedTuple):
    """A mask function, the rules that stand for it, and what transformers says about it."""

    function: object
    is_causal: bool
    window: int | None = None
    keywords: dict = {}  # noqa: RUF012  (never written)
    config: Config = Config()


PATTERNS = {
    "causal": Pattern(masking_utils.causal_mask_function, True),
    "sliding": Pattern(masking_utils.sliding_window_causal_mask_function(WINDOW), True, WINDOW, {"local_size": WINDOW}),
    "bidirectional": Pattern(
        masking_utils.bidirectional_mask_function,
        False,
        keywords={"allow_is_causal_skip": False, "allow_is_bidirectional_skip": True},
    ),
    "bidirectional sliding": Pattern(
        masking_utils.sliding_window_bidirectional_mask_function(WINDOW),
        False,
        WINDOW,
        {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": True, "local_size": WINDOW},
    ),
    "chunked": Pattern(
        masking_utils.chunked_causal_mask_function(WINDOW, torch.zeros(2, dtype=torch.int64)),
        True,
        keywords={"local_size": WINDOW},
        config=Config(attention_chunk_size=WINDOW),
    ),
    "the user's": Pattern(
        masking_utils.and_masks(masking_utils.causal_mask_function, lambda b, h, q, k: k != 2),
        True,
        keywords={"allow_is_causal_skip": False, "use_vmap": True},
    ),
}


class Sizes(NamedTuple):
    """Lq, Lkv, and the offsets of queries and keys."""

    q_length: int
    kv_length: int
    q_offset: int | Tensor
    kv_offset: int = 0


SIZES = {
    "prefill": Sizes(9, 9, 0),
    "short prefill": Sizes(3, 3, 0),
    "continued": Sizes(3, 9, 6),
    "one token": Sizes(1, 9, 8),
    "empty static cache": Sizes(5, 12, torch.tensor(0)),
    "continued static cache": Sizes(3, 12, torch.tensor(6)),
    "one token, static cache": Sizes(1, 12, torch.tensor(8)),
    "full static cache": Sizes(3, 12, torch.tensor(9)),
    "window's cache": Sizes(3, 7, 8, 4),
}
PADDING = {
    "none": None,
    "left": [[1] * 12, [0, 0] + [1] * 10],
    "right": [[1] * 3, [1] * 2 + [0]],
    "not padded": [[1] * 12] * 2,
}


def meaning(mask: Tensor | None, pattern: Pattern, sizes: Sizes) -> Tensor:
    """Return which keys a query sees, bool [B, Lq, Lkv], as the attention function understands a mask."""
    visible = torch.ones(2, sizes.q_length, sizes.kv_length, dtype=torch.bool)
    if mask is not None and mask.dim() == 4:
        return visible & mask[:, 0]
    num_keys = sizes.kv_length if mask is None else mask.shape[1]
    queries = torch.arange(sizes.q_length)[:, None] + num_keys - sizes.q_length
    keys = torch.arange(sizes.kv_length)
    visible &= keys < num_keys
    if mask is not None:
        visible[:, :, :num_keys] &= mask[:, None]
    if pattern.is_causal:
        visible &= keys <= queries
    if pattern.window is not None:
        visible &= (keys - queries).abs() < pattern.window
    return visible


CASES = [
    case
    for case in product(PATTERNS, SIZES, PADDING)
    if "bidirectional" not in case[0] or "prefill" in case[1]  # which have no cache
]


@pytest.mark.parametrize(("pattern", "sizes", "padding"), CASES)
def test_masks_mean_what_transformers_own_say(pattern: str, sizes: str, padding: str) -> None:
    function, _, _, keywords, config = PATTERNS[pattern]
    call = SIZES[sizes]._asdict() | {
        "batch_size": 2,
        "mask_function": function,
        "attention_mask": None if PADDING[padding] is None else torch.tensor(PADDING[padding], dtype=torch.bool),
        "device": torch.device("cpu"),
    }
    actual = fused_attention_mask(**call, config=config, **keywords)
    use_vmap = keywords.get("use_vmap", False)
    expected = masking_utils.sdpa_mask(**call, allow_is_causal_skip=False, use_vmap=use_vmap).expand(2, 1, -1, -1)
    assert torch.equal(meaning(actual, PATTERNS[pattern], SIZES[sizes]), expected[:, 0])
    if pattern in ("causal", "sliding", "bidirectional"):
        assert actual is None or actual.dim() == 2, "a mask was written out that rules could say"


@pytest.mark.parametrize("kind", [MaskKind.BOOLEAN, MaskKind.ADDITIVE])
@pytest.mark.parametrize("padding", PADDING)
def test_careful_models_get_whole_masks(kind: MaskKind, padding: str) -> None:
    careful = type("Careful", (SimpleNamespace,), {})
    set_mask_kind(careful, kind)
    call = SIZES["continued"]._asdict() | {
        "batch_size": 2,
        "attention_mask": None if PADDING[padding] is None else torch.tensor(PADDING[padding], dtype=torch.bool),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
    }
    theirs = masking_utils.sdpa_mask if kind == MaskKind.BOOLEAN else masking_utils.eager_mask
    actual = fused_attention_mask(**call, config=careful())
    expected = theirs(**call, allow_is_causal_skip=False)
    assert actual.dtype == expected.dtype
    assert torch.equal(actual, expected)


def test_the_most_careful_model_of_a_configuration_class_decides() -> None:
    shared = type("Shared", (SimpleNamespace,), {})
    assert mask_kind(shared) == MaskKind.ADDITIVE, "a class that was never checked"
    for kind, expected in (
        (MaskKind.RULES, MaskKind.RULES),
        (MaskKind.BOOLEAN, MaskKind.BOOLEAN),
        (MaskKind.RULES, MaskKind.BOOLEAN),
    ):
        set_mask_kind(shared, kind)
        assert mask_kind(shared) == expected


def packed(base: object) -> object:
    """Return the mask function that transformers makes for sequences of 7, 3 and 2 tokens in one row."""
    positions = torch.cat([torch.arange(length) for length in (7, 3, 2)])[None]
    remapped = masking_utils.remap_positions_for_packed_sequence(base, positions)
    ids = masking_utils.find_packed_sequence_indices(positions)
    return masking_utils.and_masks(remapped, masking_utils.packed_sequence_mask_function(ids))


@pytest.mark.parametrize("pattern", ["causal", "sliding"])
def test_packed_sequences_are_found_in_the_mask_function(pattern: str) -> None:
    mask = fused_attention_mask(
        1, 12, 12, mask_function=packed(PATTERNS[pattern].function), allow_is_causal_skip=False, config=Config()
    )
    assert mask.dtype == torch.int32
    assert mask.tolist() == [0, 7, 10, 12]


@pytest.mark.parametrize("pattern", ["chunked", "the user's", "bidirectional"])
def test_packed_sequences_with_other_patterns_get_whole_masks(pattern: str) -> None:
    function = packed(PATTERNS[pattern].function)
    device = torch.device("cpu")
    mask = fused_attention_mask(
        1, 12, 12, mask_function=function, allow_is_causal_skip=False, config=Config(), device=device
    )
    expected = masking_utils.sdpa_mask(1, 12, 12, mask_function=function, allow_is_causal_skip=False, device=device)
    assert torch.equal(mask, expected)
