"""The calls that a report times, and that ``bench/predictions.py`` predicts: their sizes stand here alone."""

from dataclasses import dataclass
from typing import ClassVar

import torch

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Prefill:
    """``length`` queries over as many keys; batch 1."""

    dtype_name: str
    head_dim: int
    is_causal: bool
    length: ClassVar[int] = 1024
    num_heads: ClassVar[int] = 16

    @property
    def name(self) -> str:
        """What reports and predictions call it."""
        mask = "causal" if self.is_causal else "full"
        return f"prefill {self.dtype_name} D{self.head_dim} {mask}, {self.num_heads} heads, {self.length} tokens"

    @property
    def num_kv_heads(self) -> int:
        """As many as query heads."""
        return self.num_heads


@dataclass(frozen=True)
class Decode:
    """One query over ``length`` keys; batch 1; ``group`` query heads share a kv head."""

    dtype_name: str
    head_dim: int
    group: int
    is_paged: bool
    length: ClassVar[int] = 16384
    num_heads: ClassVar[int] = 32
    block_size: ClassVar[int] = 16

    @property
    def name(self) -> str:
        """What reports and predictions call it."""
        cache = "paged" if self.is_paged else "contiguous"
        heads = f"{self.num_heads} heads, {self.num_kv_heads} kv heads"
        return f"decode {self.dtype_name} D{self.head_dim} {cache}, {heads}, {self.length} keys"

    @property
    def num_kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_heads // self.group


CALLS: tuple[Prefill | Decode, ...] = (
    Prefill("fp16", 64, is_causal=False),
    Prefill("fp16", 128, is_causal=False),
    Prefill("fp16", 128, is_causal=True),
    Prefill("bf16", 128, is_causal=True),
    Prefill("fp32", 128, is_causal=False),
    Decode("fp16", 64, group=1, is_paged=False),
    Decode("fp16", 128, group=4, is_paged=False),
    Decode("fp16", 128, group=8, is_paged=False),
    Decode("fp16", 128, group=8, is_paged=True),
)
