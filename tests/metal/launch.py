"""Launches the kernels of metal/ on metalsim, as the host code does on a Mac, without torch's mps device.

The structs, buffer numbers and function constants are read from metal/params.h, so that they are declared once.

    tiles = Tiles(simdgroups=4, row_tiles=1, key_tile=32, staged=True)
    result = prefill(query, key, value, tiles=tiles, is_causal=True, check=True)
    result.out, result.lse, result.counts
"""

import ctypes
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import metalsim
from metalsim.counts import Counts

METAL = Path(__file__).parents[2] / "metal"
UNLIMITED = 1 << 30

NAMES = {torch.float16: "half", torch.bfloat16: "bfloat", torch.float32: "float"}
_SCALARS = {
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "float": ctypes.c_float,
}
#: What the operators take as keywords, besides tensors that say where keys are.
DEFAULTS: dict[str, Any] = {
    "attn_mask": None,
    "is_causal": False,
    "scale": None,
    "alibi_slopes": None,
    "window_left": -1,
    "window_right": -1,
    "softcap": 0.0,
    "sinks": None,
    "causal_alignment": "bottom_right",
}


def _without_comments(text: str) -> str:
    return re.sub(r"//.*", "", text)


@functools.cache
def structs() -> dict[str, type[ctypes.Structure]]:
    """Return the structs of params.h as ctypes, by name."""
    text = _without_comments((METAL / "params.h").read_text())
    known: dict[str, Any] = dict(_SCALARS)
    found: dict[str, type[ctypes.Structure]] = {}
    for name, body in re.findall(r"struct (\w+) \{(.*?)\};", text, re.DOTALL):
        fields = []
        for type_name, names in re.findall(r"(\w+)\s+([\w\s,]+);", body):
            fields += [(member.strip(), known[type_name]) for member in names.split(",")]
        found[name] = known[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    return found


@functools.cache
def numbers() -> dict[str, int]:
    """Return the enumerators of params.h: buffers, function constants, kinds of mask."""
    text = _without_comments((METAL / "params.h").read_text())
    return {name: int(value) for name, value in re.findall(r"\b(k\w+) = (\d+)\b", text)}


class Tiles(NamedTuple):
    """A tile choice of the prefill kernel; ``stage`` is what K and V are staged as, None: as they are."""

    simdgroups: int = 4
    row_tiles: int = 1
    key_tile: int = 32
    staged: bool = True
    stage: torch.dtype | None = None

    def __str__(self) -> str:
        variant = "direct" if not self.staged else "staged" + (NAMES[self.stage] if self.stage else "")
        return f"{variant}{self.simdgroups}x{self.row_tiles}x{self.key_tile}"

    @property
    def rows(self) -> int:
        return self.simdgroups * self.row_tiles * 8

    def macros(self, dtype: torch.dtype) -> dict[str, object]:
        return {
            "FUSED_ATTN_SIMDGROUPS": self.simdgroups,
            "FUSED_ATTN_ROW_TILES": self.row_tiles,
            "FUSED_ATTN_KEY_TILE": self.key_tile,
            "FUSED_ATTN_STAGED": int(self.staged),
            "FUSED_ATTN_STAGE_ELEMENT": NAMES[self.stage or dtype],
        }


@functools.cache
def _library(file: str, macros: tuple[tuple[str, object], ...]) -> metalsim.Library:
    return metalsim.compile(METAL / file, [METAL], dict(macros))


@functools.cache
def _pipeline(
    file: str, name: str, macros: tuple[tuple[str, object], ...], constants: tuple[tuple[int, int | bool], ...]
) -> metalsim.Pipeline:
    return _library(file, macros).pipeline(name, dict(constants), instrumented=True)


def pipeline(
    file: str, name: str, macros: Mapping[str, object], constants: Mapping[int, int | bool] | None = None
) -> metalsim.Pipeline:
    """Compile a kernel of metal/, once, for checks and counts: file, kernel, preprocessor macros, function constants."""
    return _pipeline(file, name, tuple(sorted(macros.items())), tuple(sorted((constants or {}).items())))


@dataclass
class Call:
    """One attention call as its kernels see it: struct of parameters, buffers, macros and function constants."""

    params: Any
    buffers: dict[int, Any]
    macros: dict[str, object]
    constants: dict[int, int | bool]
    out: Tensor
    lse: Tensor
    batch: int
    num_heads: int
    num_kv_heads: int
    len_q: int  #: of the longest sequence
    len_k: int

    def bind(self, built: metalsim.Pipeline, extra: Mapping[int, Any] | None = None) -> dict[int, Any]:
        """Return the buffers that a pipeline has, with the parameters as they are now."""
        known = {argument.index for argument in built.arguments}
        every = {**self.buffers, numbers()["kParamsBuffer"]: bytes(self.params), **(extra or {})}
        return {index: buffer for index, buffer in every.items() if index in known}


@dataclass
class Result:
    """What a launch returns."""

    out: Tensor
    lse: Tensor
    run: metalsim.Run
    labels: Tensor | None = None
    label_run: metalsim.Run | None = field(default=None)

    @property
    def counts(self) -> Counts:
        return self.run.counts


def _set_strides(target: Any, tensor: Tensor, dims: tuple[int | None, int | None, int | None]) -> None:
    for name, dim in zip(("batch", "head", "row"), dims, strict=True):
        setattr(target, name, 0 if dim is None or tensor.shape[dim] == 1 else tensor.stride(dim))


def make_call(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    cu_seqlens_q: Tensor | None = None,
    cu_seqlens_k: Tensor | None = None,
    block_table: Tensor | None = None,
    seqused_k: Tensor | None = None,
    max_seqlen_q: int | None = None,
    **options: Any,
) -> Call:
    """Prepare a dense call, a packed one (cu_seqlens) or a paged one (block_table); outputs are NaN before they are written.

    Tensors and options are those of the operators; head dims must be multiples of 8.
    """
    number = numbers()
    params = structs()["AttentionParams"]()
    unknown = set(options) - set(DEFAULTS)
    assert not unknown, unknown
    options = {**DEFAULTS, **options}
    is_paged, is_dense = block_table is not None, cu_seqlens_q is None
    buffers: dict[int, Any] = {
        number["kQueryBuffer"]: query,
        number["kKeyBuffer"]: key,
        number["kValueBuffer"]: value,
    }
    if is_dense:
        batch, num_heads, len_q, _ = query.shape
        num_kv_heads, len_k = key.shape[1:3]
        dims: tuple[Any, Any, Any] = (0, 1, 2)
        kv_dims = dims
        out = torch.full((*query.shape[:3], value.shape[-1]), torch.nan, dtype=query.dtype)
        lse = torch.full(query.shape[:3], torch.nan)
        params.len_k = len_k
        params.lse_batch, params.lse_head = lse.stride(0), lse.stride(1)
    else:
        total, num_heads, _ = query.shape
        num_kv_heads = key.shape[-2]
        batch = cu_seqlens_q.numel() - 1
        lengths = cu_seqlens_q.diff()
        len_q = max_seqlen_q if max_seqlen_q is not None else int(lengths.max()) if batch else 0
        dims = (None, 1, 0)
        kv_dims = (None, 2, 1) if is_paged else dims
        out = torch.full((total, num_heads, value.shape[-1]), torch.nan, dtype=query.dtype)
        lse = torch.full((num_heads, total), torch.nan)
        params.total_q = total
        params.lse_head = lse.stride(0)
        buffers[number["kCuSeqlensQBuffer"]] = cu_seqlens_q
        if is_paged:
            assert seqused_k is not None
            assert block_table is not None
            len_k = int(seqused_k.max()) if batch else 0
            params.key_block, params.value_block = key.stride(0), value.stride(0)
            params.max_blocks, params.num_blocks = block_table.shape[1], key.shape[0]
            buffers |= {number["kLengthsBuffer"]: seqused_k, number["kBlockTableBuffer"]: block_table}
        else:
            assert cu_seqlens_k is not None
            params.total_k = key.shape[0]
            len_k = int(cu_seqlens_k.diff().max()) if batch else 0
            buffers[number["kLengthsBuffer"]] = cu_seqlens_k
    params.len_q = len_q
    _set_strides(params.query, query, dims)
    _set_strides(params.out, out, dims)
    _set_strides(params.key, key, kv_dims)
    _set_strides(params.value, value, kv_dims)
    params.num_heads = num_heads
    params.queries_per_kv_head = num_heads // num_kv_heads
    buffers |= {number["kOutBuffer"]: out, number["kLseBuffer"]: lse}
    constants = _set_options(params, buffers, query, (batch, num_heads, len_q, len_k), options)
    constants[number["kBlockSizeConstant"]] = key.shape[1] if is_paged else 1
    constants[number["kIsPartConstant"]] = False
    macros = {
        "FUSED_ATTN_ELEMENT": NAMES[query.dtype],
        "FUSED_ATTN_HEAD_DIM": query.shape[-1],
        "FUSED_ATTN_HEAD_DIM_V": value.shape[-1],
        "FUSED_ATTN_KV_SOURCE": 0 if is_dense else 2 if is_paged else 1,
    }
    sizes = (batch, num_heads, num_kv_heads, len_q, len_k)
    return Call(params, buffers, macros, constants, out, lse, *sizes)


def _set_options(
    params: Any, buffers: dict[int, Any], query: Tensor, shape: tuple[int, int, int, int], options: dict[str, Any]
) -> dict[int, int | bool]:
    """Fill in what the operators' keywords say, and return the function constants."""
    number = numbers()
    left, right = options["window_left"], options["window_right"]
    if options["is_causal"]:
        right = 0 if right < 0 else min(right, 0)
    params.window_left = left if 0 <= left < UNLIMITED else UNLIMITED
    params.window_right = right if 0 <= right < UNLIMITED else UNLIMITED
    params.is_top_left = options["causal_alignment"] == "top_left"
    params.scale = query.shape[-1] ** -0.5 if options["scale"] is None else options["scale"]
    params.softcap = options["softcap"]
    slopes, sinks, mask = options["alibi_slopes"], options["sinks"], options["attn_mask"]
    kind = 0
    if slopes is not None:
        slopes = slopes.float().contiguous()
        params.alibi_batch = slopes.shape[1] if slopes.dim() == 2 else 0
        buffers[number["kAlibiSlopesBuffer"]] = slopes
    if sinks is not None:
        buffers[number["kSinksBuffer"]] = sinks.float().contiguous()
    if mask is not None:
        while mask.dim() < 4:
            mask = mask[None]
        _set_strides(params.mask, mask, (0, 1, 2))
        params.mask_column = 0 if mask.shape[3] == 1 else mask.stride(3)
        assert all(n in (1, full) for n, full in zip(mask.shape, shape, strict=True))
        buffers[number["kMaskBuffer"]] = mask
        kind = number[
            {torch.bool: "kBoolMask", torch.float32: "kFloatMask", torch.float16: "kHalfMask"}.get(
                mask.dtype, "kBfloatMask"
            )
        ]
    return {
        number["kMaskKindConstant"]: kind,
        number["kLimitsKeysConstant"]: params.window_left != UNLIMITED or params.window_right != UNLIMITED,
        number["kHasAlibiConstant"]: slopes is not None,
        number["kHasSoftcapConstant"]: params.softcap > 0,
        number["kHasSinksConstant"]: sinks is not None,
    }


def _tiles(length: int, tile: int) -> int:
    return -(-length // tile)


def label_mask_tiles(call: Call, tiles: Tiles, **dispatch: Any) -> tuple[Tensor, metalsim.Run]:
    """Run the pre-pass over a call's mask, and return its labels [mask batch, mask head, query tile, key tile]."""
    number = numbers()
    macros = {"FUSED_ATTN_QUERY_TILE": tiles.rows, "FUSED_ATTN_KEY_TILE": tiles.key_tile}
    constants = {number[name]: call.constants[number[name]] for name in ("kMaskKindConstant", "kIsPartConstant")}
    built = pipeline("mask_tiles.metal", "label_mask_tiles", macros, constants)
    batches = call.batch if call.params.mask.batch else 1
    heads = call.num_heads if call.params.mask.head else 1
    query_tiles, key_tiles = _tiles(call.len_q, tiles.rows), _tiles(call.len_k, tiles.key_tile)
    labels = torch.full((batches, heads, query_tiles, key_tiles), 255, dtype=torch.uint8)
    run = built.dispatch(
        threadgroups=(key_tiles, query_tiles, batches * heads),
        threads_per_threadgroup=(number["kLabelThreads"],),
        buffers=call.bind(built, {number["kMaskTilesBuffer"]: labels}),
        **dispatch,
    )
    return labels, run


def run_prefill(call: Call, tiles: Tiles, **dispatch: Any) -> Result:
    """Run the prefill kernel, after the pre-pass where there is a mask; ``dispatch`` is what Pipeline.dispatch takes."""
    labels, label_run, extra = None, None, {}
    if numbers()["kMaskBuffer"] in call.buffers:
        labels, label_run = label_mask_tiles(call, tiles, **dispatch)
        extra = {numbers()["kMaskTilesBuffer"]: labels}
    macros = {**call.macros, **tiles.macros(call.out.dtype)}
    built = pipeline("prefill.metal", "prefill", macros, call.constants)
    run = built.dispatch(
        threadgroups=(_tiles(call.len_q, tiles.rows), call.num_heads, call.batch),
        threads_per_threadgroup=(32 * tiles.simdgroups,),
        buffers=call.bind(built, extra),
        **dispatch,
    )
    return Result(call.out, call.lse, run, labels, label_run)


_DISPATCH = ("check", "count", "schedule", "workers")


def prefill(query: Tensor, key: Tensor, value: Tensor, *, tiles: Tiles, **options: Any) -> Result:
    """Run the prefill kernel on a call of an operator; ``check``, ``count`` and ``schedule`` are metalsim's."""
    dispatch = {name: options.pop(name) for name in _DISPATCH if name in options}
    return run_prefill(make_call(query, key, value, **options), tiles, **dispatch)
