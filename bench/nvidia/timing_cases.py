"""What is timed: prefill and decode as the issue of the suite lists them, and a few calls that others are compared with."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
#: What kernel_plan is told of the GPU, so that keys are split for it: an H200 has so many multiprocessors.
CORES = 132
PREFILL_HEADS, DECODE_HEADS = 16, 32
BLOCK_SIZE = 16
#: The naive kernel is timed up to here.
NAIVE_LENGTH = 4096


@dataclass(frozen=True)
class PrefillTiming:
    """As many keys as queries. Short calls have a batch, so that they fill the card."""

    dtype: str
    head_dim: int
    length: int
    is_causal: bool
    window: int = 0  #: keys that a query sees, itself included; 0: all
    heads: int = PREFILL_HEADS

    @property
    def batch(self) -> int:
        return max(1, 4096 // self.length)

    @property
    def name(self) -> str:
        rule = f"window {self.window}" if self.window else "causal" if self.is_causal else "full"
        return f"prefill D{self.head_dim} {rule} {self.dtype} N{self.length}"


@dataclass(frozen=True)
class DecodeTiming:
    """One query for each sequence."""

    dtype: str
    head_dim: int
    batch: int
    context: int
    group: int
    is_paged: bool

    @property
    def kv_heads(self) -> int:
        return DECODE_HEADS // self.group

    @property
    def kv_bytes(self) -> int:
        return 2 * 2 * self.batch * self.kv_heads * self.context * self.head_dim

    @property
    def name(self) -> str:
        cache = "paged" if self.is_paged else "contiguous"
        return (
            f"decode D{self.head_dim} {cache} {self.dtype} batch {self.batch} gqa {self.group} context {self.context}"
        )


def prefill_timings() -> Iterator[PrefillTiming]:
    for length in (1024, 2048, 4096, 8192, 16384):
        for dtype in DTYPES:
            for head_dim in (64, 96, 128):
                for is_causal in (False, True):
                    yield PrefillTiming(dtype, head_dim, length, is_causal)
    for length in (16384, 131072):
        yield PrefillTiming("fp16", 64, length, True, window=1024, heads=4)


def decode_timings() -> Iterator[DecodeTiming]:
    for context in (4096, 32768, 131072):
        for batch in (1, 16):
            for group in (1, 4, 8, 16):
                for is_paged in (False, True):
                    yield DecodeTiming("fp16", 128, batch, context, group, is_paged)
    for head_dim, dtype in ((64, "fp16"), (128, "bf16")):
        for group in (1, 8):
            for is_paged in (False, True):
                yield DecodeTiming(dtype, head_dim, 16, 32768, group, is_paged)
