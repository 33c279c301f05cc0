"""``forward``: dense attention against its definition, over the table of cases; then what single arguments mean."""

import cases
import pytest
import torch
from reference import assert_matches, attention
from torch import Tensor

from torch_fused_attn import alibi_slopes, fused_attention


def randn(*shape: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    return cases.randn(*shape, dtype=dtype, device=device)


@pytest.mark.parametrize("case", cases.dense_cases(), ids=str)
def test_matches_the_definition(case: cases.Case, device: torch.device) -> None:
    inputs, keywords = cases.make_inputs(case, device)
    before = [x.clone() for x in inputs]
    versions = [x._version for x in inputs]

    out, lse = fused_attention(*inputs, **keywords, return_lse=True)

    assert_matches(out, lse, attention, *inputs, **keywords)
    heads_innermost = inputs[0].stride(1) < inputs[0].stride(2)
    assert (out.transpose(1, 2) if heads_innermost else out).is_contiguous(), "out is not laid out as query is"
    assert lse.is_contiguous()
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True)), "an input was written to"
    assert versions == [x._version for x in inputs]


def visible_keys(queries: int, keys: int, device: torch.device, **keywords: object) -> list[str]:
    """Return which keys each query sees, one string of 0 and 1 a query: the identity as values shows the weights."""
    query, key = torch.zeros(1, 1, queries, 8, device=device), torch.zeros(1, 1, keys, 8, device=device)
    weights = fused_attention(query, key, torch.eye(keys, device=device)[None, None], **keywords)
    return ["".join(str(int(w > 0)) for w in row) for row in weights[0, 0]]


@pytest.mark.parametrize(
    ("queries", "keys", "keywords", "drawn"),
    [
        (3, 3, {"is_causal": True}, "100 110 111"),
        (2, 4, {"is_causal": True}, "1110 1111"),
        (4, 2, {"is_causal": True}, "00 00 10 11"),
        (2, 4, {"is_causal": True, "causal_alignment": "top_left"}, "1000 1100"),
        (4, 2, {"is_causal": True, "causal_alignment": "top_left"}, "10 11 11 11"),
        (3, 5, {"window_left": 1}, "01111 00111 00011"),
        (3, 5, {"window_right": 1}, "11110 11111 11111"),
        (3, 5, {"window_left": 1, "window_right": 0}, "01100 00110 00011"),
        (3, 5, {"window_left": 0, "window_right": 0}, "00100 00010 00001"),
        (3, 5, {"window_left": 9, "window_right": 9}, "11111 11111 11111"),
        (3, 5, {"window_left": 1, "is_causal": True}, "01100 00110 00011"),
        (3, 5, {"window_right": 1, "is_causal": True}, "11100 11110 11111"),
        (3, 5, {"window_left": 1, "window_right": 1, "causal_alignment": "top_left"}, "11000 11100 01110"),
        (5, 3, {"window_left": 0, "is_causal": True, "causal_alignment": "top_left"}, "100 010 001 000 000"),
        (5, 3, {"window_left": 0, "window_right": 1}, "000 100 110 011 001"),
        (1, 4, {"is_causal": True}, "1111"),
        (1, 4, {"window_left": 1}, "0011"),
    ],
)
def test_visibility_as_drawn(queries: int, keys: int, keywords: dict, drawn: str, device: torch.device) -> None:
    assert visible_keys(queries, keys, device, **keywords) == drawn.split()


@pytest.mark.parametrize("alignment", ["bottom_right", "top_left"])
def test_alibi_rewards_nearness_and_is_bottom_right_aligned(alignment: str, device: torch.device) -> None:
    query, key = torch.zeros(1, 1, 2, 8, device=device), torch.zeros(1, 1, 5, 8, device=device)
    slopes = torch.tensor([0.5], device=device)
    value = torch.eye(5, device=device)[None, None]
    weights = fused_attention(query, key, value, alibi_slopes=slopes, causal_alignment=alignment)
    distance = torch.tensor([[3.0, 2.0, 1.0, 0.0, 1.0], [4.0, 3.0, 2.0, 1.0, 0.0]], device=device)
    torch.testing.assert_close(weights[0, 0], torch.softmax(-0.5 * distance, dim=-1))


def test_alibi_slopes_of_one_batch_entry_do_not_reach_another(device: torch.device) -> None:
    query, key, value = (randn(3, 4, 9, 16, device=device) for _ in range(3))
    slopes = alibi_slopes(4, device=device) * torch.tensor([[1.0], [0.0], [-0.5]], device=device)
    out, lse = fused_attention(query, key, value, alibi_slopes=slopes, return_lse=True)
    for b in range(3):
        one = [x[b : b + 1] for x in (query, key, value)]
        assert_matches(out[b : b + 1], lse[b : b + 1], attention, *one, alibi_slopes=slopes[b])


