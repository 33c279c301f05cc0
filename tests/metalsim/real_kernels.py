"""Attention kernels of PyTorch and MLX: their sources, how they are dispatched, and what they must compute.

Each function below (``torch_prefill``, ``torch_decode``, ``mlx_steel``, ``mlx_vector``, ``mlx_gated_delta``) builds a
:class:`Case` for given tensors: the dispatches as PyTorch's or MLX's host code makes them (function name, function constants,
grid, structs of arguments), the output, and the float64 result. A dispatch does not care whether its pipeline comes of the
source or of Apple's AIR.

    query, key, value = attention_inputs(1, 4, 2, 70, 93, 64, torch.float16)
    case = torch_prefill(query, key, value, causal=True)
    output = case.run()                                    # compiled from source by metalsim
    output = case.run(Dispatch.air_pipeline, check=True)   # compiled by Apple, with metalsim's checks
    assert relative_error(output, case.reference) < TOLERANCE[torch.float16]
"""

import math
import struct
from pathlib import Path

import torch
from gated_delta import MLX_GATED_DELTA, mlx_gated_delta
from kernel_case import MLX_NAMES, TOLERANCE, Case, Dispatch, Source, attention, attention_inputs, bits, relative_error
from torch import Tensor

from metalsim.air import wheels

__all__ = [
    "MLX_GATED_DELTA",
    "MLX_STEEL",
    "MLX_VECTOR",
    "SOURCES",
    "TOLERANCE",
    "TORCH_DECODE",
    "TORCH_PREFILL",
    "Case",
    "Dispatch",
    "Source",
    "attention",
    "attention_inputs",
    "bits",
    "mlx_gated_delta",
    "mlx_steel",
    "mlx_vector",
    "relative_error",
    "torch_decode",
    "torch_prefill",
]


def _torch_metal_3() -> Path:
    """Return PyTorch's library for Metal 3; the other one, for Metal 4, has the same kernels."""
    return wheels.torch_metallibs()[0]


# PyTorch includes both headers in one file of its repository that its wheel does not have.
TORCH_PREFILL = Source(
    "PyTorch prefill",
    """
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
#include <c10/metal/utils.h>
using namespace metal;
#include <ATen/native/mps/kernels/PrefillAttention.h>
""",
    wheels.torch_headers,
    _torch_metal_3,
)

TORCH_DECODE = Source(
    "PyTorch decode",
    """
#include <metal_simdgroup>
#include <metal_stdlib>
#include <c10/metal/utils.h>
using namespace metal;
#include <ATen/native/mps/kernels/DecodeAttention.h>
""",
    wheels.torch_headers,
    _torch_metal_3,
)

# MLX's wheel has the headers of its kernels, but not the .metal files that instantiate them.
MLX_STEEL = Source(
    "MLX steel",
    """
#include "mlx/backend/metal/kernels/utils.h"
#include "mlx/backend/metal/kernels/steel/attn/kernels/steel_attention.h"

#define instantiate_attention(tname, dtype, bq, bk, bd, wm, mname, mtype) \\
  instantiate_kernel("steel_attention_" #tname "_bq" #bq "_bk" #bk "_bd" #bd "_bv" #bd "_wm" #wm "_wn1_mask" #mname, \\
                     attention, dtype, bq, bk, bd, bd, wm, 1, mtype, float)
#define instantiate_shapes(tname, dtype, mname, mtype) \\
  instantiate_attention(tname, dtype, 32, 32, 64, 4, mname, mtype) \\
  instantiate_attention(tname, dtype, 32, 32, 80, 4, mname, mtype) \\
  instantiate_attention(tname, dtype, 32, 32, 96, 4, mname, mtype) \\
  instantiate_attention(tname, dtype, 32, 16, 128, 4, mname, mtype)
#define instantiate_masks(tname, dtype) \\
  instantiate_shapes(tname, dtype, tname, dtype) \\
  instantiate_shapes(tname, dtype, bool_, bool)

instantiate_masks(float16, half)
instantiate_masks(bfloat16, bfloat16_t)
instantiate_masks(float32, float)
""",
    wheels.mlx_headers,
    wheels.mlx_metallib,
)

