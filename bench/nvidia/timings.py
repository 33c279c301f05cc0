"""Times calls on the GPU: medians of device events around CUDA graphs, warm, with inputs rotated past the L2."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from bench.nvidia.kernels import Bound
from bench.nvidia.names import NATIVE
from bench.nvidia.pipelines import Store
from bench.nvidia.timing_calls import decode_calls, prefill_calls
from bench.nvidia.timing_cases import DecodeTiming, PrefillTiming

#: A kernel is measured for about so long: at least so many times, at most so many.
_BUDGET_SECONDS = 0.15
_FEWEST, _MOST = 3, 15
#: Largest difference from torch's result: tensor cores round operands of float products to tf32.
_TOLERANCE = {"fp16": 1e-2, "bf16": 6e-2}


def run(call: Bound | Callable[[], Tensor]) -> Tensor:
    if isinstance(call, Bound):
        call.run()
        return call.out
    return call()


def _elapsed(do: Callable[[], Any]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    do()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def measure(calls: Sequence[Bound | Callable[[], Tensor]]) -> dict[str, float | int]:
    """Return seconds of one call: median, least and most of graphs that make all calls one after the other."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for call in calls[:2]:
            run(call)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for call in calls:
            run(call)
    first = _elapsed(graph.replay)
    times = max(_FEWEST, min(_MOST, int(_BUDGET_SECONDS / max(first, 1e-9))))
    seconds = [_elapsed(graph.replay) / len(calls) for _ in range(times)]
    return {
        "median": statistics.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "rounds": times,
        "inputs": len(calls),
    }


def copy_bandwidth() -> float:
    """Return bytes read and written a second by a copy of 4 GiB."""
    source = torch.empty(2**32, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * source.numel() / statistics.median(_elapsed(lambda: target.copy_(source)) for _ in range(9))


def time_case(case: PrefillTiming | DecodeTiming, store: Store) -> list[dict[str, Any]]:
    """Time each kernel of a case, and compare what it computes with torch's result."""
    make = prefill_calls if isinstance(case, PrefillTiming) else decode_calls
    rows: list[dict[str, Any]] = []
    outputs: dict[str, Tensor] = {}
    about = {"case": case.name, "kind": type(case).__name__, **asdict(case)}
    torch.manual_seed(0)
    for name, calls in make(case, store, "cuda"):  # type: ignore[arg-type]
        try:
            outputs[name] = run(calls[0]).float().clone()
            rows.append({**about, "kernel": name, **measure(calls)})
        except Exception as error:
            rows.append({**about, "kernel": name, "error": f"{type(error).__name__}: {error}"[:300]})
        del calls
    expected = outputs.get(NATIVE)
    if expected is None and outputs:
        expected = next(iter(outputs.values()))
    for row in rows:
        if "error" not in row and row["kernel"] != NATIVE:
            difference = float((outputs[row["kernel"]].view(expected.shape) - expected).abs().max())
            row["difference"] = difference
            row["is_right"] = difference <= _TOLERANCE[case.dtype]
    return rows


def time_cases(cases: Sequence[Any], store: Store, deadline: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for n, case in enumerate(cases):
        if time.monotonic() > deadline:
            print(f"out of time: {len(cases) - n} cases are left", flush=True)
            break
        try:
            found = time_case(case, store)
        except Exception as error:  # of making the inputs: the next case shall be timed all the same
            print(f"{case.name}: FAILED {type(error).__name__}: {error}"[:400], flush=True)
            torch.cuda.empty_cache()
            continue
        rows += found
        texts = [
            f"{row['kernel']} {row['median'] * 1e6:.0f}{'' if row.get('is_right', True) else ' WRONG'}"
            if "median" in row
            else f"{row['kernel']} FAILED {row['error']}"
            for row in found
        ]
        print(f"{case.name}: {' | '.join(texts)}", flush=True)
        torch.cuda.empty_cache()
    return rows
