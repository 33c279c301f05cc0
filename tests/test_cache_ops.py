"""``reshape_and_cache_``, ``copy_blocks_`` and ``merge_states``: what surrounds attention over a cache."""

import pytest
import torch
from cases import DTYPES, randn
from packed_cases import CACHE_LAYOUTS, empty_caches
from reference import assert_close, attention
from torch import Tensor

from torch_fused_attn import fused_attention

reshape_and_cache_ = torch.ops.fused_attn.reshape_and_cache_
copy_blocks_ = torch.ops.fused_attn.copy_blocks_
merge_states = torch.ops.fused_attn.merge_states


def assert_same(actual: Tensor, expected: Tensor) -> None:
    """Bit for bit, but for NaN, which marks what was never written."""
    torch.testing.assert_close(actual, expected, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", CACHE_LAYOUTS)
@pytest.mark.parametrize(("block_size", "heads", "dim"), [(1, 1, 1), (8, 2, 40), (16, 4, 64), (17, 3, 100)])
def test_tokens_go_to_their_slots_and_nowhere_else(
    dtype: torch.dtype, layout: str, block_size: int, heads: int, dim: int, device: torch.device
) -> None:
    caches = empty_caches(9, block_size, heads, dim, layout, dtype, device)
    expected = [cache.clone() for cache in caches]
    slots = torch.randperm(9 * block_size)[: 9 * block_size // 2 + 1].to(device)
    slots[1::5] = -1  # padding of a batch that was filled up
    key, value = (randn(len(slots), heads, dim, dtype=dtype, device=device) for _ in range(2))
    for cache, rows in zip(expected, (key, value), strict=True):
        for row, slot in zip(rows, slots.tolist(), strict=True):
            if slot >= 0:
                cache[slot // block_size, slot % block_size] = row

    assert reshape_and_cache_(key, value, *caches, slots) is None

    for cache, wanted in zip(caches, expected, strict=True):
        assert_same(cache, wanted)


@pytest.mark.parametrize("skip", [-1, -17, torch.iinfo(torch.int64).min])
def test_any_negative_slot_is_skipped(skip: int, device: torch.device) -> None:
    caches = empty_caches(2, 4, 1, 8, "separate", torch.float32, device)
    key = randn(3, 1, 8, dtype=torch.float32, device=device)
    reshape_and_cache_(key, key, *caches, torch.tensor([skip, 5, skip], device=device))
    for cache in caches:
        assert torch.equal(cache[1, 1], key[1])
        assert int(cache.isnan().sum()) == cache.numel() - 8


def test_keys_and_values_may_be_views_of_one_projection(device: torch.device) -> None:
    projection = randn(6, 4, 3, 16, dtype=torch.float32, device=device)
    _, key, value = projection.unbind(2)
    caches = empty_caches(3, 4, 4, 16, "interleaved", torch.float32, device)
    reshape_and_cache_(key, value, *caches, torch.arange(3, 9, device=device))
    for cache, rows in zip(caches, (key, value), strict=True):
        assert_same(cache.flatten(0, 1)[3:9], rows)


def test_no_tokens_change_nothing(device: torch.device) -> None:
    caches = empty_caches(2, 4, 1, 8, "separate", torch.float32, device)
    nothing = randn(0, 1, 8, dtype=torch.float32, device=device)
    reshape_and_cache_(nothing, nothing, *caches, torch.empty(0, dtype=torch.int64, device=device))
    assert all(cache.isnan().all() for cache in caches)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", CACHE_LAYOUTS)
@pytest.mark.parametrize("pairs", [[], [(0, 4)], [(0, 1), (0, 5), (3, 2), (4, 6)]], ids=len)
def test_blocks_are_copied_from_source_to_destination(
    dtype: torch.dtype, layout: str, pairs: list[tuple[int, int]], device: torch.device
) -> None:
    caches = empty_caches(7, 8, 2, 24, layout, dtype, device)
    for cache in caches:
        cache.copy_(randn(*cache.shape, dtype=dtype, device=device))
    expected = [cache.clone() for cache in caches]
    for source, destination in pairs:
        for cache in expected:
            cache[destination] = cache[source]

    mapping = torch.tensor(pairs, dtype=torch.int64, device=device).reshape(-1, 2)
    assert copy_blocks_(*caches, mapping) is None

    for cache, wanted in zip(caches, expected, strict=True):
        assert_same(cache, wanted)


@pytest.mark.parametrize("operator", ["reshape_and_cache_", "copy_blocks_"])
def test_a_cache_that_was_written_to_has_a_new_version(operator: str, device: torch.device) -> None:
    caches = empty_caches(2, 4, 1, 8, "separate", torch.float32, device)
    caches = [cache.clone() for cache in caches]
    versions = [cache._version for cache in caches]
    if operator == "copy_blocks_":
        copy_blocks_(*caches, torch.tensor([[0, 1]], device=device))
    else:
        row = randn(1, 1, 8, dtype=torch.float32, device=device)
        reshape_and_cache_(row, row, *caches, torch.tensor([0], device=device))
    assert all(cache._version > version for cache, version in zip(caches, versions, strict=True))


def attend(query: Tensor, key: Tensor, value: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    return fused_attention(query, key, value, **options, return_lse=True)


def packed(out: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first batch entry of a dense result as a packed result."""
    return out[0].transpose(0, 1), lse[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_packed", [False, True], ids=["dense", "packed"])
@pytest.mark.parametrize("first", [0, 1, 40, 99, 100])
def test_merging_halves_gives_the_whole(dtype: torch.dtype, is_packed: bool, first: int, device: torch.device) -> None:
    """A half may be empty. The merge of rounded halves rounds once more, which twice the eager error has room for."""
    batch = 1 if is_packed else 2
    query, key, value = (randn(batch, h, n, 48, dtype=dtype, device=device) for h, n in ((4, 37), (2, 100), (2, 100)))
    a = attend(query, key[:, :, :first], value[:, :, :first])
    b = attend(query, key[:, :, first:], value[:, :, first:])
    exact = attention(query, key, value)
    eager = attention(query, key, value, dtype=dtype)
    if is_packed:
        a, b, exact, eager = (packed(*x) for x in (a, b, exact, eager))
    before = [x.clone() for x in (*a, *b)]
    out, lse = merge_states(*a, *b)
    assert out.dtype == dtype
    assert_close(out, lse, exact, eager, value)
    assert all(torch.equal(x, y) for x, y in zip((*a, *b), before, strict=True)), "an input was written to"


def test_merging_is_associative_and_commutative(device: torch.device) -> None:
    query, key, value = (randn(1, 2, n, 32, dtype=torch.float32, device=device) for n in (9, 90, 90))
    parts = [attend(query, key[:, :, i : i + 30], value[:, :, i : i + 30]) for i in (0, 30, 60)]
    left = merge_states(*merge_states(*parts[0], *parts[1]), *parts[2])
    right = merge_states(*merge_states(*parts[2], *parts[1]), *parts[0])
    exact, eager = attention(query, key, value), attention(query, key, value, dtype=torch.float32)
    assert_close(*left, exact, eager, value)
    assert_close(*right, exact, eager, value)


def test_a_side_that_saw_no_key_does_not_count(device: torch.device) -> None:
    """Not even if its out is not finite, since nothing is known of it but that its weight is zero."""
    out_a, out_b = (randn(1, 1, 3, 8, dtype=torch.float32, device=device) for _ in range(2))
    lse_a, lse_b = (randn(1, 1, 3, dtype=torch.float32, device=device) for _ in range(2))
    lse_a[..., 0] = lse_b[..., 1] = lse_a[..., 2] = lse_b[..., 2] = -torch.inf
    out_a[..., 0, :] = out_b[..., 1, :] = torch.nan
    out, lse = merge_states(out_a, lse_a, out_b, lse_b)
    assert torch.equal(out[..., 0, :], out_b[..., 0, :])
    assert torch.equal(out[..., 1, :], out_a[..., 1, :])
    assert torch.equal(lse[..., 0], lse_b[..., 0])
    assert torch.equal(lse[..., 1], lse_a[..., 1])
    assert (out[..., 2, :] == 0).all()
    assert (lse[..., 2] == -torch.inf).all()


def test_sinks_count_once_when_one_side_has_them(device: torch.device) -> None:
    query, key, value = (randn(1, 2, n, 32, dtype=torch.float32, device=device) for n in (9, 90, 90))
    sinks = torch.tensor([1.5, -0.5], device=device)
    a = attend(query, key[:, :, :50], value[:, :, :50], sinks=sinks)
    b = attend(query, key[:, :, 50:], value[:, :, 50:])
    exact = attention(query, key, value, sinks=sinks)
    assert_close(*merge_states(*a, *b), exact, attention(query, key, value, sinks=sinks, dtype=torch.float32), value)


@pytest.mark.parametrize("difference", [0.0, 50.0, 1e4, 1e30])
def test_weights_of_very_different_sides(difference: float, device: torch.device) -> None:
    out_a, out_b = torch.full((1, 1, 1, 4), 1.0, device=device), torch.full((1, 1, 1, 4), 3.0, device=device)
    lse_a = torch.zeros(1, 1, 1, device=device)
    for sign in (1.0, -1.0):
        lse_b = lse_a + sign * difference
        out, lse = merge_states(out_a, lse_a, out_b, lse_b)
        weight = torch.sigmoid(lse_b - lse_a)
        torch.testing.assert_close(out, out_a + weight[..., None] * (out_b - out_a))
        torch.testing.assert_close(lse, torch.logaddexp(lse_a, lse_b))


@pytest.mark.parametrize("layout", ["blhd", "bhld", "expanded"])
def test_merged_states_may_have_any_strides(layout: str, device: torch.device) -> None:
    out_a, out_b = (randn(2, 5, 3, 8, dtype=torch.float32, device=device).transpose(1, 2) for _ in range(2))
    lse_a, lse_b = (randn(2, 3, 5, dtype=torch.float32, device=device) for _ in range(2))
    expected = merge_states(out_a, lse_a, out_b, lse_b)
    if layout == "bhld":
        out_a, out_b = out_a.contiguous(), out_b.contiguous()
    if layout == "expanded":
        lse_a = lse_a[:, :, :1].expand_as(lse_a)
        expected = merge_states(out_a, lse_a.contiguous(), out_b, lse_b)
    out, lse = merge_states(out_a, lse_a, out_b, lse_b)
    assert torch.equal(out, expected[0])
    assert torch.equal(lse, expected[1])
    assert (out if layout == "bhld" else out.transpose(1, 2)).is_contiguous(), "out is not laid out as out_a is"


@pytest.mark.parametrize("shape", [(0, 2, 3, 8), (2, 2, 0, 8), (0, 2, 8)])
def test_merging_nothing(shape: tuple[int, ...], device: torch.device) -> None:
    out = randn(*shape, dtype=torch.float32, device=device)
    lse = torch.empty(shape[:3] if len(shape) == 4 else (shape[1], shape[0]), device=device)
    merged_out, merged_lse = merge_states(out, lse, out, lse)
    assert merged_out.shape == shape
    assert merged_lse.shape == lse.shape
