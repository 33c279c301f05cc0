"""What the tests of Metal's standard library share: names of types, dispatching, and kernels that evaluate expressions."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

import metalsim

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
NUMPY = {
    "float": np.float32,
    "half": np.float16,
    "char": np.int8,
    "uchar": np.uint8,
    "short": np.int16,
    "ushort": np.uint16,
    "int": np.int32,
    "uint": np.uint32,
    "long": np.int64,
    "ulong": np.uint64,
}
TORCH = {"float": torch.float32, "half": torch.float16, "bfloat": torch.bfloat16}


def run(pipeline: metalsim.Pipeline, buffers: dict[int, Any], threads: int) -> None:
    groups = max(1, threads // 512)
    pipeline.dispatch(
        threadgroups=(groups, 1, 1), threads_per_threadgroup=(threads // groups, 1, 1), buffers=buffers, check=True
    )


def equal(actual: Any, expected: Any) -> None:
    """Bit for bit, but that any NaN is as good as another."""
    np.testing.assert_array_equal(np.asarray(actual), np.asarray(expected))


def evaluate(expressions: Iterable[str], kind: str, width: int, arguments: list[Any]) -> tuple[Any, list[Any]]:
    """Return the value of each expression in x, y and z for all arguments, and these as vectors."""
    vector = kind if width == 1 else f"{kind}{width}"
    newline = "\n  "
    lines = [f"out[{row} * count + i] = {expression};" for row, expression in enumerate(expressions)]
    text = f"""{HEADER}
kernel void evaluate(const device {vector}* a [[buffer(0)]], const device {vector}* b [[buffer(1)]],
                     const device {vector}* c [[buffer(2)]], device {vector}* out [[buffer(3)]],
                     uint i [[thread_position_in_grid]], uint count [[threads_per_grid]]) {{
  const {vector} x = a[i];
  const {vector} y = b[i];
  const {vector} z = c[i];
  {newline.join(lines)}
}}
"""
    stored = 4 if width == 3 else width
    given = [np.ascontiguousarray(argument.reshape(-1, stored)) for argument in arguments]
    out = np.zeros((len(lines), *given[0].shape), given[0].dtype)
    run(metalsim.compile(text).pipeline("evaluate"), {0: given[0], 1: given[1], 2: given[2], 3: out}, len(given[0]))
    return out[..., :width], [argument[..., :width] for argument in given]
