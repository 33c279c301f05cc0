"""One pipeline of each family of kernels, compiled by the smallest call of an operator that selects it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from torch_fused_attn.doctor.finding import Finding, failed, ok, skipped

HEAD_DIM, BLOCK_SIZE = 64, 16
#: Keys of a call whose work is split among threadgroups, and merged again.
SPLIT_KEYS = 2048


@dataclass(frozen=True)
class Family:
    """A family of kernels.

    Attributes:
        name: as docs/kernels.md has it.
        launched: the kernels that the call launches.
        call: makes tensors on a device, and returns a call that launches them.
    """

    name: str
    launched: tuple[str, ...]
    call: Callable[[str], Callable[[], object]]


def _random(device: str, *sizes: int, dtype: torch.dtype = torch.float16) -> Tensor:
    return torch.randn(*sizes, dtype=dtype).to(device)


def _attention(device: str, rows: int, keys: int, heads: int, *, masked: bool = False) -> Callable[[], object]:
    query, key = _random(device, 1, heads, rows, HEAD_DIM), _random(device, 1, 1, keys, HEAD_DIM)
    mask = torch.ones(rows, keys, dtype=torch.bool).to(device) if masked else None
    return lambda: torch.ops.fused_attn.forward(query, key, key, attn_mask=mask)


def _merge_states(device: str) -> Callable[[], object]:
    out, lse = _random(device, 1, 1, 4, HEAD_DIM), _random(device, 1, 1, 4, dtype=torch.float32)
    return lambda: torch.ops.fused_attn.merge_states(out, lse, out, lse)


def _reshape_and_cache(device: str) -> Callable[[], object]:
    tokens, cache = _random(device, 4, 1, HEAD_DIM), _random(device, 2, BLOCK_SIZE, 1, HEAD_DIM)
    other, slots = cache.clone(), torch.arange(4).to(device)
    return lambda: torch.ops.fused_attn.reshape_and_cache_(tokens, tokens, cache, other, slots)


def _copy_blocks(device: str) -> Callable[[], object]:
    cache = _random(device, 2, BLOCK_SIZE, 1, HEAD_DIM)
    other, pairs = cache.clone(), torch.tensor([[0, 1]]).to(device)
    return lambda: torch.ops.fused_attn.copy_blocks_(cache, other, pairs)


FAMILIES = (
    Family("prefill", ("prefill",), lambda device: _attention(device, 16, 16, 1)),
    Family("mask tiles", ("label_mask_tiles", "prefill"), lambda device: _attention(device, 16, 16, 1, masked=True)),
    Family("decode, rows as vectors", ("decode",), lambda device: _attention(device, 1, 16, 1)),
    Family("decode, rows as matrices", ("decode",), lambda device: _attention(device, 1, 16, 8)),
    Family("merge of split keys", ("decode", "merge_splits"), lambda device: _attention(device, 1, SPLIT_KEYS, 1)),
    Family("merge of states", ("merge_states",), _merge_states),
    Family("cache writes", ("reshape_and_cache",), _reshape_and_cache),
    Family("block copies", ("copy_blocks",), _copy_blocks),
)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    torch.mps.synchronize()
    return time.perf_counter() - start


def check_kernels(section: str) -> Iterator[Finding]:
    """Compile a pipeline of each family on the mps device, and say how long its first use takes."""
    if not torch.backends.mps.is_available():
        yield skipped(section, "there is no mps device: Metal kernels are compiled where there is one")
        return
    for family in FAMILIES:
        try:
            with torch.no_grad():
                call = family.call("mps")
                torch.mps.synchronize()
                first, again = _seconds(call), _seconds(call)
        except Exception as error:
            yield failed(
                section,
                f"{family.name}: {error}",
                "attach the file that `python -m torch_fused_attn doctor --report` writes to an issue; until that is solved, "
                'calls that need this kernel work on tensors that were moved to "cpu"',
            )
        else:
            yield ok(section, f"{family.name}: {first:.2f} s at its first use, {again * 1e3:.1f} ms at the next")
