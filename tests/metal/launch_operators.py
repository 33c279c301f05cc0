"""Launches the kernels of operators that are not attention on metalsim: merge_states, reshape_and_cache and copy_blocks.

key_cache, value_cache = torch.zeros(2, 9, 16, 8, 128)
copy_blocks(key_cache, value_cache, torch.tensor([[0, 3]]), check=True)
"""

from typing import Any

import torch
from launch import NAMES, numbers, pipeline, structs
from torch import Tensor

import metalsim

THREADS = 64  #: of a threadgroup: any number will do, and the host's is another one
COLUMNS = 4  #: of a thread of merge_states


def _set(strides: Any, tensor: Tensor, dims: tuple[int | None, int, int]) -> None:
    strides.batch, strides.head, strides.row = (0 if dim is None else tensor.stride(dim) for dim in dims)


def run_merge_states(
    out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor, threads: int = THREADS, **dispatch: Any
) -> tuple[Tensor, Tensor, metalsim.Run]:
    """Merge [B, H, L, D] and [B, H, L], or [T, H, D] and [H, T]; what is written is NaN before."""
    number, params = numbers(), structs()["MergeStatesParams"]()
    is_packed = out_a.dim() == 3
    out, lse = torch.full(out_a.shape, torch.nan, dtype=out_a.dtype), torch.full(lse_a.shape, torch.nan)
    dims, lse_dims = ((None, 1, 0), (None, 0, 1)) if is_packed else ((0, 1, 2), (0, 1, 2))
    for name, tensor in (("out_a", out_a), ("out_b", out_b), ("out", out)):
        _set(getattr(params, name), tensor, dims)
    for name, tensor in (("lse_a", lse_a), ("lse_b", lse_b), ("lse", lse)):
        _set(getattr(params, name), tensor, lse_dims)
    params.len_q = lse.shape[-1]
    head_dim = out.shape[-1]
    macros = {"FUSED_ATTN_ELEMENT": NAMES[out.dtype], "FUSED_ATTN_HEAD_DIM_V": head_dim}
    names = ("kOutABuffer", "kLseABuffer", "kOutBBuffer", "kLseBBuffer", "kMergedOutBuffer", "kMergedLseBuffer")
    buffers: dict[int, Any] = {
        number[name]: tensor for name, tensor in zip(names, (out_a, lse_a, out_b, lse_b, out, lse), strict=True)
    }
    buffers[number["kMergeStatesParamsBuffer"]] = bytes(params)
    row_threads = params.len_q * -(-head_dim // COLUMNS)
    grid = (-(-row_threads // threads), lse.shape[-2], 1 if is_packed else lse.shape[0])
    run = pipeline("reduce.metal", "merge_states", macros).dispatch(grid, (threads,), buffers, **dispatch)
    return out, lse, run


def merge_states(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor, **dispatch: Any) -> tuple[Tensor, Tensor]:
    """Do the same, where nobody asks about the run."""
    return run_merge_states(out_a, lse_a, out_b, lse_b, **dispatch)[:2]


def _bytes(tensor: Tensor, dim: int) -> int:
    return tensor.stride(dim) * tensor.element_size()


def unit_of(*tensors: Tensor) -> int:
    """Return the largest unit that divides every row's address and length, as the host finds out."""
    distances = [tensor.shape[-1] for tensor in tensors] + [tensor.storage_offset() for tensor in tensors]
    distances += [stride for tensor in tensors for stride in tensor.stride()[:-1]]
    size = tensors[0].element_size()
    return next(unit for unit in (16, 4, 2) if all(distance * size % unit == 0 for distance in distances))


def _set_caches(params: Any, key_cache: Tensor, value_cache: Tensor) -> None:
    for strides, cache in ((params.key_cache, key_cache), (params.value_cache, value_cache)):
        strides.block, strides.token, strides.head = (_bytes(cache, dim) for dim in range(3))
    params.num_blocks, params.block_size, params.num_kv_heads, head_dim = key_cache.shape
    params.row_bytes = head_dim * key_cache.element_size()


def _buffers(params: Any, mapping: Tensor, key_cache: Tensor, value_cache: Tensor) -> dict[int, Any]:
    number = numbers()
    return {
        number["kKeyCacheBuffer"]: key_cache,
        number["kValueCacheBuffer"]: value_cache,
        number["kMappingBuffer"]: mapping,
        number["kCacheParamsBuffer"]: bytes(params),
    }


def reshape_and_cache(
    key: Tensor,
    value: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    slots: Tensor,
    threads: int = THREADS,
    **dispatch: Any,
) -> metalsim.Run:
    """Write key and value, [T, Hkv, D] each, into caches [blocks, block size, Hkv, D] at slots, int64 [T]."""
    number, params = numbers(), structs()["ReshapeAndCacheParams"]()
    params.key_token, params.key_head = _bytes(key, 0), _bytes(key, 1)
    params.value_token, params.value_head = _bytes(value, 0), _bytes(value, 1)
    _set_caches(params, key_cache, value_cache)
    params.unit_bytes = unit_of(key, value, key_cache, value_cache)
    buffers = {number["kNewKeyBuffer"]: key, number["kNewValueBuffer"]: value}
    return pipeline("kv_cache.metal", "reshape_and_cache", {}).dispatch(
        (slots.numel(),), (threads,), buffers | _buffers(params, slots, key_cache, value_cache), **dispatch
    )


def copy_blocks(
    key_cache: Tensor, value_cache: Tensor, mapping: Tensor, sharers: int = 1, threads: int = THREADS, **dispatch: Any
) -> metalsim.Run:
    """Copy blocks of both caches by pairs of source and destination, int64 [N, 2]; ``sharers`` threadgroups a pair."""
    params = structs()["CopyBlocksParams"]()
    _set_caches(params, key_cache, value_cache)
    params.unit_bytes = unit_of(key_cache, value_cache)
    buffers = _buffers(params, mapping, key_cache, value_cache)
    return pipeline("kv_cache.metal", "copy_blocks", {}).dispatch(
        (mapping.shape[0], sharers), (threads,), buffers, **dispatch
    )
