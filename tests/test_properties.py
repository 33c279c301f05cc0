"""Properties that hold for any inputs, on inputs that Hypothesis draws and, when one fails, shrinks to the smallest."""

from typing import NamedTuple

import torch
from cases import DTYPES, MASKS, make_mask, randn
from hypothesis import assume, given
from hypothesis import strategies as st
from packed_cases import BLOCK_SIZES, CACHE_LAYOUTS, empty_caches, ends, paged_cache
from reference import assert_close, assert_matches, attention, paged_attention, varlen_attention
from torch import Tensor

from torch_fused_attn import fused_attention, fused_attention_paged, fused_attention_varlen

LENGTH = st.one_of(st.integers(0, 8), st.integers(0, 70))  # short ones are as likely as all others together
HEAD_DIM = st.one_of(st.sampled_from([1, 8, 64, 128, 256]), st.integers(1, 256))
HEADS = st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda x: (x[0] * x[1], x[1]))  # query and key/value heads
WINDOW = st.one_of(st.just(-1), st.integers(0, 4), st.integers(0, 100))
LOGIT = st.floats(-8.0, 8.0, width=32)
SEED = st.integers(0, 2**16)


class Options(NamedTuple):
    """The keywords that all forwards share, as plain data.

    scale and softcap stay in a range in which fp32 resolves the scores: with scale 2, head_dim 256 and softcap 0.1, say,
    partial sums of about 30 are rounded before they become scores below 0.1, and any two orders of summation disagree.
    """

    is_causal: bool
    scale: float | None
    alibi_slopes: list | None
    window_left: int
    window_right: int
    softcap: float
    sinks: list[float] | None

    def keywords(self, device: torch.device) -> dict:
        as_tensor = {"alibi_slopes", "sinks"}
        return {
            name: torch.tensor(x, device=device) if name in as_tensor and x is not None else x
            for name, x in self._asdict().items()
        }


@st.composite
def options(draw: st.DrawFn, heads: int, batch: int) -> Options:
    per_head = st.lists(LOGIT, min_size=heads, max_size=heads)
    slopes = per_head if batch == 0 else st.one_of(per_head, st.lists(per_head, min_size=batch, max_size=batch))
    return Options(
        is_causal=draw(st.booleans()),
        scale=draw(st.one_of(st.none(), st.floats(-0.25, 0.25))),
        alibi_slopes=draw(st.one_of(st.none(), slopes)),
        window_left=draw(WINDOW),
        window_right=draw(WINDOW),
        softcap=draw(st.one_of(st.just(0.0), st.floats(0.5, 50.0))),
        sinks=draw(st.one_of(st.none(), per_head)),
    )


class Dense(NamedTuple):
    """A dense call as plain data."""

    dtype: torch.dtype
    batch: int
    heads: tuple[int, int]
    lengths: tuple[int, int]
    head_dims: tuple[int, int]
    options: Options
    seed: int

    def inputs(self, device: torch.device) -> list[Tensor]:
        torch.manual_seed(self.seed)
        (heads, kv_heads), (queries, keys), (dim, value_dim) = self.heads, self.lengths, self.head_dims
        shapes = [(heads, queries, dim), (kv_heads, keys, dim), (kv_heads, keys, value_dim)]
        return [randn(self.batch, *shape, dtype=self.dtype, device=device) for shape in shapes]


@st.composite
def dense(draw: st.DrawFn, dtypes: list[torch.dtype] = DTYPES) -> Dense:
    batch, heads = draw(st.integers(1, 2)), draw(HEADS)
    lengths, dims = draw(st.tuples(LENGTH, LENGTH)), draw(st.tuples(HEAD_DIM, HEAD_DIM))
    dtype = draw(st.sampled_from(dtypes))
    return Dense(dtype, batch, heads, lengths, dims, draw(options(heads[0], batch)), draw(SEED))


class Packed(NamedTuple):
    """A packed call as plain data; lengths are (queries, keys) of each sequence."""

    dtype: torch.dtype
    heads: tuple[int, int]
    lengths: list[tuple[int, int]]
    head_dim: int
    options: Options
    seed: int

    def inputs(self, device: torch.device) -> tuple[list[Tensor], list[list[int]]]:
        """Return query, key and value, and the query lengths and the key lengths."""
        torch.manual_seed(self.seed)
        lengths = [[pair[i] for pair in self.lengths] for i in (0, 1)]
        shapes = [(sum(lengths[i > 0]), self.heads[i > 0], self.head_dim) for i in range(3)]
        return [randn(*shape, dtype=self.dtype, device=device) for shape in shapes], lengths