def test_softcap_comes_before_mask_and_bias(device: torch.device) -> None:
    query, key = torch.zeros(1, 1, 1, 8, device=device), torch.zeros(1, 1, 2, 8, device=device)
    value = torch.eye(2, device=device)[None, None]
    bias = torch.tensor([0.0, 3.0], device=device)
    weights = fused_attention(query, key, value, attn_mask=bias, softcap=0.5)
    torch.testing.assert_close(weights[0, 0, 0], torch.softmax(bias, dim=0))
    weights = fused_attention(query, key, value, alibi_slopes=torch.tensor([3.0], device=device), softcap=0.5)
    torch.testing.assert_close(weights[0, 0, 0], torch.softmax(bias, dim=0))


def test_sinks_take_their_share_of_the_weight(device: torch.device) -> None:
    query, key = torch.zeros(1, 2, 1, 8, device=device), torch.zeros(1, 2, 3, 8, device=device)
    sinks = torch.tensor([1.0, -torch.inf], device=device)
    out, lse = fused_attention(query, key, torch.ones(1, 2, 3, 1, device=device), sinks=sinks, return_lse=True)
    denominators = torch.tensor([3.0 + torch.e, 3.0], device=device)
    torch.testing.assert_close(out[0, :, 0, 0], 3.0 / denominators)
    torch.testing.assert_close(lse[0, :, 0], denominators.log())


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("sink", [None, -1.5, -torch.inf])
def test_rows_that_see_no_key(dtype: torch.dtype, sink: float | None, device: torch.device) -> None:
    """The row is masked by a bool mask, by a float mask, by the causal mask, or only by two of them together."""
    query, key, value = (randn(1, 2, n, 32, device=device, dtype=dtype) for n in (70, 68, 68))
    sinks = None if sink is None else torch.full((2,), sink, device=device)
    first_half = (torch.arange(68, device=device) < 34).expand(70, 68)
    hide_early = ~first_half  # with the causal mask, rows before 36 see nothing; without it, every row sees 34 keys
    as_float = torch.where(hide_early, 0.0, -torch.inf).to(dtype)
    nothing = torch.tensor(False, device=device)
    for keywords, blind in (
        ({"attn_mask": nothing}, 70),
        ({"attn_mask": nothing.expand(70, 68)}, 70),
        ({"attn_mask": torch.tensor(-torch.inf, device=device)}, 70),
        ({"is_causal": True}, 2),
        ({"attn_mask": hide_early}, 0),
        ({"attn_mask": hide_early, "is_causal": True}, 36),
        ({"attn_mask": as_float, "is_causal": True}, 36),
        ({"attn_mask": first_half, "window_left": 3}, 0),
    ):
        out, lse = fused_attention(query, key, value, **keywords, sinks=sinks, return_lse=True)
        assert_matches(out, lse, attention, query, key, value, **keywords, sinks=sinks)
        assert (out[:, :, :blind] == 0).all()
        assert (lse[:, :, :blind] == (-torch.inf if sink is None else sink)).all()


def test_no_keys_at_all(device: torch.device) -> None:
    query, nothing = randn(2, 4, 3, 16, device=device), randn(2, 2, 0, 16, device=device)
    out, lse = fused_attention(query, nothing, nothing, return_lse=True)
    assert out.shape == query.shape
    assert (out == 0).all()
    assert (lse == -torch.inf).all()
    sinks = torch.tensor([0.5, 1.0, -1.0, 0.0], device=device)
    out, lse = fused_attention(query, nothing, nothing, sinks=sinks, return_lse=True)
    assert (out == 0).all()
    assert torch.equal(lse, sinks[:, None].expand(2, 4, 3))


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("mask_dtype", ["fp32", "query's"])
def test_masks_of_the_lowest_finite_number(dtype: torch.dtype, mask_dtype: str, device: torch.device) -> None:
    """Hide keys as transformers does; a row of nothing but the lowest number weighs its keys evenly, as in softmax."""
    mask_type = torch.float32 if mask_dtype == "fp32" else dtype
    query, key, value = (randn(2, 2, 40, 16, device=device, dtype=dtype) for _ in range(3))
    mask = torch.zeros(2, 1, 40, 40, device=device, dtype=mask_type)
    mask[0, :, :, 30:] = torch.finfo(mask_type).min
    mask[1, :, 7] = torch.finfo(mask_type).min
    out, lse = fused_attention(query, key, value, attn_mask=mask, return_lse=True)
    assert_matches(out, lse, attention, query, key, value, attn_mask=mask)
    hidden = [x[:1, :, :30] for x in (key, value)]
    assert_matches(out[:1], lse[:1], attention, query[:1], *hidden)
    if mask_type != torch.float16:  # fp16's lowest number, -65504, leaves the scores their differences
        torch.testing.assert_close(out[1, :, 7].float(), value[1].float().mean(dim=1), rtol=0.0, atol=0.02)


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("keywords", [{}, {"is_causal": True}, {"softcap": 20.0}, {"scale": -1.0}, {"window_left": 40}])
def test_large_scores_do_not_overflow(dtype: torch.dtype, keywords: dict, device: torch.device) -> None:
    query, key, value = (randn(1, 4, 100, 64, device=device, dtype=dtype) for _ in range(3))
    query *= 100
    out, lse = fused_attention(query, key, value, **keywords, return_lse=True)
    assert_matches(out, lse, attention, query, key, value, **keywords)


