"""The definition in ``reference.py`` and the operator against torch's own attentions; and the tolerance rule itself.

Where torch defines the same thing (``scaled_dot_product_attention``, and ``flex_attention`` in its eager form), neither
our definition nor our operator may disagree with it.
"""

from collections.abc import Callable

import cases
import pytest
import torch
import torch.nn.functional as F
from reference import assert_close, assert_matches, attention, paged_attention, varlen_attention
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention

from torch_fused_attn import alibi_slopes, fused_attention

Check = Callable[..., None]


def double_inputs(heads: int, kv_heads: int, queries: int, keys: int) -> list[Tensor]:
    """Return query, key and value whose float64 numbers are also fp32 numbers."""
    shapes = ((2, heads, queries, 32), (2, kv_heads, keys, 32), (2, kv_heads, keys, 32))
    return [torch.randn(shape).double() for shape in shapes]


@pytest.fixture(params=["definition", "operator"])
def check(request: pytest.FixtureRequest, device: torch.device) -> Check:
    """Return ``check(inputs, out, lse=None, **keywords)``, which compares with what torch made of float64 inputs."""

    # ALiBi slopes, biases and sinks are fp32 numbers in every precision, but 1/sqrt(32) and tanh are not: hence 1e-6.
    def definition(inputs: list[Tensor], expected_out: Tensor, expected_lse: Tensor | None = None, **keywords: object):
        out, lse = attention(*inputs, **keywords)
        torch.testing.assert_close(out, expected_out, rtol=0.0, atol=1e-6)
        if expected_lse is not None:
            torch.testing.assert_close(lse, expected_lse.double(), rtol=0.0, atol=1e-6)

    def operator(inputs: list[Tensor], expected_out: Tensor, expected_lse: Tensor | None = None, **keywords: object):
        inputs = [x.float() for x in inputs]
        eager = attention(*inputs, **keywords, dtype=torch.float32)
        lse = attention(*inputs, **keywords)[1] if expected_lse is None else expected_lse.double()
        moved = {name: x.to(device) if isinstance(x, Tensor) else x for name, x in keywords.items()}
        result = fused_attention(*(x.to(device) for x in inputs), **moved, return_lse=True)
        assert_close(*result, (expected_out, lse), eager, inputs[2])

    return definition if request.param == "definition" else operator


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (8, 2), (6, 1)])
@pytest.mark.parametrize(("queries", "keys"), [(40, 40), (20, 50), (50, 20)])
def test_agrees_with_scaled_dot_product_attention(
    check: Check, heads: int, kv_heads: int, queries: int, keys: int
) -> None:
    inputs = double_inputs(heads, kv_heads, queries, keys)
    sdpa = lambda **keywords: F.scaled_dot_product_attention(*inputs, enable_gqa=True, **keywords)  # noqa: E731
    visible = torch.rand(2, 1, queries, keys) > 0.5
    visible[0, 0, 3] = False
    bias = torch.randn(heads, queries, keys).double()
    check(inputs, sdpa())
    check(inputs, sdpa(scale=-0.3), scale=-0.3)
    check(inputs, sdpa(is_causal=True), is_causal=True, causal_alignment="top_left")
    check(inputs, sdpa(attn_mask=visible), attn_mask=visible)
    check(inputs, sdpa(attn_mask=bias), attn_mask=bias.float())


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (6, 2)])
@pytest.mark.parametrize(("queries", "keys"), [(40, 40), (20, 50), (50, 20)])
def test_agrees_with_flex_attention(check: Check, heads: int, kv_heads: int, queries: int, keys: int) -> None:
    inputs = double_inputs(heads, kv_heads, queries, keys)
    offset = keys - queries
    slopes = alibi_slopes(heads).cpu()

    def flex(score_mod: Callable | None = None, mask_mod: Callable | None = None) -> tuple[Tensor, Tensor]:
        mask = None if mask_mod is None else create_block_mask(mask_mod, None, None, queries, keys, device="cpu")
        options = {"block_mask": mask, "enable_gqa": True, "return_aux": AuxRequest(lse=True)}
        out, aux = flex_attention(*inputs, score_mod=score_mod, **options)
        return out, aux.lse

    def alibi(score: Tensor, _: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return score - slopes[h] * (i + offset - j).abs()

    def softcap(score: Tensor, *_: Tensor) -> Tensor:
        return 2.0 * torch.tanh(score / 2.0)

    def causal(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return j <= i + offset

    def window(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (i + offset - 7 <= j) & (j <= i + offset + 3)

    def top_left_window(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (i - 7 <= j) & (j <= i)

    check(inputs, *flex())
    check(inputs, *flex(alibi), alibi_slopes=slopes)
    check(inputs, *flex(softcap), softcap=2.0)
    check(inputs, *flex(None, causal), is_causal=True)
    check(inputs, *flex(None, window), window_left=7, window_right=3)
    top_left = {"window_left": 7, "is_causal": True, "causal_alignment": "top_left"}
    check(inputs, *flex(None, top_left_window), **top_left)
    check(
        inputs,
        *flex(lambda *x: alibi(softcap(x[0]), *x[1:]), window),
        **{"alibi_slopes": slopes, "softcap": 2.0, "window_left": 7, "window_right": 3},
    )


def test_sinks_are_an_extra_key_with_value_zero() -> None:
    """Attach a key whose score is the sink: a query and key dimension more, which only that key uses."""
    query, key, value = double_inputs(2, 2, 5, 9)
    sinks = torch.tensor([0.7, -1.2])
    one, zero = torch.ones(2, 2, 5, 1), torch.zeros(2, 2, 9, 1)
    sink_key = F.pad(sinks[None, :, None, None].expand(2, 2, 1, 1), (32, 0))
    longer = [
        torch.cat([query, one.double()], -1),
        torch.cat([torch.cat([key, zero.double()], -1), sink_key.double()], 2),
    ]
    scaled = longer[0] * torch.tensor([32**-0.5] * 32 + [1.0])
    out, lse = attention(scaled, longer[1], F.pad(value, (0, 0, 0, 1)), scale=1.0)
    expected_out, expected_lse = attention(query, key, value, sinks=sinks)
    torch.testing.assert_close(out, expected_out, rtol=0.0, atol=1e-6)
    torch.testing.assert_close(lse, expected_lse, rtol=0.0, atol=1e-6)


def test_packed_and_paged_attention_are_dense_attention_of_each_sequence() -> None:
    query, key, value = (torch.randn(2, heads, 6, 8) for heads in (4, 2, 2))
    options = {"is_causal": True, "alibi_slopes": alibi_slopes(4) * torch.tensor([[1.0], [2.0]])}
    out, lse = attention(query, key, value, **options)
    packed = [x.transpose(1, 2).flatten(0, 1) for x in (query, key, value)]
    ends = torch.tensor([0, 6, 12], dtype=torch.int32)
    caches = [x.unflatten(0, (4, 3))[[2, 0, 3, 1]] for x in packed[1:]]
    blocks, lengths = torch.tensor([[1, 3], [0, 2]], dtype=torch.int32), torch.tensor([6, 6], dtype=torch.int32)
    for actual_out, actual_lse in (
        varlen_attention(*packed, ends, ends, **options),
        paged_attention(packed[0], *caches, blocks, lengths, ends, **options),
    ):
        torch.testing.assert_close(actual_out, out.transpose(1, 2).flatten(0, 1))
        torch.testing.assert_close(actual_lse, lse.transpose(0, 1).flatten(1))


@pytest.mark.parametrize(("heads", "expected"), [(1, [2**-8]), (4, [2**-2, 2**-4, 2**-6, 2**-8])])
def test_alibi_slopes_of_a_power_of_two(heads: int, expected: list[float]) -> None:
    assert alibi_slopes(heads).tolist() == expected


def test_alibi_slopes_of_other_numbers_interleave_the_next_power_of_two() -> None:
    eight, sixteen = alibi_slopes(8).tolist(), alibi_slopes(16).tolist()
    assert eight == pytest.approx([2.0**-i for i in range(1, 9)])
    assert alibi_slopes(12).tolist() == eight + sixteen[0:8:2]
    assert alibi_slopes(12).dtype == torch.float32


MISTAKES = {
    "alignment": {"is_causal": True, "causal_alignment": "top_left"},
    "causal": {},
    "slopes": {"is_causal": True, "alibi_slopes": -alibi_slopes(4)},
    "softcap": {"is_causal": True, "softcap": 3.0},
    "window": {"is_causal": True, "window_left": 48},
    "scale": {"is_causal": True, "scale": 0.19},
    "sinks": {"is_causal": True, "sinks": torch.zeros(4)},
}


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_tolerance_rule_rejects_mistakes(dtype: torch.dtype, mistake: str) -> None:
    """Results of other keywords than those asked for are not within tolerance; those of the same keywords are."""
    inputs = [torch.randn(1, 4, n, 32).to(dtype) for n in (40, 50, 50)]
    asked = {"is_causal": True, "alibi_slopes": alibi_slopes(4)} if mistake == "slopes" else {"is_causal": True}

    def rounded(**keywords: object) -> tuple[Tensor, Tensor]:
        out, lse = attention(*inputs, **keywords)
        return out.to(dtype), lse.float()

    assert_matches(*rounded(**asked), attention, *inputs, **asked)
    out, lse = rounded(**MISTAKES[mistake])
    with pytest.raises(AssertionError, match="out: the error is"):
        assert_matches(out, None, attention, *inputs, **asked)
    right_out, right_lse = rounded(**asked)
    with pytest.raises(AssertionError, match="lse"):
        assert_matches(right_out, lse, attention, *inputs, **asked)
    right_out[0, 0, 0, 0] = torch.nan
    with pytest.raises(AssertionError, match="not finite"):
        assert_matches(right_out, right_lse, attention, *inputs, **asked)


def test_the_tolerance_rule_wants_exactness_where_there_is_no_key() -> None:
    inputs = [torch.randn(1, 2, n, 16) for n in (8, 5, 5)]
    out, lse = (x.float() for x in attention(*inputs, is_causal=True))
    assert_matches(out, lse, attention, *inputs, is_causal=True)
    with pytest.raises(AssertionError, match="sees no key"):
        assert_matches(out + 1e-7, lse, attention, *inputs, is_causal=True)
    with pytest.raises(AssertionError, match="see no key"):
        assert_matches(out, lse.clamp(min=-1e30), attention, *inputs, is_causal=True)