@st.composite
def packed(draw: st.DrawFn) -> Packed:
    heads, lengths = draw(HEADS), draw(st.lists(st.tuples(LENGTH, LENGTH), max_size=3))
    dtype, dim = draw(st.sampled_from(DTYPES)), draw(HEAD_DIM)
    return Packed(dtype, heads, lengths, dim, draw(options(heads[0], len(lengths))), draw(SEED))


@given(call=dense(), mask=st.sampled_from(MASKS), alignment=st.sampled_from(["bottom_right", "top_left"]))
def test_dense_attention_is_its_definition(call: Dense, mask: str, alignment: str, device: torch.device) -> None:
    inputs = call.inputs(device)
    keywords = call.options.keywords(device) | {"causal_alignment": alignment}
    keywords["attn_mask"] = make_mask(mask, (call.batch, call.heads[0], *call.lengths), call.dtype, device)
    out, lse = fused_attention(*inputs, **keywords, return_lse=True)
    assert_matches(out, lse, attention, *inputs, **keywords)


@given(call=packed())
def test_packed_attention_is_its_definition(call: Packed, device: torch.device) -> None:
    inputs, lengths = call.inputs(device)
    offsets, longest = [ends(n, device) for n in lengths], [max(n, default=0) for n in lengths]
    keywords = call.options.keywords(device)
    assume(call.lengths)
    out, lse = fused_attention_varlen(*inputs, *offsets, *longest, **keywords, return_lse=True)
    assert_matches(out, lse, varlen_attention, *inputs, *offsets, **keywords)


@given(call=packed(), block_size=st.sampled_from(BLOCK_SIZES), layout=st.sampled_from(CACHE_LAYOUTS))
def test_paged_attention_is_its_definition(call: Packed, block_size: int, layout: str, device: torch.device) -> None:
    (query, key, value), (lengths_q, lengths_k) = call.inputs(device)
    assume(call.lengths)
    cache = paged_cache(key, value, lengths_k, block_size, layout)
    offsets, keywords = ends(lengths_q, device), call.options.keywords(device)
    out, lse = fused_attention_paged(query, *cache, offsets, max(lengths_q), **keywords, return_lse=True)
    assert_matches(out, lse, paged_attention, query, *cache, offsets, **keywords)


@given(call=dense(), data=st.data())
def test_merging_any_two_parts_of_the_keys_gives_the_whole(
    call: Dense, data: st.DataObject, device: torch.device
) -> None:
    query, key, value = call.inputs(device)
    split = data.draw(st.integers(0, call.lengths[1]))
    keywords = {"scale": call.options.scale, "softcap": call.options.softcap}
    parts = [key[:, :, :split], value[:, :, :split]], [key[:, :, split:], value[:, :, split:]]
    states = [fused_attention(query, *part, **keywords, return_lse=True) for part in parts]
    merged = torch.ops.fused_attn.merge_states(*states[0], *states[1])
    assert_matches(*merged, attention, query, key, value, **keywords)


@given(call=dense([torch.float32]), alignment=st.sampled_from(["bottom_right", "top_left"]))
def test_causal_and_windows_are_masks(call: Dense, alignment: str, device: torch.device) -> None:
    inputs, (queries, keys) = call.inputs(device), call.lengths
    chosen = call.options
    offset = keys - queries if alignment == "bottom_right" else 0
    behind = (
        torch.arange(queries)[:, None] + offset - torch.arange(keys)
    )  # how far key j lies before query i's position
    visible = torch.ones(queries, keys, dtype=torch.bool)
    visible &= (behind >= 0) if chosen.is_causal else True
    visible &= (behind <= chosen.window_left) if chosen.window_left >= 0 else True
    visible &= (behind >= -chosen.window_right) if chosen.window_right >= 0 else True
    keywords = chosen.keywords(device) | {"causal_alignment": alignment}
    out, lse = fused_attention(*inputs, **keywords, return_lse=True)
    without = keywords | {"is_causal": False, "window_left": -1, "window_right": -1}
    assert_matches(out, lse, attention, *inputs, **without, attn_mask=visible)
    masked, masked_lse = fused_attention(*inputs, **without, attn_mask=visible.to(device), return_lse=True)
    eager = attention(*inputs, **keywords, dtype=torch.float32)
    assert_close(masked, masked_lse, (out.cpu().double(), lse.cpu().double()), eager, inputs[2])


