"""The calls whose kernels are counted, and the GPUs for which kernel_plan chooses ours."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from kernel_case import attention_inputs
from torch import Tensor

#: The GPUs, by their family's number: the cost model knows their cores.
FAMILIES = {"M1 Max": 7, "M4 Pro": 9}
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
HEAD_DIMS = (64, 96, 128)

LENGTH, HEADS = 1024, 16  #: of prefill
CONTEXT, DECODE_HEADS, BLOCK_SIZE = 16384, 32, 16  #: of decode, which has one query token
CACHE_HEADS, CACHE_HEAD_DIM = 8, 128  #: of the cache that is written and copied


@dataclass(frozen=True)
class Prefill:
    """Attention of LENGTH queries over as many keys, batch 1, HEADS heads."""

    dtype_name: str
    head_dim: int
    is_causal: bool

    @property
    def name(self) -> str:
        return f"D{self.head_dim} {'causal' if self.is_causal else 'full'} {self.dtype_name}"

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.dtype_name]

    def inputs(self, length: int, heads: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        return attention_inputs(1, heads, heads, length, length, self.head_dim, self.dtype)


@dataclass(frozen=True)
class Decode:
    """Attention of one query over CONTEXT keys, batch 1, DECODE_HEADS heads, ``group`` of which share a kv head."""

    dtype_name: str
    head_dim: int
    group: int
    is_paged: bool

    @property
    def name(self) -> str:
        cache = "paged" if self.is_paged else "contiguous"
        return f"gqa {self.group} D{self.head_dim} {cache} {self.dtype_name}"

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.dtype_name]

    @property
    def kv_heads(self) -> int:
        return DECODE_HEADS // self.group

    @functools.cached_property
    def contiguous(self) -> "Decode":
        return Decode(self.dtype_name, self.head_dim, self.group, False)

    def inputs(self, keys: int, kv_heads: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        return attention_inputs(1, kv_heads * self.group, kv_heads, 1, keys, self.head_dim, self.dtype)


@dataclass(frozen=True)
class Auxiliary:
    """A call of a kernel that is not attention. ``size`` is the one size that its calls differ in."""

    function: str
    what: str  #: the size, for people
    size: int
    element: str = "half"  #: as kernel_plan calls it; of a mask its kind

    @property
    def name(self) -> str:
        return f"{self.function}, {self.what}"


def prefill_cases() -> Iterator[Prefill]:
    for dtype in DTYPES:
        for head_dim in HEAD_DIMS:
            for is_causal in (False, True):
                yield Prefill(dtype, head_dim, is_causal)


def decode_cases() -> Iterator[Decode]:
    for group in (1, 4, 8, 16):
        for head_dim in HEAD_DIMS:
            for is_paged in (False, True):
                yield Decode("fp16", head_dim, group, is_paged)


def auxiliary_cases() -> Iterator[Auxiliary]:
    for mask in ("bool", "float"):
        yield Auxiliary("label_mask_tiles", f"{mask} mask [{LENGTH}, {LENGTH}]", LENGTH, mask)
    for splits in (8, 32):
        yield Auxiliary("merge_splits", f"{splits} splits", splits)
    yield Auxiliary("merge_states", f"{LENGTH} rows", LENGTH)
    for tokens in (16, LENGTH):
        yield Auxiliary("reshape_and_cache", f"{tokens} tokens", tokens)
    yield Auxiliary("copy_blocks", "64 pairs", 64)
