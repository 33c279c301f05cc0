"""A dispatch as a JSON text, for the command line: what ``python -m metalsim count`` reads.

    {
      "constants": {"causal": true},
      "threadgroups": [8, 2, 1],
      "threads_per_threadgroup": [32, 4, 1],
      "threadgroup_memory": {"0": 1024},
      "buffers": {
        "0": {"dtype": "float16", "shape": [2, 256, 64], "fill": "normal"},
        "1": {"dtype": "float32", "shape": [2, 256, 64], "fill": 0},
        "2": {"struct": "<6if", "values": [1, 2, 64, 256, 256, 1, 0.125]},
        "3": {"dtype": "int32", "values": [0, 16, 256]}
      }
    }

A buffer has a dtype (bfloat16 too) with values, or with a shape and a fill ("normal", "arange" or a number); or a struct in
the letters of Python's struct module, with values.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalsim.errors import ValidationError

_SEED = 0


@dataclass(frozen=True)
class Spec:
    """A dispatch, read from its JSON text: the arguments of Library.pipeline and Pipeline.dispatch."""

    constants: dict[int | str, Any]
    arguments: dict[str, Any]


def read(path: Path) -> Spec:
    """Read a dispatch.

    Raises:
        ValidationError: naming the entry that is wrong.
    """
    try:
        fields = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValidationError(f"{path} is not JSON: {error}") from error
    known = {"constants", "threadgroups", "threads", "threads_per_threadgroup", "threadgroup_memory", "buffers"}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ValidationError(f"{path} has the entry {unknown[0]!r}; it may have {', '.join(sorted(known))}")
    random = np.random.default_rng(_SEED)
    buffers = {
        int(index): _buffer(f"buffer {index}", entry, random) for index, entry in fields.pop("buffers", {}).items()
    }
    memory = {int(index): length for index, length in fields.pop("threadgroup_memory", {}).items()}
    constants = {int(key) if key.isdigit() else key: value for key, value in fields.pop("constants", {}).items()}
    return Spec(constants, {**fields, "buffers": buffers, "threadgroup_memory": memory})


def _buffer(what: str, entry: dict[str, Any], random: np.random.Generator) -> Any:
    if "struct" in entry:
        try:
            return struct.pack(entry["struct"], *entry["values"])
        except (struct.error, KeyError) as error:
            raise ValidationError(f"{what}: its values do not fit the struct {entry['struct']!r}: {error}") from error
    name = entry.get("dtype")
    if name is None:
        raise ValidationError(f"{what} must have a dtype or a struct, but has {', '.join(entry) or 'nothing'}")
    if "values" in entry:
        return _as_dtype(what, np.asarray(entry["values"]), name)
    fill = entry.get("fill", 0)
    shape = entry.get("shape", [1])
    if fill == "normal":
        return _as_dtype(what, random.standard_normal(shape, dtype=np.float32), name)
    if fill == "arange":
        return _as_dtype(what, np.arange(int(np.prod(shape))).reshape(shape), name)
    if isinstance(fill, (int, float)):
        return _as_dtype(what, np.full(shape, fill), name)
    raise ValidationError(f'{what}: fill must be "normal", "arange" or a number, but is {fill!r}')


def _as_dtype(what: str, values: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if name == "bfloat16":
        bits = values.astype(np.float32).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    try:
        return values.astype(np.dtype(name))
    except TypeError as error:
        raise ValidationError(f"{what}: {name!r} is no dtype; numpy's names and bfloat16 are known") from error