@pytest.mark.parametrize("bias", [-1e30, -1e4, 1e4, 1e30])
def test_large_biases_do_not_overflow(bias: float, device: torch.device) -> None:
    query, key, value = (randn(1, 2, 65, 32, device=device) for _ in range(3))
    mask = torch.zeros(65, 65, device=device)
    mask[:, 11] = bias
    out, lse = fused_attention(query, key, value, attn_mask=mask, return_lse=True)
    assert_matches(out, lse, attention, query, key, value, attn_mask=mask)


def test_default_scale_is_that_of_the_queries_head_dim(device: torch.device) -> None:
    query, key, value = (randn(1, 2, 9, d, device=device) for d in (48, 48, 80))
    explicit = fused_attention(query, key, value, scale=48**-0.5)
    torch.testing.assert_close(fused_attention(query, key, value), explicit)


def test_head_dim_one_may_have_any_last_stride(device: torch.device) -> None:
    """With one element there is no distance between elements, so a view may claim any stride."""
    query, key, value = (randn(2, 1, 1, n, device=device).mT for n in (20, 30, 30))
    assert query.stride(3) != 1
    out, lse = fused_attention(query, key, value, return_lse=True)
    assert_matches(out, lse, attention, query, key, value)


def test_query_heads_share_a_kv_head_in_consecutive_groups(device: torch.device) -> None:
    query, key = torch.zeros(1, 6, 1, 8, device=device), torch.zeros(1, 3, 4, 8, device=device)
    value = torch.arange(3.0, device=device)[None, :, None, None].expand(1, 3, 4, 8).contiguous()
    assert fused_attention(query, key, value)[0, :, 0, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("shared", ["query and key", "key and value", "all"])
def test_inputs_may_share_memory(shared: str, device: torch.device) -> None:
    query, key, value = (randn(1, 2, 33, 16, device=device) for _ in range(3))
    query = key if shared != "key and value" else query
    value = key if shared != "query and key" else value
    before = key.clone()
    out, lse = fused_attention(query, key, value, return_lse=True)
    assert_matches(out, lse, attention, query, key, value)
    assert out.untyped_storage().data_ptr() != key.untyped_storage().data_ptr()
    assert torch.equal(key, before)


def test_two_calls_return_separate_and_equal_results(device: torch.device) -> None:
    query, key, value = (randn(1, 4, 130, 64, device=device) for _ in range(3))
    first, first_lse = fused_attention(query, key, value, is_causal=True, return_lse=True)
    second, second_lse = fused_attention(query, key, value, is_causal=True, return_lse=True)
    assert first.data_ptr() != second.data_ptr()
    assert torch.equal(first, second)
    assert torch.equal(first_lse, second_lse)


def test_without_lse_the_result_is_one_tensor(device: torch.device) -> None:
    query, key, value = (randn(1, 2, 5, 16, device=device) for _ in range(3))
    with_lse, _ = fused_attention(query, key, value, return_lse=True)
    assert torch.equal(fused_attention(query, key, value), with_lse)


@pytest.mark.parametrize(("batch", "queries"), [(0, 3), (2, 0), (0, 0)])
def test_empty_results(batch: int, queries: int, device: torch.device) -> None:
    query, key = randn(batch, 2, queries, 16, device=device), randn(batch, 2, 5, 16, device=device)
    out, lse = fused_attention(query, key, key, is_causal=True, return_lse=True)
    assert out.shape == query.shape
    assert lse.shape == query.shape[:3]