@given(call=dense([torch.float32]))
def test_alibi_is_a_mask(call: Dense, device: torch.device) -> None:
    inputs, (queries, keys) = call.inputs(device), call.lengths
    keywords = call.options.keywords(device)
    slopes = keywords.pop("alibi_slopes")
    assume(slopes is not None)
    distance = (
        torch.arange(queries, device=device)[:, None] + keys - queries - torch.arange(keys, device=device)
    ).abs()
    bias = -slopes[..., None, None] * distance
    out, lse = fused_attention(*inputs, **keywords, alibi_slopes=slopes, return_lse=True)
    assert_matches(out, lse, attention, *inputs, **keywords, attn_mask=bias)


@given(call=dense([torch.float32]), shift=LOGIT)
def test_a_constant_bias_only_shifts_lse(call: Dense, shift: float, device: torch.device) -> None:
    inputs = call.inputs(device)
    keywords = call.options._replace(sinks=None).keywords(device)
    out, lse = fused_attention(*inputs, **keywords, attn_mask=torch.tensor(shift, device=device), return_lse=True)
    assert_matches(out, lse - shift, attention, *inputs, **keywords)


@given(call=dense([torch.float32]))
def test_the_order_of_keys_matters_to_positions_only(call: Dense, device: torch.device) -> None:
    query, key, value = call.inputs(device)
    order = torch.randperm(call.lengths[1]).to(device)
    plain = {"is_causal": False, "alibi_slopes": None, "window_left": -1, "window_right": -1}
    keywords = call.options.keywords(device) | plain
    out, lse = fused_attention(query, key[:, :, order], value[:, :, order], **keywords, return_lse=True)
    assert_matches(out, lse, attention, query, key, value, **keywords)


@given(call=dense(), data=st.data())
def test_the_last_queries_alone_give_the_last_rows(call: Dense, data: st.DataObject, device: torch.device) -> None:
    """What decoding relies on: bottom-right alignment makes a row independent of how many queries come before it."""
    query, key, value = call.inputs(device)
    count = data.draw(st.integers(0, call.lengths[0]))
    keywords = call.options.keywords(device)
    last = query[:, :, call.lengths[0] - count :]
    out, lse = fused_attention(last, key, value, **keywords, return_lse=True)
    exact, eager = (
        [x[:, :, call.lengths[0] - count :] for x in attention(query, key, value, **keywords, dtype=dtype)]
        for dtype in (torch.float64, call.dtype)
    )
    assert_close(out, lse, exact, eager, value)


@given(
    slots=st.lists(st.integers(-2, 39), max_size=40, unique_by=lambda slot: slot if slot >= 0 else object()),
    layout=st.sampled_from(CACHE_LAYOUTS),
    dtype=st.sampled_from(DTYPES),
    seed=SEED,
)
def test_what_was_cached_is_what_is_attended_to(
    slots: list[int], layout: str, dtype: torch.dtype, seed: int, device: torch.device
) -> None:
    """Write tokens to slots, then read each slot back through a sequence of that one key."""
    torch.manual_seed(seed)
    key, value = (randn(len(slots), 2, 16, dtype=dtype, device=device) for _ in range(2))
    caches = empty_caches(40, 1, 2, 16, layout, dtype, device)
    slot_mapping = torch.tensor(slots, dtype=torch.int64, device=device)
    torch.ops.fused_attn.reshape_and_cache_(key, value, *caches, slot_mapping)
    written = [i for i, slot in enumerate(slots) if slot >= 0]
    assume(written)
    table = slot_mapping[written].int()[:, None].contiguous()
    used = torch.ones(len(written), dtype=torch.int32, device=device)
    query = randn(len(written), 2, 16, dtype=dtype, device=device)
    out = fused_attention_paged(query, *caches, table, used, ends([1] * len(written), device), 1)
    # The weight of an only key is divided by itself, which need not give exactly 1.
    torch.testing.assert_close(out, value[written], rtol=4 * torch.finfo(dtype).eps, atol=0.0)