MLX_VECTOR = Source(
    "MLX vector",
    """
#include "mlx/backend/metal/kernels/utils.h"
#include "mlx/backend/metal/kernels/sdpa_vector.h"

#define instantiate_vector(type, head_dim) \\
  instantiate_kernel("sdpa_vector_" #type "_" #head_dim "_" #head_dim, sdpa_vector, type, head_dim, head_dim) \\
  instantiate_kernel("sdpa_vector_2pass_1_" #type "_" #head_dim "_" #head_dim, sdpa_vector_2pass_1, type, head_dim, \\
                     head_dim) \\
  instantiate_kernel("sdpa_vector_2pass_2_" #type "_" #head_dim, sdpa_vector_2pass_2, type, head_dim)
#define instantiate_head_dims(type) \\
  instantiate_vector(type, 64) \\
  instantiate_vector(type, 96) \\
  instantiate_vector(type, 128) \\
  instantiate_vector(type, 256)

instantiate_head_dims(float)
instantiate_head_dims(bfloat16_t)
instantiate_head_dims(float16_t)
""",
    wheels.mlx_headers,
    wheels.mlx_metallib,
)

SOURCES = (TORCH_PREFILL, TORCH_DECODE, MLX_STEEL, MLX_VECTOR, MLX_GATED_DELTA)


_NAMES = {torch.float16: "float16", torch.bfloat16: "bfloat16", torch.float32: "float32"}
_METAL_NAMES = {torch.float16: "half", torch.bfloat16: "bfloat", torch.float32: "float"}


def _strides(tensor: Tensor) -> tuple[int, int, int]:
    """Return the strides of batch, head and position; elements of a head are contiguous."""
    assert tensor.stride(-1) == 1
    return tensor.stride(0), tensor.stride(1), tensor.stride(2)


