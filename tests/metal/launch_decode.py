"""Launches the kernels of decode.metal and reduce.metal on metalsim, as launch.py does for prefill.

result = decode(query, key, value, tiles=DecodeTiles(simdgroups=4), splits=7, is_causal=True, check=True)
result.out, result.lse, result.counts
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from launch import Call, make_call, numbers, pipeline
from torch import Tensor

import metalsim
from metalsim.counts import Counts, total

MAX_ROWS = 32


class DecodeTiles(NamedTuple):
    """A tile choice of the decode kernel; ``rows`` None: as few as there is a kernel for."""

    rows: int | None = None  #: that share a kv head's keys: 1 to 4, or 8, 16, 24, 32
    simdgroups: int = 4
    key_tile: int | None = None  #: None: 32 for vectors, 16 for matrices
    row_tiles: int = 1  #: of 8 rows, of a simdgroup; matrices only

    def __str__(self) -> str:
        return f"rows{self.rows or ''}x{self.row_tiles}-{self.simdgroups}-keys{self.key_tile or ''}"

    def fitting(self, rows: int) -> "DecodeTiles":
        """Return the choice for so many rows, with nothing left open."""
        padded = rows if rows <= 4 else -(-rows // (8 * self.row_tiles)) * 8 * self.row_tiles
        chosen = self.rows or padded
        assert rows <= chosen <= MAX_ROWS
        return self._replace(rows=chosen, key_tile=self.key_tile or (32 if chosen <= 4 else 16))

    def macros(self) -> dict[str, object]:
        return {
            "FUSED_ATTN_ROWS": self.rows,
            "FUSED_ATTN_SIMDGROUPS": self.simdgroups,
            "FUSED_ATTN_KEY_TILE": self.key_tile,
            "FUSED_ATTN_ROW_TILES": self.row_tiles,
        }


DEFAULT_TILES = DecodeTiles()


@dataclass
class DecodeResult:
    """What the kernels return; the last three are None where keys are not split."""

    out: Tensor
    lse: Tensor
    run: metalsim.Run
    merge_run: metalsim.Run | None = None
    partial_out: Tensor | None = None  #: [splits, rows, Dv]
    partial_lse: Tensor | None = None  #: [splits, rows]

    @property
    def counts(self) -> Counts:
        """Return the counts of both kernels."""
        return self.run.counts if self.merge_run is None else total((self.run.counts, self.merge_run.counts))


def has_aligned_rows(call: Call) -> bool:
    """Return whether all rows of key and value begin at multiples of 16 bytes, as the host finds out."""
    number, params = numbers(), call.params
    distances = [params.key_block, params.value_block]
    for operand in (params.key, params.value):
        distances += [operand.batch, operand.head, operand.row]
    tensors = [call.buffers[number[name]] for name in ("kKeyBuffer", "kValueBuffer")]
    distances += [tensor.storage_offset() for tensor in tensors]
    return all(distance * tensors[0].element_size() % 16 == 0 for distance in distances)


def run_decode(
    call: Call, tiles: DecodeTiles = DEFAULT_TILES, splits: int = 1, keys_per_split: int = 0, **dispatch: Any
) -> DecodeResult:
    """Run the decode kernel, and merge_splits after it where there are several splits."""
    number, params = numbers(), call.params
    params.num_splits, params.keys_per_split = splits, keys_per_split
    tiles = tiles.fitting(params.queries_per_kv_head * call.len_q)
    constants = call.constants | {
        number["kIsSplitConstant"]: splits > 1,
        number["kAlignedRowsConstant"]: has_aligned_rows(call),
    }
    built = pipeline("decode.metal", "decode", {**call.macros, **tiles.macros()}, constants)
    partial_out = torch.full((splits, call.lse.numel(), call.out.shape[-1]), torch.nan)
    partial_lse = torch.full((splits, call.lse.numel()), torch.nan)
    partial = {number["kPartialOutBuffer"]: partial_out, number["kPartialLseBuffer"]: partial_lse}
    run = built.dispatch(
        threadgroups=(splits, call.num_kv_heads, call.batch),
        threads_per_threadgroup=(32 * tiles.simdgroups,),
        buffers=call.bind(built, partial),
        **dispatch,
    )
    if splits == 1:
        return DecodeResult(call.out, call.lse, run)
    sinks = number["kHasSinksConstant"]
    macros = {name: call.macros[name] for name in ("FUSED_ATTN_ELEMENT", "FUSED_ATTN_HEAD_DIM_V")}
    merge = pipeline("reduce.metal", "merge_splits", macros, {sinks: call.constants[sinks]})
    merge_run = merge.dispatch(
        threadgroups=(call.lse.shape[-1], call.num_heads, call.batch if call.lse.dim() == 3 else 1),
        threads_per_threadgroup=(number["kMergeThreads"],),
        buffers=call.bind(merge, partial),
        **dispatch,
    )
    return DecodeResult(call.out, call.lse, run, merge_run, partial_out, partial_lse)


_DISPATCH = ("check", "count", "schedule", "workers")


def decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    tiles: DecodeTiles = DEFAULT_TILES,
    splits: int = 1,
    keys_per_split: int = 0,
    **options: Any,
) -> DecodeResult:
    """Run decoding on a call of an operator; ``check``, ``count`` and ``schedule`` are metalsim's."""
    dispatch = {name: options.pop(name) for name in _DISPATCH if name in options}
    return run_decode(make_call(query, key, value, **options), tiles, splits, keys_per_split, **dispatch)
