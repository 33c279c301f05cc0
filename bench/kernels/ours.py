"""Our kernels, as kernel_plan chooses them for a GPU."""

from typing import Any

import torch
from kernel_case import attention
from launch import NAMES, Call, make_call, numbers, pipeline
from launch_decode import has_aligned_rows
from torch import Tensor

import metalsim
from bench.kernels.cases import BLOCK_SIZE, CONTEXT, DECODE_HEADS, FAMILIES, HEADS, LENGTH, Decode, Prefill
from bench.kernels.counting import Measured
from bench.kernels.figures import FRAGMENT, Shape
from metalsim import model
from torch_fused_attn import _C


def plan_of(case: Prefill | Decode, chip: str) -> dict[str, Any]:
    """Return kernel_plan's choice for the whole call."""
    sizes: dict[str, Any] = {"head_dim": case.head_dim, "head_dim_v": case.head_dim, "batch": 1}
    if isinstance(case, Prefill):
        sizes |= {"num_heads": HEADS, "num_kv_heads": HEADS, "len_q": LENGTH, "len_k": LENGTH}
        sizes |= {"limits_keys": case.is_causal}
    else:
        sizes |= {"num_heads": DECODE_HEADS, "num_kv_heads": case.kv_heads, "len_q": 1, "len_k": CONTEXT}
        if case.is_paged:
            sizes |= {"source": "paged", "total_q": 1, "block_size": BLOCK_SIZE}
    gpu = {"family": FAMILIES[chip], "cores": model.chip(chip).cores}
    return _C.kernel_plan(**gpu, element=NAMES[case.dtype], has_aligned_rows=True, **sizes)


def built(launch: dict[str, Any]) -> metalsim.Pipeline:
    """Compile what a launch of a plan names, once."""
    constants = launch["constants"]
    if launch["kernel"] == "merge_splits":
        constants = {numbers()["kHasSinksConstant"]: constants[numbers()["kHasSinksConstant"]]}
    return pipeline(launch["file"], launch["kernel"], launch["macros"], constants)


def compile_plan(case: Prefill | Decode, chip: str) -> None:
    planned = plan_of(case, chip)
    for name in ("attention", "merge"):
        if planned[name] is not None:
            built(planned[name]).prepare_checks()


def shape_of(case: Prefill, chip: str) -> Shape:
    """Return how prefill is cut up: staged tiles are a threadgroup's, others a simdgroup's, blocks of 8 keys at a time."""
    planned = plan_of(case, chip)
    macros = planned["attention"]["macros"]
    simdgroup_rows = FRAGMENT * int(macros["FUSED_ATTN_ROW_TILES"])
    if macros["FUSED_ATTN_STAGED"] == "1":
        return Shape(planned["query_tile"], planned["key_tile"], simdgroup_rows)
    return Shape(simdgroup_rows, FRAGMENT, simdgroup_rows)


def run_prefill(case: Prefill, chip: str, length: int, heads: int = 1) -> Measured:
    """Run prefill of a shorter call, with the kernel of the whole one."""
    query, key, value = case.inputs(length, heads)
    call = make_call(query, key, value, is_causal=case.is_causal)
    planned = plan_of(case, chip)
    kernel = built(planned["attention"])
    run = kernel.dispatch(
        threadgroups=(-(-length // planned["query_tile"]), heads, 1),
        threads_per_threadgroup=(planned["attention"]["threads"],),
        buffers=call.bind(kernel),
        count="lines",
    )
    return Measured((run,), call.out, attention(query, key, value, causal_offset=0 if case.is_causal else None))


def decode_call(case: Decode, kv_heads: int) -> tuple[Call, Tensor]:
    """Return a call of CONTEXT keys and its result in float64."""
    query, key, value = case.inputs(CONTEXT, kv_heads)
    expected = attention(query, key, value)
    if not case.is_paged:
        return make_call(query, key, value), expected
    blocks = torch.randperm(CONTEXT // BLOCK_SIZE, generator=torch.Generator().manual_seed(1))
    caches = []
    for tensor in (key, value):
        cache = torch.empty(len(blocks), BLOCK_SIZE, kv_heads, case.head_dim, dtype=case.dtype)
        cache[blocks] = tensor[0].transpose(0, 1).reshape(cache.shape)
        caches.append(cache)
    call = make_call(
        query[0].transpose(0, 1).contiguous(),
        *caches,
        block_table=blocks.int()[None],
        seqused_k=torch.tensor([CONTEXT], dtype=torch.int32),
        cu_seqlens_q=torch.tensor([0, 1], dtype=torch.int32),
    )
    return call, expected


def run_decode(case: Decode, chip: str, kv_heads: int = 1) -> Measured:
    """Run decoding of some of the kv heads, with the kernels and the splits of the whole call."""
    call, expected = decode_call(case, kv_heads)
    planned, number = plan_of(case, chip), numbers()
    assert has_aligned_rows(call)
    call.params.num_splits, call.params.keys_per_split = planned["num_splits"], planned["keys_per_split"]
    partial = {
        number["kPartialOutBuffer"]: torch.full((planned["num_splits"], call.lse.numel(), case.head_dim), torch.nan),
        number["kPartialLseBuffer"]: torch.full((planned["num_splits"], call.lse.numel()), torch.nan),
    }
    launches = [(planned["attention"], (planned["num_splits"], kv_heads, 1))]
    if planned["merge"] is not None:
        launches.append((planned["merge"], (1, kv_heads * case.group, 1)))
    runs = []
    for launch, threadgroups in launches:
        kernel = built(launch)
        runs.append(
            kernel.dispatch(
                threadgroups=threadgroups,
                threads_per_threadgroup=(launch["threads"],),
                buffers=call.bind(kernel, partial),
                count="lines",
            )
        )
    return Measured(tuple(runs), call.out.view(expected.shape), expected)
