"""PyTorch's and MLX's own kernels, compiled from the sources in their wheels and dispatched as their host code does."""

import functools
from collections.abc import Callable

import real_kernels

from bench.kernels.cases import Decode, Prefill
from bench.kernels.counting import DECODE_LENGTHS, PREFILL_LENGTHS, Measured
from bench.kernels.figures import Shape

#: By the name of who made them.
PREFILL: dict[str, Callable[..., real_kernels.Case]] = {
    "PyTorch": real_kernels.torch_prefill,
    "MLX": real_kernels.mlx_steel,
}
DECODE: dict[str, Callable[..., real_kernels.Case]] = {
    f"{name}, {passes}": functools.partial(build, two_pass=two_pass)
    for name, build in (("PyTorch", real_kernels.torch_decode), ("MLX", real_kernels.mlx_vector))
    for passes, two_pass in (("one pass", False), ("two passes", True))
}


def shape_of(case: Prefill) -> Shape:
    """Return how both cut up prefill; simdgroups have 8 rows."""
    return Shape(tile_rows=32, tile_keys=16 if case.head_dim == 128 else 32, product_rows=8)


def run_case(case: real_kernels.Case) -> Measured:
    runs = tuple(dispatch.run(dispatch.pipeline(), count="lines") for dispatch in case.dispatches)
    return Measured(runs, case.output, case.reference)


def run_prefill(name: str, case: Prefill, length: int, heads: int = 1) -> Measured:
    return run_case(PREFILL[name](*case.inputs(length, heads), causal=case.is_causal))


def run_decode(name: str, case: Decode, keys: int, kv_heads: int = 1) -> Measured:
    """Run decoding of a contiguous cache: they have no kernel for a paged one."""
    return run_case(DECODE[name](*case.inputs(keys, kv_heads)))


def compile_prefill(name: str, case: Prefill) -> None:
    compile_case(PREFILL[name](*case.inputs(min(PREFILL_LENGTHS)), causal=case.is_causal))


def compile_decode(name: str, case: Decode) -> None:
    compile_case(DECODE[name](*case.inputs(min(DECODE_LENGTHS))))


def compile_case(case: real_kernels.Case) -> None:
    for dispatch in case.dispatches:
        dispatch.pipeline().prepare_checks()
