"""Cases and inputs of packed (``varlen_forward``) and paged (``paged_forward``) attention.

Whatever no query may read holds NaN: rows outside of a view, the unused end of a sequence's last block, unused blocks.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from cases import DTYPES, HEADS, all_pairs, make_keywords, randn
from torch import Tensor

Lengths = tuple[tuple[int, int], ...]  # of each sequence: queries and keys

HEAD_DIMS = [1, 7, 8, 40, 64, 100, 128, 256]
# Fewer than dense attention's: what they mean is the same, here they meet offsets, lengths and blocks.
PACKED_KEYWORDS = ["", "causal", "left", "right", "left+right", "left0+right0", "causal+left", "alibi", "batch_alibi"]
PACKED_KEYWORDS += ["causal+alibi", "causal+sinks", "fp32_sinks", "softcap", "negative_scale+softcap+alibi"]
PACKED_KEYWORDS += ["causal+left+batch_alibi+softcap+sinks+scale"]
SEQUENCES: list[Lengths] = [
    ((5, 5),),
    ((0, 0),),
    ((0, 0), (0, 4), (4, 0), (2, 9), (0, 0)),
    ((3, 3), (1, 1), (64, 64)),
    ((1, 513),),
    ((1, 7), (1, 130), (1, 0), (1, 64), (1, 256)),
    ((33, 70), (0, 0), (128, 129)),
    ((17, 5), (65, 64)),
    ((257, 256), (31, 33)),
    ((300, 2), (2, 300)),
    ((1, 1),) * 20,
]
PACKED_LAYOUTS = ["thd", "htd", "sliced", "qkv"]
BLOCK_SIZES = [1, 8, 16, 17, 256]
CACHE_LAYOUTS = ["separate", "interleaved", "heads_first"]


class PackedCase(NamedTuple):
    """One level of each factor of packed attention, and two more for paged attention."""

    dtype: torch.dtype
    head_dim: int
    heads: tuple[int, int]
    sequences: Lengths
    layout: str
    keywords: str
    block_size: int = 0
    cache_layout: str = ""

    def __str__(self) -> str:
        """Name the case; of many sequences, the first ones and the number."""
        dtype = str(self.dtype).removeprefix("torch.")
        lengths = "_".join(f"{q}x{k}" for q, k in self.sequences[:5]) + f"_n{len(self.sequences)}"
        paging = f"-{self.cache_layout}{self.block_size}" if self.block_size else ""
        numbers = f"D{self.head_dim}-H{self.heads[0]}x{self.heads[1]}-L{lengths}"
        return f"{dtype}-{numbers}-{self.layout}{paging}-{self.keywords}"


def _is_affordable(dtype: torch.dtype, head_dim: int, heads: tuple[int, int], sequences: Lengths, *_: object) -> bool:
    return heads[0] * sum(q * k for q, k in sequences) * (32 + 2 * head_dim) <= 2**26


def varlen_cases() -> list[PackedCase]:
    """Return the table of cases for ``varlen_forward``."""
    factors = (DTYPES, HEAD_DIMS, HEADS, SEQUENCES, PACKED_LAYOUTS, PACKED_KEYWORDS)
    return [PackedCase(*levels) for levels in all_pairs(*factors, is_affordable=_is_affordable)]


def paged_cases() -> list[PackedCase]:
    """Return the table of cases for ``paged_forward``."""
    layouts = [layout for layout in PACKED_LAYOUTS if layout != "qkv"]
    factors = (DTYPES, HEAD_DIMS, HEADS, SEQUENCES, layouts, PACKED_KEYWORDS, BLOCK_SIZES, CACHE_LAYOUTS)
    return [PackedCase(*levels) for levels in all_pairs(*factors, is_affordable=_is_affordable)]


def ends(lengths: Sequence[int], device: torch.device) -> Tensor:
    """Return the cumulative sum of lengths, from 0: what cu_seqlens holds."""
    return torch.tensor(list(itertools.accumulate(lengths, initial=0)), dtype=torch.int32, device=device)


def packed_tensors(case: PackedCase, device: torch.device) -> list[Tensor]:
    """Build query [Tq, Hq, D], key and value [Tk, Hkv, D] in the case's layout."""
    total_q, total_k = (sum(lengths) for lengths in zip(*case.sequences, strict=True))
    (heads, kv_heads), dim = case.heads, case.head_dim
    options = {"dtype": case.dtype, "device": device}
    shapes = [(total_q, heads, dim), (total_k, kv_heads, dim), (total_k, kv_heads, dim)]
    if case.layout == "htd":
        return [randn(h, t, d, **options).transpose(0, 1) for t, h, d in shapes]
    if case.layout == "sliced":
        outer = [torch.full((t + 4, h + 2, d + 6), torch.nan, **options) for t, h, d in shapes]
        return [x[2:-2, 1:-1, 3:-3].copy_(randn(*s, **options)) for x, s in zip(outer, shapes, strict=True)]
    if case.layout == "qkv":
        projection = randn(max(total_q, total_k), heads + 2 * kv_heads, dim, **options)
        views = projection.split([heads, kv_heads, kv_heads], dim=1)
        return [x[:t] for x, (t, _, _) in zip(views, shapes, strict=True)]
    return [randn(*shape, **options) for shape in shapes]


def packed_keywords(case: PackedCase, device: torch.device) -> dict:
    return make_keywords(case.keywords, len(case.sequences), case.heads[0], dtype=case.dtype, device=device)


def empty_caches(
    num_blocks: int, block_size: int, heads: int, dim: int, layout: str, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return a key and a value cache [num_blocks, block_size, heads, dim] of NaN."""
    options = {"dtype": dtype, "device": device}
    if layout == "interleaved":
        return torch.full((num_blocks, 2, block_size, heads, dim), torch.nan, **options).unbind(1)
    if layout == "heads_first":
        both = torch.full((2, num_blocks, heads, block_size, dim), torch.nan, **options)
        return both.transpose(2, 3).unbind(0)
    return torch.full((2, num_blocks, block_size, heads, dim), torch.nan, **options).unbind(0)


class Cache(NamedTuple):
    """A paged cache that holds packed keys and values: the arguments of paged_forward that follow query."""

    key_cache: Tensor
    value_cache: Tensor
    block_table: Tensor
    seqused_k: Tensor


def paged_cache(key: Tensor, value: Tensor, lengths: Sequence[int], block_size: int, layout: str = "separate") -> Cache:
    """Scatter packed key and value [Tk, Hkv, D] over shuffled blocks, with spare blocks and table entries of -1."""
    needed = [-(-length // block_size) for length in lengths]
    num_blocks, width = sum(needed) + 3, max(needed, default=0) + 2
    _, heads, dim = key.shape
    caches = empty_caches(num_blocks, block_size, heads, dim, layout, key.dtype, key.device)
    free = torch.randperm(num_blocks).tolist()
    table = torch.full((len(lengths), width), -1, dtype=torch.int32)
    row = 0
    for b, length in enumerate(lengths):
        for n in range(needed[b]):
            table[b, n] = block = free.pop()
            count = min(block_size, length - n * block_size)
            for cache, source in zip(caches, (key, value), strict=True):
                cache[block, :count] = source[row : row + count]
            row += count
    used = torch.tensor(lengths, dtype=torch.int32)
    return Cache(*caches, table.to(key.device), used.to(key.device))
