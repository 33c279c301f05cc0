"""What the tests of the routed F.scaled_dot_product_attention share: stock, inputs, and that it is undone after each."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import randn
from torch import Tensor

from torch_fused_attn import sdpa

STOCK = F.scaled_dot_product_attention


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Count from 0, and assert afterwards that nothing is left of the routing."""
    sdpa.reset_counts()
    yield
    assert F.scaled_dot_product_attention is STOCK
    assert torch.backends.mha.get_fastpath_enabled()


def qkv(
    device: torch.device,
    heads: tuple[int, int] = (4, 4),
    lengths: tuple[int, int] = (7, 11),
    dtype: Any = torch.float32,
) -> list[Tensor]:
    shapes = ((heads[0], lengths[0]), (heads[1], lengths[1]), (heads[1], lengths[1]))
    return [randn(2, h, n, 16, dtype=dtype, device=device) for h, n in shapes]


def fused(device: torch.device, *args: Any, **keywords: Any) -> Tensor:
    """Call the routed function, and assert that the operators took the call."""
    before = sdpa.counts()
    with sdpa.enabled(device.type):
        out = F.scaled_dot_product_attention(*args, **keywords)
    assert sdpa.counts() == (before.fused + 1, before.stock)
    return out
