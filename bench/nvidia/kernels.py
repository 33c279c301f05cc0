"""What a call launches: our kernels by their plan, PyTorch's and MLX's as their host code does, and the naive one.

On a machine without a GPU the same functions run on meta tensors, to find out which pipelines are wanted.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import real_kernels
import torch
from launch import Call, numbers
from torch import Tensor

from bench.nvidia.pipelines import NAIVE, Recorder, Store, request
from metalsim import cuda

NAIVE_SIMDGROUPS = 4


@dataclass(frozen=True)
class Bound:
    """A call with everything bound: what to launch, one after the other, and what is written."""

    launches: tuple[cuda.Launch, ...]
    out: Tensor
    lse: Tensor | None = None

    def run(self) -> None:
        for launch in self.launches:
            launch.launch()


def _bind(
    store: Store, wanted: Any, threadgroups: Any, threads: Any, buffers: Callable[[cuda.Pipeline], dict[int, Any]]
) -> list[cuda.Launch]:
    if isinstance(store, Recorder):
        store.note(wanted)
        return []
    pipeline = store.pipeline(wanted)
    return [pipeline.bind(threadgroups, threads, buffers(pipeline))]


def ours(
    store: Store,
    name: str,
    call: Call,
    family: int,
    products: str,
    *,
    splits_finely: bool = False,
    **changes: Any,
) -> Bound:
    """Bind what kernel_plan chooses. A merge is left with the one constant that it has.

    Args:
        store: where plan and pipelines come from.
        name: of the call.
        call: its parameters and buffers.
        family: of the GPU for which kernel_plan chooses.
        products: "exact" or "tensor".
        splits_finely: split keys into parts as small as a kernel takes.
        **changes: arguments of kernel_plan in place of the call's.
    """
    number = numbers()
    plan = store.plan(name, call, family, **changes)
    call.params.num_splits = plan["num_splits"]
    call.params.keys_per_split = plan["key_tile"] if splits_finely else plan["keys_per_split"]
    rows = call.lse.numel()
    device = call.out.device
    between = {
        number["kMaskTilesBuffer"]: torch.full(plan["label_sizes"], 255, dtype=torch.uint8, device=device),
        number["kPartialOutBuffer"]: torch.full(
            (plan["num_splits"], rows, call.out.shape[-1]), torch.nan, device=device
        ),
        number["kPartialLseBuffer"]: torch.full((plan["num_splits"], rows), torch.nan, device=device),
    }
    launches: list[cuda.Launch] = []
    for launch in (plan["mask_tiles"], plan["attention"], plan["merge"]):
        if launch is None:
            continue
        constants = {int(index): value for index, value in launch["constants"].items()}
        if launch["kernel"] == "merge_splits":
            constants = {number["kHasSinksConstant"]: constants[number["kHasSinksConstant"]]}
        wanted = request(launch["file"], launch["kernel"], launch["threads"], products, launch["macros"], constants)
        launches += _bind(
            store,
            wanted,
            launch["threadgroups"],
            (launch["threads"],),
            lambda pipeline: call.bind(pipeline, between),  # type: ignore[arg-type]
        )
    return Bound(tuple(launches), call.out, call.lse)


@contextmanager
def _without_references() -> Iterator[None]:
    """Have no case compute its result in float64: on whole calls that takes far longer than the kernels do."""
    attention = real_kernels.attention
    real_kernels.attention = lambda *_, **__: torch.empty(0)
    try:
        yield
    finally:
        real_kernels.attention = attention


def theirs(
    store: Store, products: str, build: Callable[..., real_kernels.Case], *tensors: Tensor, **options: Any
) -> Bound:
    """Bind a case of real_kernels."""
    with _without_references(), torch.device(tensors[0].device):
        case = build(*tensors, **options)
    launches: list[cuda.Launch] = []
    for dispatch in case.dispatches:
        x, y, z = dispatch.threads_per_threadgroup
        wanted = request(dispatch.source.name, dispatch.function, x * y * z, products, None, dispatch.constants)

        def buffers(pipeline: cuda.Pipeline, dispatch: Any = dispatch) -> dict[int, Any]:
            known = {argument.index for argument in pipeline.arguments}
            return {index: buffer for index, buffer in dispatch.buffers.items() if index in known}

        launches += _bind(store, wanted, dispatch.threadgroups, dispatch.threads_per_threadgroup, buffers)
    return Bound(tuple(launches), case.output)


def naive(store: Store, query: Tensor, key: Tensor, value: Tensor) -> Bound:
    """Bind the naive kernel: fp16, as many keys as queries, no mask."""
    batch, heads, length, head_dim = query.shape
    out = torch.empty_like(query)
    macros = {"NAIVE_HEAD_DIM": head_dim, "NAIVE_SIMDGROUPS": NAIVE_SIMDGROUPS}
    threads = 32 * NAIVE_SIMDGROUPS
    buffers = {
        **dict(enumerate((query, key, value, out))),
        4: struct.pack("<I", length),
        5: struct.pack("<f", head_dim**-0.5),
    }
    wanted = request(NAIVE, "naive_attention", threads, "exact", macros)
    groups = (-(-length // NAIVE_SIMDGROUPS), batch * heads, 1)
    return Bound(tuple(_bind(store, wanted, groups, (threads,), lambda _: buffers)), out)
