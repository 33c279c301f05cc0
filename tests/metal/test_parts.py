"""Kernels whose grid is dispatched in parts: the same bits, and nothing read or written elsewhere."""

from typing import Any

import pytest
import torch
from launch import Call, make_call
from launch_plan import plan_of, run_plan
from prefill_cases import HALF, dense, make_mask


def a_dense_call(**options: Any) -> Call:
    return make_call(*dense(3, (4, 2), (90, 130), (64, 64), HALF), **options)


def a_masked_call() -> Call:
    return a_dense_call(attn_mask=make_mask("bool_BHLS", (3, 4, 90, 130)))


def a_packed_call() -> Call:
    query, key = torch.randn(150, 4, 64, dtype=HALF), torch.randn(170, 2, 64, dtype=HALF)
    offsets_q, offsets_k = torch.tensor([0, 90, 95, 150]), torch.tensor([0, 100, 130, 170])
    return make_call(query, key, key, cu_seqlens_q=offsets_q.int(), cu_seqlens_k=offsets_k.int(), is_causal=True)


CALLS = {
    "dense": a_dense_call,
    "causal": lambda: a_dense_call(is_causal=True),
    "mask": a_masked_call,
    "packed, causal": a_packed_call,
}


def made(name: str) -> Call:
    torch.manual_seed(0)
    return CALLS[name]()


def cut_dimensions(parts: list[tuple[Any, Any, float]]) -> int:
    """Return along how many dimensions the parts begin at different places."""
    return sum(len({first[axis] for first, _, _ in parts}) > 1 for axis in range(3))


@pytest.mark.parametrize("family", [7, 9])
@pytest.mark.parametrize("name", CALLS)
def test_parts_give_the_bits_of_the_whole(name: str, family: int) -> None:
    whole, call = made(name), made(name)
    run_plan(whole, plan_of(whole, family))
    # One core, and so little time that query tiles, heads and sequences are cut.
    plan = plan_of(call, family, cores=1, max_seconds=1e-9, most_parts=1000)
    assert cut_dimensions(plan["attention"]["parts"]) == 3
    if plan["mask_tiles"] is not None:
        assert cut_dimensions(plan["mask_tiles"]["parts"]) == 3
    run_plan(call, plan, check=True)
    assert torch.equal(call.out, whole.out)
    assert torch.equal(call.lse, whole.lse)


def test_a_kernel_that_was_told_of_parts_does_the_whole_grid_too() -> None:
    """What launches plans as one dispatch, such as the benchmarks, need not know of parts."""
    whole, call = made("mask"), made("mask")
    run_plan(whole, plan_of(whole, 7))
    plan = plan_of(call, 7, max_seconds=1e-9)
    assert all(plan[name]["constants"][8] is True for name in ("attention", "mask_tiles"))
    run_plan(call, plan, check=True)
    assert torch.equal(call.out, whole.out)
