"""reshape_and_cache and copy_blocks on metalsim, against indexing, byte by byte."""

import pytest
import torch
from launch import numbers
from launch_operators import copy_blocks, reshape_and_cache
from packed_cases import CACHE_LAYOUTS, empty_caches
from torch import Tensor

import metalsim

CPU = torch.device("cpu")
#: Element type, head dim, and the unit that rows of tensors without gaps are copied in.
UNITS = [
    (torch.float16, 64, 16),
    (torch.float32, 8, 16),
    (torch.float32, 5, 4),
    (torch.bfloat16, 40, 16),
    (torch.bfloat16, 6, 4),
    (torch.float16, 7, 2),
]


def _bits(tensor: Tensor) -> Tensor:
    return tensor.view({2: torch.int16, 4: torch.int32}[tensor.element_size()])


def _assert_written(caches: list[Tensor], expected: list[Tensor]) -> None:
    for cache, wanted in zip(caches, expected, strict=True):
        assert torch.equal(_bits(cache), _bits(wanted))


@pytest.mark.parametrize("layout", CACHE_LAYOUTS)
@pytest.mark.parametrize(("dtype", "head_dim", "unit"), UNITS, ids=str)
def test_reshape_and_cache(dtype: torch.dtype, head_dim: int, unit: int, layout: str) -> None:
    """Slots in any order; negative ones and those past the cache are skipped; all else keeps its NaN."""
    tokens, heads, num_blocks, block_size = 7, 3, 4, 5
    key, value = (torch.randn(tokens, heads, head_dim).to(dtype) for _ in range(2))
    caches = list(empty_caches(num_blocks, block_size, heads, head_dim, layout, dtype, CPU))
    expected = [cache.clone() for cache in caches]
    slots = torch.tensor([19, -1, 0, 7, num_blocks * block_size, 1 << 62, -(1 << 63)])
    for t, slot in enumerate(slots.tolist()):
        if 0 <= slot < num_blocks * block_size:
            for cache, tensor in zip(expected, (key, value), strict=True):
                cache[slot // block_size, slot % block_size] = tensor[t]
    run = reshape_and_cache(key, value, *caches, slots, check=True, schedule=metalsim.ALL_SCHEDULES)
    _assert_written(caches, expected)
    traffic = run.counts.device[numbers()["kNewKeyBuffer"]]
    assert traffic.loaded_bytes == 3 * heads * head_dim * dtype.itemsize
    if layout == "separate" and unit == 16 and head_dim == 64:
        assert traffic.load_instructions == 3  # 24 units of 16 bytes a token


@pytest.mark.parametrize("offset", [1, 2, 8])
def test_tokens_that_are_views(offset: int) -> None:
    """Cut out of a projection of queries, keys and values; rows that do not begin at 16 bytes, or not at 4."""
    heads, head_dim = 2, 16
    projection = torch.randn(6, 3 * heads * head_dim + offset + 3).half()[:, offset : offset + 3 * heads * head_dim]
    _, key, value = projection.unflatten(1, (3 * heads, head_dim)).split(heads, dim=1)
    caches = list(empty_caches(3, 4, heads, head_dim, "separate", torch.float16, CPU))
    slots = torch.tensor([5, 4, 3, 11, 0, 9])
    expected = [cache.clone() for cache in caches]
    for cache, tensor in zip(expected, (key, value), strict=True):
        cache.view(12, heads, head_dim)[slots] = tensor
    reshape_and_cache(key, value, *caches, slots, check=True)
    _assert_written(caches, expected)


def test_values_that_lie_otherwise_than_keys() -> None:
    """Tokens and caches: tokens of a head are neighbours, and so are those of a block."""
    heads, head_dim = 3, 16
    key, value = (torch.randn(6, heads, head_dim).half() for _ in range(2))
    value = value.transpose(0, 1).contiguous().transpose(0, 1)
    caches = [empty_caches(3, 4, heads, head_dim, layout, torch.float16, CPU)[0] for layout in CACHE_LAYOUTS[::2]]
    slots = torch.tensor([5, 4, 3, 11, 0, 9])
    expected = [cache.clone() for cache in caches]
    for cache, tensor in zip(expected, (key, value), strict=True):
        for t, slot in enumerate(slots.tolist()):
            cache[slot // 4, slot % 4] = tensor[t]
    reshape_and_cache(key, value, *caches, slots, check=True)
    _assert_written(caches, expected)
    copy_blocks(*caches, torch.tensor([[2, 0]]), check=True)
    _assert_written(caches, [cache[[2, 1, 2]] for cache in expected])


@pytest.mark.parametrize("layout", CACHE_LAYOUTS)
@pytest.mark.parametrize("sharers", [1, 3])
@pytest.mark.parametrize(("dtype", "head_dim", "unit"), UNITS, ids=str)
def test_copy_blocks(dtype: torch.dtype, head_dim: int, unit: int, sharers: int, layout: str) -> None:
    """Pairs that name no block are skipped; a block copied to itself stays as it is."""
    caches = [cache.copy_(torch.randn(cache.shape)) for cache in empty_caches(7, 5, 3, head_dim, layout, dtype, CPU)]
    pairs = [(0, 3), (2, 6), (0, 1), (5, 5), (7, 4), (4, 7), (4, -1), (-1, 4), (2, 1 << 40), (-(1 << 63), 4)]
    expected = [cache.clone() for cache in caches]
    for cache in expected:
        for source, target in pairs[:4]:
            cache[target] = cache[source]
    copy_blocks(*caches, torch.tensor(pairs), sharers, check=True, schedule=metalsim.ALL_SCHEDULES)
    _assert_written(caches, expected)
