"""The options of flash_attn under the names that the functions of this package give them."""

from torch import Tensor

from torch_fused_attn.functional import AttentionOptions


def attention_options(
    softmax_scale: float | None,
    causal: bool,
    window_size: tuple[int, int],
    softcap: float,
    alibi_slopes: Tensor | None,
) -> AttentionOptions:
    """Return keyword arguments for ``fused_attention`` and its packed and paged forms."""
    window_left, window_right = window_size
    return {
        "is_causal": causal,
        "scale": softmax_scale,
        "alibi_slopes": alibi_slopes,
        "window_left": window_left,
        "window_right": window_right,
        "softcap": softcap,
    }
