"""``register()``: what is added to transformers, once."""

import functools
import re
from importlib import import_module

from torch_fused_attn.integrations.transformers.attention import NAME, fused_attention_forward

_MINIMUM = (5, 24)


@functools.cache
def register() -> None:
    """Add ``attn_implementation="fused_attn"`` to transformers; a second call does nothing.

    Registers the attention function and its mask function under ``fused_attn``, and under ``paged|fused_attn``, the
    older name that transformers turns into the first. Besides, transformers is changed in these places, none of which
    matters to models with another ``attn_implementation``:

    - its check of ``attn_implementation`` refuses models that would ignore ``"fused_attn"``;
    - ``generate_batch`` accepts ``"fused_attn"``, and its paged cache is then written and read by our operators;
    - BLOOM, whose attention is its own, uses the operators where it is loaded with ``"fused_attn"``.

    Raises:
        ImportError: transformers is not installed, or older than 5.24.
    """
    _check_version()
    from torch_fused_attn.integrations.transformers import bloom, continuous_batching, model_support
    from torch_fused_attn.integrations.transformers.masks import fused_attention_mask

    attention_functions = import_module("transformers.modeling_utils").AttentionInterface
    mask_functions = import_module("transformers.masking_utils").AttentionMaskInterface
    for name in (NAME, f"paged|{NAME}"):
        attention_functions.register(name, fused_attention_forward)
        mask_functions.register(name, fused_attention_mask)
    bloom_config = bloom.install()
    model_support.install_check({bloom_config: model_support.MaskKind.RULES})
    continuous_batching.install(without_cache_arguments=frozenset({bloom_config}))


def _check_version() -> None:
    minimum = ".".join(map(str, _MINIMUM))
    try:
        version: str = import_module("transformers").__version__
    except ModuleNotFoundError:
        raise ImportError(
            f'torch_fused_attn: transformers is not installed: run `pip install "transformers>={minimum}"`'
        ) from None
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _MINIMUM:
        raise ImportError(
            f"torch_fused_attn: transformers must be {minimum} or newer, but is {version}: run "
            f'`pip install --upgrade "transformers>={minimum}"`'
        )
