"""Our kernels that are not attention: the pre-pass over a mask, merging, and those of the cache.

Each is run whole: what it computes is compared with what it must, and what it must move at least is said beside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from kernel_case import TOLERANCE
from launch import make_call, numbers
from launch_operators import copy_blocks, reshape_and_cache, run_merge_states
from torch import Tensor

import metalsim
from bench.kernels.cases import (
    BLOCK_SIZE,
    CACHE_HEAD_DIM,
    CACHE_HEADS,
    CONTEXT,
    DECODE_HEADS,
    FAMILIES,
    HEADS,
    Auxiliary,
)
from bench.kernels.counting import Fewest, Launch, Measured, count_call
from bench.kernels.ours import built
from metalsim import model
from torch_fused_attn import _C

#: Threads of merge_states, which kernel_plan does not tell Python.
MERGE_STATES_THREADS = 128
MASKS = {"bool": torch.bool, "float": torch.float32}
SKIP, MIXED, PLAIN = 0, 1, 2  #: labels, as mask.h has them


@dataclass(frozen=True)
class Moved:
    """A run, and what it must have done."""

    run: metalsim.Run
    output: Tensor
    expected: Tensor
    fewest: Fewest
    tolerance: float = 0.0


def count(case: Auxiliary, chip: str) -> tuple[Launch, Fewest]:
    """Return the counts of a call, with the launch that kernel_plan chooses for a chip, and the fewest bytes it moves.

    Raises:
        RuntimeError: if what the kernel did is wrong.
    """
    moved = _RUNS[case.function](case, chip)
    measured = Measured((moved.run,), moved.output, moved.expected.double())
    (launch,) = count_call(lambda _: measured, (case.size,), case.size, 1, moved.tolerance)
    return launch, moved.fewest


def _plan(case: Auxiliary, chip: str, **sizes: Any) -> dict[str, Any]:
    return _C.kernel_plan(family=FAMILIES[chip], cores=model.chip(chip).cores, batch=1, has_aligned_rows=True, **sizes)


def mask_of(kind: str, length: int) -> Tensor:
    """Return two documents side by side, causal: tiles of all three labels. A float mask adds -0.5 in some of them."""
    place = torch.arange(length)
    sees = (place[:, None] >= place) & (place[:, None] // (length // 2) == place // (length // 2))
    if kind == "bool":
        return sees
    return torch.zeros(length, length).masked_fill(~sees, -torch.inf).masked_fill(sees & (place < length // 8), -0.5)


def labels_of(mask: Tensor, query_tile: int, key_tile: int) -> Tensor:
    """Return the labels [query tiles, key tiles] of a mask that they divide."""
    entries = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else mask
    tiles = entries.unflatten(1, (-1, key_tile)).unflatten(0, (-1, query_tile)).transpose(1, 2).flatten(2)
    skip, plain = (tiles == -torch.inf).all(-1), (tiles == 0).all(-1)
    return torch.full(skip.shape, MIXED).masked_fill(skip, SKIP).masked_fill(plain, PLAIN)


def _label_mask_tiles(case: Auxiliary, chip: str) -> Moved:
    sizes = {"num_heads": HEADS, "num_kv_heads": HEADS, "len_q": case.size, "len_k": case.size}
    planned = _plan(case, chip, element="half", head_dim=64, head_dim_v=64, mask=case.element, **sizes)
    mask, number = mask_of(case.element, case.size), numbers()
    tensors = [torch.zeros(1, HEADS, case.size, 64, dtype=torch.float16)] * 3
    call = make_call(*tensors, attn_mask=mask)
    labels = torch.full(planned["label_sizes"], 255, dtype=torch.uint8)
    kernel = built(planned["mask_tiles"])
    run = kernel.dispatch(
        planned["mask_tiles"]["threadgroups"],
        (planned["mask_tiles"]["threads"],),
        call.bind(kernel, {number["kMaskTilesBuffer"]: labels}),
        count="lines",
    )
    expected = labels_of(mask, planned["query_tile"], planned["key_tile"])
    return Moved(run, labels[0, 0], expected, Fewest(mask.nbytes, labels.nbytes, number["kParamsBuffer"]))


def _merge_splits(case: Auxiliary, chip: str) -> Moved:
    sizes = {"num_heads": DECODE_HEADS, "num_kv_heads": DECODE_HEADS, "len_q": 1, "len_k": CONTEXT}
    merge = _plan(case, chip, element=case.element, head_dim=CACHE_HEAD_DIM, head_dim_v=CACHE_HEAD_DIM, **sizes)[
        "merge"
    ]
    number = numbers()
    call = make_call(*[torch.zeros(1, DECODE_HEADS, 1, CACHE_HEAD_DIM, dtype=torch.float16)] * 3)
    call.params.num_splits = case.size
    parts, lse = _random(case.size, DECODE_HEADS, CACHE_HEAD_DIM), _random(case.size, DECODE_HEADS)
    kernel = built(merge)
    buffers = {number["kPartialOutBuffer"]: parts, number["kPartialLseBuffer"]: lse}
    run = kernel.dispatch(merge["threadgroups"], (merge["threads"],), call.bind(kernel, buffers), count="lines")
    expected = (torch.softmax(lse.double(), 0)[..., None] * parts).sum(0)
    fewest = Fewest(parts.nbytes + lse.nbytes, call.out.nbytes + call.lse.nbytes, number["kParamsBuffer"])
    return Moved(run, call.out.view(expected.shape), expected, fewest, TOLERANCE[call.out.dtype])


def _merge_states(case: Auxiliary, chip: str) -> Moved:
    outs = _random(2, 1, DECODE_HEADS, case.size, CACHE_HEAD_DIM).half()
    lses = _random(2, 1, DECODE_HEADS, case.size)
    out, lse, run = run_merge_states(outs[0], lses[0], outs[1], lses[1], threads=MERGE_STATES_THREADS, count="lines")
    expected = (torch.softmax(lses.double(), 0)[..., None] * outs).sum(0)
    fewest = Fewest(outs.nbytes + lses.nbytes, out.nbytes + lse.nbytes, numbers()["kMergeStatesParamsBuffer"])
    return Moved(run, out, expected, fewest, TOLERANCE[out.dtype])


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _caches(num_blocks: int) -> Tensor:
    return _random(2, num_blocks, BLOCK_SIZE, CACHE_HEADS, CACHE_HEAD_DIM).half()


def _shuffled(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(1))


def _reshape_and_cache(case: Auxiliary, chip: str) -> Moved:
    caches, slots = _caches(case.size // BLOCK_SIZE + 1), _shuffled(case.size)
    new = _random(2, case.size, CACHE_HEADS, CACHE_HEAD_DIM).half()
    expected = caches.clone()
    expected.flatten(1, 2)[:, slots] = new
    threads = _C.cache_plan(case.size)["threads"]
    run = reshape_and_cache(*new, *caches, slots, threads=threads, count="lines")
    fewest = Fewest(new.nbytes + slots.nbytes, new.nbytes, numbers()["kCacheParamsBuffer"])
    return Moved(run, caches, expected, fewest)


def _copy_blocks(case: Auxiliary, chip: str) -> Moved:
    caches, pairs = _caches(2 * case.size), _shuffled(2 * case.size).view(case.size, 2)
    expected = caches.clone()
    expected[:, pairs[:, 1]] = caches[:, pairs[:, 0]]
    threads = _C.cache_plan(1)["threads"]
    units = caches[0, 0].nbytes // 16
    sharers = min(max(units // (4 * threads), 1), 64)  # as kernel_plan chooses
    run = copy_blocks(*caches, pairs, sharers, threads, count="lines")
    moved = caches[:, pairs[:, 1]].nbytes
    fewest = Fewest(moved + pairs.nbytes, moved, numbers()["kCacheParamsBuffer"])
    return Moved(run, caches, expected, fewest)


_RUNS: dict[str, Callable[[Auxiliary, str], Moved]] = {
    "label_mask_tiles": _label_mask_tiles,
    "merge_splits": _merge_splits,
    "merge_states": _merge_states,
    "reshape_and_cache": _reshape_and_cache,
    "copy_blocks": _copy_blocks,
}
