"""Times of a report's calls: ours beside ``F.scaled_dot_product_attention`` on the same device.

A call on a GPU is timed by many that follow each other and one wait for all: a wait alone takes as long as a short call. Ours
and stock PyTorch's take turns, so that what disturbs one disturbs both.
"""

import itertools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from torch_fused_attn.doctor.calls import DTYPES, Decode, Prefill

BATCH_SECONDS = 0.05  #: of calls that follow each other
ROUNDS = 9
#: Calls take turns with so many bytes of keys and values that no cache of any chip still has them when they come again:
#: decoding is predicted with keys and values from DRAM.
KV_BYTES = 256 * 2**20

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of a call: the median of the rounds, and their range."""

    median: float
    low: float
    high: float


def _inputs(call: Prefill | Decode, device: str) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return a query [1, Hq, Lq, D], and pairs of keys and values [1, Hkv, Lk, D] that take turns."""
    dtype = DTYPES[call.dtype_name]
    queries = call.length if isinstance(call, Prefill) else 1
    query = torch.randn(1, call.num_heads, queries, call.head_dim, device=device, dtype=dtype)
    sizes = (1, call.num_kv_heads, call.length, call.head_dim)
    copies = 1 if isinstance(call, Prefill) else math.ceil(KV_BYTES / (2 * math.prod(sizes) * dtype.itemsize))
    tensors = [torch.randn(*sizes, device=device, dtype=dtype) for _ in range(2 * copies)]
    return query, list(zip(tensors[::2], tensors[1::2], strict=True))


def _paged(call: Decode, query: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Call:
    """Return the call on caches whose blocks hold the same keys and values; their order does not matter to one query."""
    sizes = (call.length // call.block_size, call.block_size, call.num_kv_heads, call.head_dim)
    caches = [[tensor[0].transpose(0, 1).reshape(sizes) for tensor in pair] for pair in pairs]
    table = torch.randperm(sizes[0], generator=torch.Generator().manual_seed(0)).to(torch.int32)[None].to(query.device)
    lengths = torch.tensor([call.length], dtype=torch.int32).to(query.device)
    ends = torch.tensor([0, 1], dtype=torch.int32).to(query.device)
    packed = query[0].transpose(0, 1).contiguous()
    turns = itertools.cycle(caches)
    return lambda: torch.ops.fused_attn.paged_forward(packed, *next(turns), table, lengths, ends, 1)


def contenders(call: Prefill | Decode, device: str) -> tuple[Call, Call]:
    """Return our call and stock PyTorch's of the same sizes, which for a paged cache has it contiguous."""
    query, pairs = _inputs(call, device)
    is_causal = isinstance(call, Prefill) and call.is_causal
    is_grouped = call.num_kv_heads != call.num_heads
    ours_turns, theirs_turns = itertools.cycle(pairs), itertools.cycle(pairs)

    def ours() -> object:
        return torch.ops.fused_attn.forward(query, *next(ours_turns), is_causal=is_causal)

    def theirs() -> object:
        return scaled_dot_product_attention(query, *next(theirs_turns), is_causal=is_causal, enable_gqa=is_grouped)

    if isinstance(call, Decode) and call.is_paged:
        return _paged(call, query, pairs), theirs
    return ours, theirs


def _batch(call: Call, times: int, synchronize: Callable[[], None], clock: Callable[[], float]) -> float:
    """Return the seconds of one of ``times`` calls."""
    start = clock()
    for _ in range(times):
        call()
    synchronize()
    return (clock() - start) / times


def measure(
    calls: tuple[Call, ...],
    synchronize: Callable[[], None] = torch.mps.synchronize,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Timing, ...]:
    """Time calls that take turns, after each has been made a few times."""
    times = []
    for call in calls:
        _batch(call, 2, synchronize, clock)
        seconds = _batch(call, 4, synchronize, clock)
        times.append(max(1, min(1000, round(BATCH_SECONDS / max(seconds, 1e-9)))))
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, number, found in zip(calls, times, samples, strict=True):
            found.append(_batch(call, number, synchronize, clock))
    return tuple(Timing(statistics.median(found), min(found), max(found)) for found in samples)


def time_call(call: Prefill | Decode) -> tuple[Timing, Timing]:
    """Return the times of ours and of stock PyTorch's call on the mps device."""
    with torch.no_grad():
        ours, theirs = measure(contenders(call, "mps"))
    torch.mps.empty_cache()
    return ours, theirs
