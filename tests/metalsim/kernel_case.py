"""A kernel with a case of its use: a source, the dispatches that compute something with it, and what they must compute.

A dispatch does not care whether its pipeline comes of the source or of Apple's AIR. real_kernels.py builds cases of PyTorch's
and MLX's kernels.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import metalsim
from metalsim import air

Triple = tuple[int, int, int]

#: How MLX's host names of kernels spell a dtype.
MLX_NAMES = {torch.float16: "float16_t", torch.bfloat16: "bfloat16_t", torch.float32: "float"}

#: Largest relative RMS error against float64: what rounding to the dtype explains, with room to spare.
TOLERANCE = {torch.float32: 2e-6, torch.float16: 1.5e-3, torch.bfloat16: 1e-2}


@dataclass(frozen=True)
class Source:
    """A Metal source, and the library that Apple's compiler made of it."""

    name: str
    text: str
    headers: Callable[[], Path]
    metallib: Callable[[], Path]

    @functools.cached_property
    def library(self) -> metalsim.Library:
        """Return the source, compiled by metalsim."""
        return metalsim.compile(self.text, [self.headers()])

    @functools.cached_property
    def air_library(self) -> air.MetalLibrary:
        """Return the library that Apple compiled."""
        return air.MetalLibrary(self.metallib())


@dataclass(frozen=True)
class Dispatch:
    """One dispatch of a kernel. A buffer is a tensor, which the kernel may write, or bytes."""

    source: Source
    function: str
    threadgroups: Triple
    threads_per_threadgroup: Triple
    buffers: Mapping[int, Tensor | bytes]
    constants: Mapping[int, bool | int] = field(default_factory=dict)

    def pipeline(self) -> metalsim.Pipeline:
        """Compile the kernel from its source."""
        return self.source.library.pipeline(self.function, dict(self.constants.items()))

    def air_pipeline(self) -> metalsim.Pipeline:
        """Take the kernel that Apple compiled."""
        return air.pipeline(self.source.air_library, self.function, self.constants)

    def run(self, pipeline: metalsim.Pipeline, **options: Any) -> metalsim.Run:
        """Run it; ``options`` are those of :meth:`metalsim.Pipeline.dispatch`."""
        known = {argument.index for argument in pipeline.arguments}
        buffers = {index: buffer for index, buffer in self.buffers.items() if index in known}
        return pipeline.dispatch(self.threadgroups, self.threads_per_threadgroup, buffers, **options)


@dataclass(frozen=True)
class Case:
    """One attention, as one or more dispatches.

    Attributes:
        dispatches: in their order.
        output: what they write.
        reference: what they must write, in float64.
    """

    dispatches: tuple[Dispatch, ...]
    output: Tensor
    reference: Tensor

    def run(self, pipeline_of: Callable[[Dispatch], metalsim.Pipeline] = Dispatch.pipeline, **options: Any) -> Tensor:
        """Run all dispatches and return a copy of the output. It is NaN before, so that what is not written shows."""
        self.output.fill_(math.nan)
        for dispatch in self.dispatches:
            dispatch.run(pipeline_of(dispatch), **options)
        return self.output.clone()


def relative_error(output: Tensor, reference: Tensor) -> float:
    """Return the root mean square of the error, relative to that of the reference."""
    error = (output.double() - reference).square().mean().sqrt()
    return float(error / reference.square().mean().sqrt())


def bits(tensor: Tensor) -> Tensor:
    """Return the tensor's bits as integers, so that NaN equals itself and -0 differs from 0."""
    return tensor.view({2: torch.int16, 4: torch.int32}[tensor.element_size()])


def attention_inputs(
    batch: int, heads: int, kv_heads: int, queries: int, keys: int, head_dim: int, dtype: torch.dtype, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return random query, key and value, each [batch, heads, length, head_dim]."""
    generator = torch.Generator().manual_seed(seed)

    def normal(h: int, length: int) -> Tensor:
        return torch.randn(batch, h, length, head_dim, generator=generator).to(dtype)

    return normal(heads, queries), normal(kv_heads, keys), normal(kv_heads, keys)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal_offset: int | None = None,
    mask: Tensor | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Define attention in float64; a query without any key gets 0.

    Args:
        query: [batch, heads, queries, head_dim].
        key: [batch, kv_heads, keys, head_dim].
        value: like key.
        causal_offset: query i sees keys 0 ... i + causal_offset; None = all.
        mask: bool (True = visible) or additive, broadcast to [batch, heads, queries, keys].
        softcap: as in PyTorch's kernel, which caps the score times log2(e).
    """
    query, key, value = query.double(), key.double(), value.double()
    group = query.shape[1] // key.shape[1]
    score = query @ key.repeat_interleave(group, 1).mT / math.sqrt(query.shape[-1])
    if causal_offset is not None:
        visible = torch.ones(score.shape[-2:], dtype=torch.bool).tril(causal_offset)
        score = score.masked_fill(~visible, -math.inf)
    if mask is not None:
        score = score.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else score + mask.double()
    if softcap is not None:
        log2e = math.log2(math.e)
        score = softcap * torch.tanh(score * log2e / softcap) / log2e
    return torch.softmax(score, -1).nan_to_num(0.0) @ value.repeat_interleave(group, 1)