def _uints(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _full_mask(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return mask.expand(*query.shape[:3], key.shape[2]).contiguous()


#: Queries and keys of a tile, and simdgroups, by head dimension (PyTorch's Attention.mm).
_PREFILL_TILES = dict.fromkeys((32, 64, 72, 80, 96), (32, 32, 4)) | {128: (32, 16, 4), 256: (16, 8, 2)}


def torch_prefill(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal: bool = False,
    mask: Tensor | None = None,
    softcap: float | None = None,
) -> Case:
    """PyTorch's matrix kernel; causal is aligned to the upper left. PrefillAttention.h has the struct of arguments."""
    batch, heads, queries, head_dim = query.shape
    kv_heads, keys = key.shape[1:3]
    block_q, block_k, simdgroups = _PREFILL_TILES[head_dim]
    mask_name = "bool_" if mask is not None and mask.dtype == torch.bool else _NAMES[query.dtype]
    function = f"prefill_attention_{_NAMES[query.dtype]}_bq{block_q}_bk{block_k}_bd{head_dim}_wm{simdgroups}_wn1"
    function += f"_hm{int(mask is not None)}_dc{int(causal)}_mask{mask_name}"
    output = torch.empty_like(query)
    sizes = (batch, heads, head_dim, queries, keys, heads // kv_heads)
    strides = (*_strides(query), *_strides(key), *_strides(value), *_strides(output))
    arguments = struct.pack("<6i2f12i", *sizes, 1 / math.sqrt(head_dim), softcap or 1.0, *strides)
    buffers: dict[int, Tensor | bytes] = {0: query, 1: key, 2: value, 3: output, 4: arguments}
    if mask is not None:
        full = _full_mask(mask, query, key)
        buffers |= {5: struct.pack("<4i", *full.stride()), 6: full}
    dispatch = Dispatch(TORCH_PREFILL, function, (-(-queries // block_q), heads, batch), (32, simdgroups, 1), buffers)
    reference = attention(query, key, value, causal_offset=0 if causal else None, mask=mask, softcap=softcap)
    return Case((dispatch,), output, reference)


def torch_decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal: bool = False,
    mask: Tensor | None = None,
    two_pass: bool = False,
) -> Case:
    """PyTorch's kernel for few queries, in one pass or with the keys in 32 blocks; causal is aligned to the upper left."""
    batch, heads, queries, head_dim = query.shape
    kv_heads, keys = key.shape[1:3]
    name = _METAL_NAMES[query.dtype]
    suffix = "_masknone_causal" if causal else "_masknone"
    mask_buffer, mask_strides = torch.zeros(1), (0, 0, 0, 0)
    if mask is not None:
        mask_buffer = _full_mask(mask, query, key)
        mask_strides = (1, mask_buffer.stride(2), mask_buffer.stride(1), mask_buffer.stride(0))
        suffix = "_maskbool" if mask.dtype == torch.bool else f"_mask{name}"
    output = torch.empty(query.shape, dtype=query.dtype)
    (q_batch, q_head, q_position), (k_batch, k_head, k_position) = _strides(query), _strides(key)
    v_batch, v_head, v_position = _strides(value)
    # A uint3 takes the room of a uint4.
    tail: tuple[Tensor | bytes, ...] = (
        _uints(heads // kv_heads),
        _uints(keys),
        _uints(q_head, k_head, v_head, 0),
        _uints(q_position, k_position, v_position, 0),
        struct.pack("<f", 1 / math.sqrt(head_dim)),
        mask_buffer,
        _uints(*mask_strides),
        _uints(q_batch, k_batch, v_batch, heads),
    )
    inputs: dict[int, Tensor | bytes] = {0: query, 1: key, 2: value}
    reference = attention(query, key, value, causal_offset=0 if causal else None, mask=mask)
    dims = f"{name}_{head_dim}_{head_dim}{suffix}"
    if not two_pass:
        buffers = {**inputs, 3: output, **dict(enumerate(tail, 4))}
        one = Dispatch(TORCH_DECODE, f"sdpa_vector_{dims}", (batch * heads, queries, 1), (1024, 1, 1), buffers)
        return Case((one,), output, reference)

    blocks = 32
    partial, sums, maxima = _partial_results(query, blocks)
    first = Dispatch(
        TORCH_DECODE,
        f"sdpa_vector_2pass_1_{dims}",
        (batch * heads, queries, blocks),
        (8 * 32, 1, 1),
        {**inputs, 3: partial, 4: sums, 5: maxima, **dict(enumerate(tail, 6))},
    )
    second = Dispatch(
        TORCH_DECODE,
        f"sdpa_vector_2pass_2_{name}_{head_dim}",
        (batch * heads, queries, 1),
        (1024, 1, 1),
        {0: partial, 1: sums, 2: maxima, 3: output},
    )
    return Case((first, second), output, reference)


def _partial_results(query: Tensor, blocks: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return buffers for the blocks' outputs, sums and maxima."""
    rows = query.shape[0] * query.shape[1] * query.shape[2] * blocks
    return torch.zeros(rows * query.shape[3], dtype=query.dtype), torch.zeros(rows), torch.zeros(rows)


#: Queries and keys of a tile by head dimension (MLX's scaled_dot_product_attention.cpp).
_STEEL_TILES = {64: (32, 32), 80: (32, 32), 96: (32, 32), 128: (32, 16)}
_STEEL_SIMDGROUPS = 4


def mlx_steel(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal: bool = False,
    mask: Tensor | None = None,
) -> Case:
    """MLX's matrix kernel; causal is aligned to the lower right. steel/attn/params.h has the structs of arguments."""
    batch, heads, queries, head_dim = query.shape
    kv_heads, keys = key.shape[1:3]
    block_q, block_k = _STEEL_TILES[head_dim]
    name = _NAMES[query.dtype]
    mask_name = "bool_" if mask is not None and mask.dtype == torch.bool else name
    function = f"steel_attention_{name}_bq{block_q}_bk{block_k}_bd{head_dim}_bv{head_dim}"
    function += f"_wm{_STEEL_SIMDGROUPS}_wn1_mask{mask_name}"
    output = torch.empty_like(query)
    sizes = (batch, heads, head_dim, queries, keys, heads // kv_heads)
    blocks = (-(-queries // block_q), -(-keys // block_k), queries // block_q, keys // block_k)
    remainders = (queries % block_q, keys % block_k, keys - queries)
    strides = (*_strides(query), *_strides(key), *_strides(value), *_strides(output))
    arguments = struct.pack("<6if7i12q", *sizes, 1 / math.sqrt(head_dim), *blocks, *remainders, *strides)
    buffers: dict[int, Tensor | bytes] = {0: query, 1: key, 2: value, 3: output, 4: arguments}
    if mask is not None:
        full = _full_mask(mask, query, key)
        buffers |= {5: struct.pack("<3q", *full.stride()[:3]), 6: full}
    align_q, align_k, has_mask, do_causal, has_sinks, save_lse = 200, 201, 300, 301, 302, 303
    constants = {
        align_q: queries % block_q == 0,
        align_k: keys % block_k == 0,
        has_mask: mask is not None,
        do_causal: causal,
        has_sinks: False,
        save_lse: False,
    }
    grid = (blocks[0], heads, batch)
    dispatch = Dispatch(MLX_STEEL, function, grid, (32, _STEEL_SIMDGROUPS, 1), buffers, constants)
    reference = attention(query, key, value, causal_offset=keys - queries if causal else None, mask=mask)
    return Case((dispatch,), output, reference)


#: Parts into which the two-pass kernel splits the keys; a multiple of 32.
_VECTOR_BLOCKS = 32


def _vector_constants(causal: bool, mask: Tensor | None) -> dict[int, bool | int]:
    has_mask, query_transposed, do_causal, bool_mask, float_mask, has_sinks, block_count = range(20, 27)
    is_bool = mask is not None and mask.dtype == torch.bool
    return {
        has_mask: mask is not None,
        query_transposed: False,
        do_causal: causal,
        bool_mask: is_bool,
        float_mask: mask is not None and not is_bool,
        has_sinks: False,
        block_count: _VECTOR_BLOCKS,
    }


def _vector_arguments(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor | bytes, ...]:
    """Return the buffers from the number of keys on, which both passes have alike."""
    # The head stride steps over batches, too: [batch, kv_heads] must be evenly strided.
    assert key.stride(0) == key.shape[1] * key.stride(1)
    assert value.stride(0) == value.shape[1] * value.stride(1)
    strides = (key.stride(1), key.stride(2), value.stride(1), value.stride(2))
    scale = struct.pack("<f", 1 / math.sqrt(query.shape[3]))
    sizes = (_uints(key.shape[2]), *(struct.pack("<Q", stride) for stride in strides), scale)
    if mask is None:
        return sizes
    full = _full_mask(mask, query, key)
    # A mask is bound twice: of the bool and the additive one, the function constants turn one off.
    return (*sizes, full, full, *(_uints(stride) for stride in (full.stride(3), full.stride(2), full.stride(1))))


def mlx_vector(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal: bool = False,
    mask: Tensor | None = None,
    two_pass: bool = False,
) -> Case:
    """MLX's kernel for few queries, in one pass or two; causal is aligned to the lower right. Query must be contiguous."""
    batch, heads, queries, head_dim = query.shape
    kv_heads, keys = key.shape[1:3]
    name = MLX_NAMES[query.dtype]
    constants = _vector_constants(causal, mask)
    arguments = _vector_arguments(query, key, value, mask)
    output = torch.empty_like(query)
    inputs: dict[int, Tensor | bytes] = {0: query, 1: key, 2: value}
    reference = attention(query, key, value, causal_offset=keys - queries if causal else None, mask=mask)
    if not two_pass:
        buffers = {**inputs, 3: output, 4: _uints(heads // kv_heads), **dict(enumerate(arguments, 5))}
        function = f"sdpa_vector_{name}_{head_dim}_{head_dim}"
        one = Dispatch(MLX_VECTOR, function, (batch * heads, queries, 1), (1024, 1, 1), buffers, constants)
        return Case((one,), output, reference)

    partial, sums, maxima = _partial_results(query, _VECTOR_BLOCKS)
    first = Dispatch(
        MLX_VECTOR,
        f"sdpa_vector_2pass_1_{name}_{head_dim}_{head_dim}",
        (kv_heads, batch, _VECTOR_BLOCKS),
        (32, heads // kv_heads, queries),
        {**inputs, 3: partial, 4: sums, 5: maxima, **dict(enumerate(arguments, 7))},
        constants,
    )
    second = Dispatch(
        MLX_VECTOR,
        f"sdpa_vector_2pass_2_{name}_{head_dim}",
        (batch * heads, queries, 1),
        (1024, 1, 1),
        {0: partial, 1: sums, 2: maxima, 3: output, 4: _uints(_VECTOR_BLOCKS)},
        constants,
    )
    return Case((first, second), output, reference)
