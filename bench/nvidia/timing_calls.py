"""The calls of the timing cases: what each kernel gets, several times over, so that no call finds its inputs in the L2."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import real_kernels
import torch
import torch.nn.functional as F
from launch import make_call, numbers
from torch import Tensor

from bench.nvidia.kernels import Bound, naive, ours, theirs
from bench.nvidia.names import CHIPS, NAIVE, NATIVE, OURS
from bench.nvidia.pipelines import Recorder, Store
from bench.nvidia.timing_cases import BLOCK_SIZE, CORES, DECODE_HEADS, DTYPES, NAIVE_LENGTH, DecodeTiming, PrefillTiming

#: Bytes that a round of calls reads at least: more than twice the 60 MB of an H200's L2.
_ROUND_BYTES = 160 << 20
_MOST_INPUTS = 16

THEIR_DECODE = {
    f"{name}, {passes}": partial(build, two_pass=two_pass)
    for name, build in (("PyTorch", real_kernels.torch_decode), ("MLX", real_kernels.mlx_vector))
    for passes, two_pass in (("one pass", False), ("two passes", True))
}

#: Makes one call ready.
Factory = Callable[[], Callable[[], Any]]


def input_count(bytes_read: int) -> int:
    return max(2, min(_MOST_INPUTS, -(-_ROUND_BYTES // bytes_read)))


def _randn(*shape: int, dtype: torch.dtype, device: str) -> Tensor:
    return torch.randn(shape, dtype=dtype, device=device)


def prefill_calls(
    case: PrefillTiming, store: Store, device: str
) -> Iterator[tuple[str, list[Bound | Callable[[], Tensor]]]]:
    """Yield each kernel's name and its calls, one for each copy of the inputs."""
    shape = (case.batch, case.heads, case.length, case.head_dim)
    size = 3 * 2 * case.batch * case.heads * case.length * case.head_dim
    inputs = [
        [_randn(*shape, dtype=DTYPES[case.dtype], device=device) for _ in range(3)] for _ in range(input_count(size))
    ]
    options: dict[str, Any] = {"is_causal": case.is_causal}
    if case.window:
        options["window_left"] = case.window - 1
    for chip, family in CHIPS.items():
        yield f"{OURS}, {chip}", [_ours(store, case.name, family, tensors, options, device) for tensors in inputs]
    if case.window:
        return
    for name, build in (("PyTorch", real_kernels.torch_prefill), ("MLX", real_kernels.mlx_steel)):
        yield name, [theirs(store, "tensor", build, *tensors, causal=case.is_causal) for tensors in inputs]
    if case.length <= NAIVE_LENGTH and case.dtype == "fp16" and not case.is_causal:
        yield NAIVE, [naive(store, *tensors) for tensors in inputs]
    yield NATIVE, [partial(F.scaled_dot_product_attention, *tensors, is_causal=case.is_causal) for tensors in inputs]


def _ours(
    store: Store, name: str, family: int, tensors: list[Tensor], options: dict[str, Any], device: str, **where: Any
) -> Bound:
    with torch.device(device):
        call = make_call(*tensors, **options, **where)
    number = numbers()
    for buffer in ("kCuSeqlensQBuffer", "kLengthsBuffer"):
        if number[buffer] in call.buffers and device != "meta":
            call.buffers[number[buffer]] = call.buffers[number[buffer]].to(device)
    return ours(store, name, call, family, "tensor", cores=CORES)


def decode_calls(
    case: DecodeTiming, store: Store, device: str
) -> Iterator[tuple[str, list[Bound | Callable[[], Tensor]]]]:
    dtype = DTYPES[case.dtype]
    count = input_count(case.kv_bytes)
    shape = (case.batch, case.kv_heads, case.context, case.head_dim)
    inputs = []
    for _ in range(count):
        query = _randn(case.batch, DECODE_HEADS, 1, case.head_dim, dtype=dtype, device=device)
        inputs.append([query, *(_randn(*shape, dtype=dtype, device=device) for _ in range(2))])
    if case.is_paged:
        yield from _paged_calls(case, store, device, inputs)
        return
    for chip, family in CHIPS.items():
        yield f"{OURS}, {chip}", [_ours(store, case.name, family, tensors, {}, device) for tensors in inputs]
    for name, build in THEIR_DECODE.items():
        with _mlx_blocks(case):
            bound = [theirs(store, "tensor", build, *tensors) for tensors in inputs]
        yield name, bound
    native = partial(F.scaled_dot_product_attention, enable_gqa=case.group > 1)
    yield NATIVE, [partial(native, *tensors) for tensors in inputs]


@contextmanager
def _mlx_blocks(case: DecodeTiming) -> Iterator[None]:
    """Have MLX's two passes split keys as its host code does on a Max (scaled_dot_product_attention.cpp)."""
    blocks = 64
    if case.context > 1024 and case.group > 4:
        blocks = (
            128 if case.context <= 8192 else 256 if case.context <= 32768 else 512 if case.context <= 65536 else 1024
        )
    before = real_kernels._VECTOR_BLOCKS
    real_kernels._VECTOR_BLOCKS = blocks
    try:
        yield
    finally:
        real_kernels._VECTOR_BLOCKS = before


def _paged_calls(
    case: DecodeTiming, store: Store, device: str, inputs: list[list[Tensor]]
) -> Iterator[tuple[str, list[Bound | Callable[[], Tensor]]]]:
    blocks_of_sequence = case.context // BLOCK_SIZE
    blocks = case.batch * blocks_of_sequence
    where = {
        "cu_seqlens_q": torch.arange(case.batch + 1, dtype=torch.int32),
        "seqused_k": torch.full((case.batch,), case.context, dtype=torch.int32),
        "block_table": torch.randperm(blocks).int().view(case.batch, blocks_of_sequence).to(device),
    }
    paged = []
    for query, key, value in inputs:
        caches = [x.view(blocks, BLOCK_SIZE, case.kv_heads, case.head_dim) for x in (key, value)]
        paged.append([query[:, :, 0], *caches])
    for chip, family in CHIPS.items():
        yield f"{OURS}, {chip}", [_ours(store, case.name, family, tensors, {}, device, **where) for tensors in paged]


def note(case: PrefillTiming | DecodeTiming, store: Recorder) -> None:
    """Have a recorder note all pipelines of a case."""
    calls = prefill_calls if isinstance(case, PrefillTiming) else decode_calls
    for _ in calls(case, store, "meta"):  # type: ignore[arg-type]
        pass
