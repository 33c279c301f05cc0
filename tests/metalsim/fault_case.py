"""Kernels with one fault each (fault_cases/), and the same kernels without it (fault_good/), as their comments describe them.

A file begins with these lines; a value goes on in lines that are indented by three blanks:

    // expect: RaceError                   what check=True must raise; "numerical" = a wrong result; "nothing" in fault_good/
    // also: UninitializedReadError        other errors that the same mistake may cause
    // at: 12, 15                          lines of which the finding must name one, and all findings only these
    // place: buffer 1, byte 112           optional: the first access
    // offsets: {"0": 4}                   optional: bytes at which buffers are bound
    // reference: {"causal": true}         optional: the result is attention, with these options
    // dispatch: {...}                     as metalsim/spec.py reads it
    // One sentence that says what is wrong, or right.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from real_kernels import attention

import metalsim
from metalsim import spec

FOLDER = Path(__file__).parent
_FIELD = re.compile(
    r"^// (expect|also|at|place|offsets|reference|dispatch): (.*(?:\n//   .*)*(?:\n// \}\})?)$", re.MULTILINE
)
#: Relative error of a float32 result; a fault's is a thousand times as large.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class FaultCase:
    """One file. Attributes are the lines of its comment."""

    path: Path
    expect: str
    also: tuple[str, ...]
    lines: tuple[int, ...]
    place: str | None
    offsets: dict[int, int]
    reference: dict[str, bool] | None
    dispatch: str

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return self.path.stem

    @classmethod
    def read(cls, path: Path) -> "FaultCase":
        """Read the comment of a file."""
        fields = {key: value.replace("\n//", "\n") for key, value in _FIELD.findall(path.read_text())}
        return cls(
            path,
            fields["expect"],
            tuple(fields["also"].split(", ")) if "also" in fields else (),
            tuple(map(int, re.findall(r"\d+", fields.get("at", "none")))),
            fields.get("place"),
            {int(index): offset for index, offset in json.loads(fields.get("offsets", "{}")).items()},
            json.loads(fields["reference"]) if "reference" in fields else None,
            fields["dispatch"],
        )

    def compile(self) -> metalsim.Pipeline:
        """Compile the file's kernel, with what checks need."""
        library = metalsim.compile(self.path)
        (kernel,) = library.kernel_names
        pipeline = library.pipeline(kernel, json.loads(self.dispatch).get("constants", {}))
        pipeline.prepare_checks()
        return pipeline

    def run(self, pipeline: metalsim.Pipeline, scratch: Path) -> dict[int, Any]:
        """Run it in all orders with checks, and return the buffers."""
        (scratch / "dispatch.json").write_text(self.dispatch)
        arguments = spec.read(scratch / "dispatch.json").arguments
        buffers: dict[int, Any] = arguments.pop("buffers")
        bound = {i: (buffer, self.offsets[i]) if i in self.offsets else buffer for i, buffer in buffers.items()}
        pipeline.dispatch(**arguments, buffers=bound, check=True, schedule=metalsim.ALL_SCHEDULES)
        return buffers

    def error_of_result(self, buffers: dict[int, Any]) -> float:
        """Return the error of a result relative to attention in float64, for a case with a reference."""
        assert self.reference is not None
        expected = _attention_of(buffers, **self.reference)
        return float(np.abs(buffers[3] - expected).max() / np.abs(expected).max())


def _attention_of(buffers: dict[int, Any], causal: bool, alibi: bool = False) -> np.ndarray:
    """Return attention of query, key and value (buffers 0 to 2), each [tokens, heads, head_dim]."""
    query, key, value = (torch.from_numpy(buffers[i]).transpose(0, 1)[None] for i in range(3))
    queries, keys, heads = query.shape[2], key.shape[2], query.shape[1]
    mask = None
    if alibi:
        slopes = 2.0 ** (-8.0 / heads * torch.arange(1, heads + 1, dtype=torch.float64))
        distance = torch.arange(queries)[:, None] + keys - queries - torch.arange(keys)
        mask = -slopes[:, None, None] * distance
    out = attention(query, key, value, causal_offset=keys - queries if causal else None, mask=mask)
    assert not math.isnan(float(out.sum()))
    return out[0].transpose(0, 1).numpy()


def fault_cases() -> list[FaultCase]:
    """Return the kernels with a fault."""
    return [FaultCase.read(path) for path in sorted((FOLDER / "fault_cases").glob("*.metal"))]


def good_cases() -> list[FaultCase]:
    """Return the kernels without one."""
    return [FaultCase.read(path) for path in sorted((FOLDER / "fault_good").glob("*.metal"))]
