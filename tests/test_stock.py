"""The stand-ins for kernels that Metal refuses: they compute what the operators do."""

import math

import pytest
import torch
from cases import randn
from reference import attention as reference

from torch_fused_attn import _stock, alibi_slopes
from torch_fused_attn.cache_ops import reshape_and_cache_
from torch_fused_attn.functional import fused_attention_paged, fused_attention_varlen
from torch_fused_attn.kernel_error import KernelError

LENGTHS = [(7, 11), (9, 9), (1, 12), (11, 7)]


def options(device, name, lengths):
    """Return options of a call with 4 heads; those of packed calls have no mask."""
    mask = torch.rand(2, 1, *lengths).to(device) > 0.5
    mask[0, 0, 0] = False
    bias = randn(4, *lengths, dtype=torch.float32, device=device)
    slopes = alibi_slopes(4, device=device)
    sinks = randn(4, dtype=torch.float32, device=device)
    return {
        "plain": {},
        "causal": {"is_causal": True},
        "windows": {"window_left": 3, "window_right": 2, "scale": 0.3},
        "causal window": {"is_causal": True, "window_left": 2, "window_right": 5},
        "alibi": {"alibi_slopes": slopes, "is_causal": True},
        "softcap": {"softcap": 3.0, "is_causal": True},
        "sinks": {"sinks": sinks, "window_left": 0},
        "mask": {"attn_mask": mask},
        "causal mask": {"attn_mask": mask, "is_causal": True},
        "bias": {"attn_mask": bias.masked_fill(bias > 1, -math.inf)},
        "everything": {
            "attn_mask": bias, "is_causal": True, "window_left": 6, "softcap": 3.0, "scale": 0.5,
            "sinks": sinks, "alibi_slopes": slopes.repeat(2, 1),
        },
    }[name]  # fmt: skip


NAMES = ["plain", "causal", "windows", "causal window", "alibi", "softcap", "sinks"]


@pytest.mark.parametrize("name", [*NAMES, "mask", "causal mask", "bias", "everything"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_dense(name, lengths, device):
    query = randn(2, 4, lengths[0], 16, dtype=torch.float32, device=device)
    key, value = (randn(2, 2, lengths[1], 16, dtype=torch.float32, device=device) for _ in range(2))
    chosen = options(device, name, lengths)
    expected, _ = reference(query, key, value, **chosen)
    out = _stock.attention(query, key, value, **chosen)
    torch.testing.assert_close(out.cpu(), expected.float(), atol=2e-6, rtol=1e-5)


def packed(device):
    query = randn(10, 4, 16, dtype=torch.float32, device=device)
    ends = torch.tensor([0, 3, 3, 10], dtype=torch.int32, device=device)
    return query, ends


@pytest.mark.parametrize("name", NAMES)
def test_varlen(name, device):
    query, ends = packed(device)
    key, value = (randn(17, 2, 16, dtype=torch.float32, device=device) for _ in range(2))
    call = (query, key, value, ends, torch.tensor([0, 5, 9, 17], dtype=torch.int32, device=device), 7, 8)
    chosen = options(device, name, (7, 8))
    torch.testing.assert_close(_stock.attention_varlen(*call, **chosen), fused_attention_varlen(*call, **chosen))


@pytest.mark.parametrize("name", NAMES)
def test_paged(name, device):
    query, ends = packed(device)
    key, value = (randn(6, 4, 2, 16, dtype=torch.float32, device=device) for _ in range(2))
    table = torch.tensor([[5, 2, -1], [0, -1, -1], [1, 3, 4]], dtype=torch.int32, device=device)
    used = torch.tensor([6, 3, 12], dtype=torch.int32, device=device)
    call = (query, key, value, table, used, ends, 7)
    chosen = options(device, name, (7, 12))
    torch.testing.assert_close(_stock.attention_paged(*call, **chosen), fused_attention_paged(*call, **chosen))


def test_cache_writes(device):
    key, value = (randn(5, 2, 16, dtype=torch.float16, device=device) for _ in range(2))
    caches = [randn(6, 4, 2, 16, dtype=torch.float16, device=device) for _ in range(2)]
    expected = [cache.clone() for cache in caches]
    slots = torch.tensor([0, 23, -1, 9, -5], device=device)
    reshape_and_cache_(key, value, *expected, slots)
    _stock.reshape_and_cache_(key, value, *caches, slots)
    assert all(torch.equal(ours, right) for ours, right in zip(caches, expected, strict=True))


def test_no_other_error_is_caught():
    def fused():
        raise RuntimeError("fused_attn.forward: key must have the dtype of query")

    with pytest.raises(RuntimeError, match="dtype of query"):
        _stock.fused_or_stock(fused, lambda: pytest.fail("stock"))


def test_each_kernel_is_warned_about_once():
    def refused(kernel):
        raise KernelError("fused_attn: Metal does not compile it", kernel)

    for kernel in ("one of test_stock", "another of test_stock"):
        with pytest.warns(
            UserWarning, match="stock attention computes the calls of a kernel from now on: fused_attn: "
        ) as told:
            results = [_stock.fused_or_stock(refused, lambda kernel: f"stock {kernel}", kernel) for _ in range(3)]
        assert results == [f"stock {kernel}"] * 3
        assert len(told) == 1
