"""How fast metalsim executes kernels on this machine: ``python -m bench.metalsim_speed``. It says nothing about a GPU."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import metalsim

# How PyTorch's kernels are dispatched is written down once, for the tests.
sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "metalsim")]
from real_kernels import attention_inputs, torch_prefill  # noqa: E402  (needs the path above)

ROUNDS = 30
ITERATIONS = 20_000

OPERATIONS = """
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

kernel void product(device float* out [[buffer(0)]], constant int& n [[buffer(1)]], uint t [[thread_index_in_threadgroup]]) {
  simdgroup_float8x8 a(0.5f), b(0.9f);
  simdgroup_float8x8 c = make_filled_simdgroup_matrix<float, 8, 8>(float(t) * 0.001f);
  for (int i = 0; i < n; i++) {
    simdgroup_multiply_accumulate(c, a, b, c);
  }
  out[t] = c.thread_elements()[0];
}

kernel void shuffle(device float* out [[buffer(0)]], constant int& n [[buffer(1)]], uint t [[thread_index_in_threadgroup]]) {
  float x = t;
  for (int i = 0; i < n; i++) {
    x = simd_shuffle_xor(x, ushort(1 << (i & 3))) * 1.0001f;
  }
  out[t] = x;
}

kernel void barrier(device float* out [[buffer(0)]], constant int& n [[buffer(1)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float last;
  for (int i = 0; i < n; i++) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t == 0) {
      last = i;
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = last;
}
"""


def fastest(run: Callable[[], metalsim.Run]) -> float:
    """Return the shortest time of some runs, in seconds."""
    return min(run().seconds for _ in range(ROUNDS))


def row(what: str, value: str, goal: str = "", met: bool | None = None) -> str:
    verdict = "" if met is None else "met" if met else "MISSED"
    return f"| {what} | {value} | {goal} | {verdict} |"


def operations() -> list[str]:
    library = metalsim.compile(OPERATIONS)
    out, count = np.zeros(128, np.float32), np.array([ITERATIONS], np.int32)
    lines = []
    for name, what, threads, goal in (
        ("product", "simdgroup product of 8x8 matrices", 32, 300),
        ("shuffle", "simd_shuffle_xor", 32, None),
        ("barrier", "threadgroup_barrier of 128 threads", 128, None),
    ):
        pipeline = library.pipeline(name)
        seconds = fastest(lambda: pipeline.dispatch((1,), (threads,), {0: out, 1: count}, workers=1))  # noqa: B023
        nanoseconds = seconds / ITERATIONS * 1e9
        limit = f"at most {goal} ns" if goal else ""
        lines.append(row(what, f"{nanoseconds:.0f} ns", limit, nanoseconds <= goal if goal else None))
    return lines


def prefill() -> list[str]:
    inputs = attention_inputs(1, 2, 2, 512, 512, 64, torch.float16)
    (dispatch,) = torch_prefill(*inputs).dispatches
    pipeline = dispatch.pipeline()
    pipeline.prepare_checks()
    one = fastest(lambda: dispatch.run(pipeline, workers=1))
    two = fastest(lambda: dispatch.run(pipeline, workers=2))
    counted = fastest(lambda: dispatch.run(pipeline, count=True))
    checked = fastest(lambda: dispatch.run(pipeline, check=True))
    name = "PyTorch's prefill, B1 H2 N512 D64 fp16"
    return [
        row(f"{name}, one core", f"{one * 1e3:.1f} ms", "at most 60 ms", one <= 0.060),
        row("the same on two cores", f"{one / two:.2f} times as fast", "at least 1.7", one / two >= 1.7),
        row("the same, counted", f"{counted / one:.1f} times as slow"),
        row("the same, checked", f"{checked / one:.1f} times as slow", "at most 8", checked / one <= 8),
    ]


def main() -> None:
    print(f"| what | fastest of {ROUNDS} | goal |  |\n| --- | --- | --- | --- |")
    for line in (*operations(), *prefill()):
        print(line)


if __name__ == "__main__":
    main()
