"""Which models compute their attention with the function that is registered, and which masks they can be given.

Both are read off a model's class when transformers checks its attention implementation: in the constructor and in
``set_attn_implementation``. A model with an attention of its own would ignore the registered function without a word,
and with it what its masks mean; so it is refused there.
"""

import functools
import inspect
import re
import sys
from enum import IntEnum
from importlib import import_module
from typing import Any

from torch_fused_attn.integrations.transformers.attention import NAME


class MaskKind(IntEnum):
    """What a model's attention function can be given as a mask; the larger, the more careful."""

    RULES = 0  # the model passes is_causal and sliding_window, as FlashAttention needs them
    BOOLEAN = 1  # the mask must hide everything itself, True where a key takes part, as SDPA needs it
    ADDITIVE = 2  # the model may compute with the mask, which must be the one that its own eager code gets


_mask_kinds: dict[type, MaskKind] = {}


def mask_kind(config_class: type) -> MaskKind:
    """Return what masks the models of a configuration class can be given: the most careful that one of them needs."""
    return _mask_kinds.get(config_class, MaskKind.ADDITIVE)


def set_mask_kind(config_class: type, kind: MaskKind) -> None:
    """Note what a model of this configuration class needs."""
    _mask_kinds[config_class] = max(kind, _mask_kinds.get(config_class, MaskKind.RULES))


def install_check(own_attention: dict[type, MaskKind]) -> None:
    """Let transformers' check of ``attn_implementation`` refuse the models that would ignore ``"fused_attn"``.

    Args:
        own_attention: configuration classes of models with an attention of their own that was taught to use the
            operators, and what masks it takes.
    """
    pretrained_model = import_module("transformers.modeling_utils").PreTrainedModel
    original = pretrained_model.get_correct_attn_implementation

    @functools.wraps(original)
    def checked(self: Any, requested_attention: str | None, is_init_check: bool = False) -> str:
        implementation: str = original(self, requested_attention, is_init_check)
        if implementation == NAME:
            config_class = type(self.config)
            kind = own_attention.get(config_class)
            set_mask_kind(config_class, _kind_of(type(self)) if kind is None else kind)
        return implementation

    pretrained_model.get_correct_attn_implementation = checked


def _kind_of(model_class: Any) -> MaskKind:
    """Return what masks a model class can be given, or refuse it."""
    if not model_class._can_set_attn_implementation():
        raise ValueError(
            f"fused_attn: {model_class.__name__} computes its attention itself, not through transformers' "
            'AttentionInterface, and would ignore attn_implementation="fused_attn": load it with '
            'attn_implementation="eager"'
        )
    if model_class._supports_flash_attn and _can_follow_rules(sys.modules[model_class.__module__]):
        return MaskKind.RULES
    return MaskKind.BOOLEAN if model_class._supports_sdpa else MaskKind.ADDITIVE


@functools.cache
def _can_follow_rules(modeling: Any) -> bool:
    """Say whether a module's models leave what is hidden to ``is_causal`` and ``sliding_window``, judged by its source.

    Not so where the mask alone hides what is outside of a window, where a window is passed that the masks do not have, and
    where masks are changed further for SDPA.
    """
    source = inspect.getsource(modeling)
    if re.search(r"_attn_implementation (==|in) .*\"sdpa\"", source):
        return False
    calls = re.findall(r"\battention_interface\((.*?)\n\s*\)", source, re.DOTALL)
    passes = any("sliding_window=" in call for call in calls)
    masks = re.search(r"create_\w*sliding_window\w*mask|create_masks_for_generate|LAYER_PATTERN_TO_MASK", source)
    return not calls or passes == (masks is not None)
