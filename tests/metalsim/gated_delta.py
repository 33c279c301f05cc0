"""MLX's kernel for the gated delta rule: no attention, but of all public kernels the one that uses simdgroup matrices most.

It loads and stores them from memory, transposed, while other operands are put together element by element: its result is
right only if simdgroup_load has the lane layout that the source assumes. It also has simdgroup_multiply and a prefix sum.
"""

import struct

import torch
from kernel_case import MLX_NAMES, Case, Dispatch, Source
from torch import Tensor

from metalsim.air import wheels

MLX_GATED_DELTA = Source(
    "MLX gated delta rule",
    """
#include "mlx/backend/metal/kernels/utils.h"
#include "mlx/backend/metal/kernels/gated_delta_update.h"

#define instantiate_chunk(type) \\
  instantiate_kernel("gated_delta_fused_chunk_" #type "_128_128_16_16_8", gated_delta_fused_chunk, type, 128, 128, 16, 16, 8)

instantiate_chunk(float)
instantiate_chunk(float16_t)
instantiate_chunk(bfloat16_t)
""",
    wheels.mlx_headers,
    wheels.mlx_metallib,
)

#: The sizes that the instantiation of MLX_GATED_DELTA is made for.
GATED_DELTA_HEADS, GATED_DELTA_HEAD_DIM = 16, 128


def mlx_gated_delta(batch: int, length: int, dtype: torch.dtype, seed: int = 0) -> Case:
    """Build the rule on random unit queries and keys; the output is y, [batch, length, heads, head_dim]."""
    heads, head_dim = GATED_DELTA_HEADS, GATED_DELTA_HEAD_DIM
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, length, heads, head_dim)

    def unit_rows() -> Tensor:
        return torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=-1).to(dtype)

    query, key = unit_rows(), unit_rows()
    value = torch.randn(shape, generator=generator).to(dtype)
    decay, rate = (torch.rand(shape[:3], generator=generator).mul(0.5).add(0.5).to(dtype) for _ in range(2))
    state = torch.randn(batch, heads, head_dim, head_dim, generator=generator)
    output, new_state = torch.empty(shape, dtype=dtype), torch.empty_like(state)
    inputs: tuple[Tensor | bytes, ...] = (query, key, value, state, decay, rate, output, new_state)
    dispatch = Dispatch(
        MLX_GATED_DELTA,
        f"gated_delta_fused_chunk_{MLX_NAMES[dtype]}_128_128_16_16_8",
        (1, head_dim // 8 // 4, batch * heads),
        (32, 4, 1),
        dict(enumerate((*inputs, struct.pack("<i", length)))),
    )
    return Case((dispatch,), output, _gated_delta(query, key, value, state, decay, rate))


def _gated_delta(query: Tensor, key: Tensor, value: Tensor, state: Tensor, decay: Tensor, rate: Tensor) -> Tensor:
    """Define the gated delta rule: decay the state, then move its answer to the key towards the value."""
    query, key, value, state, decay, rate = (x.double() for x in (query, key, value, state, decay, rate))
    outputs = []
    for t in range(query.shape[1]):
        state = state * decay[:, t, :, None, None]
        answer = (state * key[:, t, :, None, :]).sum(-1)
        delta = (value[:, t] - answer) * rate[:, t, :, None]
        state = state + delta[..., None] * key[:, t, :, None, :]
        outputs.append((state * query[:, t, :, None, :]).sum(-1))
    return torch.stack(outputs, 1)
