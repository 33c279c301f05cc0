"""Properties that hold for any inputs, on inputs that Hypothesis draws and, when one fails, shrinks to the smallest."""

import torch
from cases import DTYPES, randn
from hypothesis import given
from hypothesis import strategies as st
from packed_cases import BLOCK_SIZES, CACHE_LAYOUTS, ends, paged_cache
from reference import assert_matches, attention, paged_attention, varlen_attention
from torch import Tensor

from torch_fused_attn import fused_attention, fused_attention_paged, fused_attention_varlen

LENGTH = st.one_of(st.integers(0, 8), st.integers(0, 150))  # small ones are likely: there the edge cases are
HEAD_DIM = st.one_of(st.sampled_from([1, 8, 64, 128, 256]), st.integers(1, 256))
WINDOW = st.one_of(st.just(-1), st.integers(0, 4), st.integers(0, 200))
NUMBER = st.floats(-8.0, 8.0, width=32)


@st.composite
def heads(draw: st.DrawFn) -> tuple[int, int]:
    kv_heads = draw(st.integers(1, 4))
    return kv_heads * draw(st.integers(1, 4)), kv_heads


@st.composite
def options(draw: st.DrawFn, num_heads: int, batch: int, device: torch.device) -> dict:
    """Draw the keywords that all forwards share."""
    per_head = st.lists(NUMBER, min_size=num_heads, max_size=num_heads)
    slopes = draw(st.one_of(st.none(), per_head, st.lists(per_head, min_size=batch, max_size=batch)))
    sinks = draw(st.one_of(st.none(), per_head))
    return {
        "is_causal": draw(st.booleans()),
        "scale": draw(st.one_of(st.none(), st.floats(-2.0, 2.0))),
        "alibi_slopes": None if slopes is None else torch.tensor(slopes, device=device),
        "window_left": draw(WINDOW),
        "window_right": draw(WINDOW),
        "softcap": draw(st.one_of(st.just(0.0), st.floats(0.1, 50.0))),
        "sinks": None if sinks is None else torch.tensor(sinks, device=device),
    }
