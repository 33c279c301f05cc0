"""Launches what kernel_plan chooses for a call on metalsim: file, macros, constants and grids are the plan's, as on a Mac.

call = make_call(query, key, value, is_causal=True)
run_plan(call, plan_of(call, family=7), check=True)
call.out, call.lse
"""

from typing import Any

import torch
from launch import Call, numbers, pipeline
from launch_decode import has_aligned_rows

import metalsim
from torch_fused_attn import _C

SOURCES = ("dense", "packed", "paged")
MASK_KINDS = ("none", "bool", "float", "half", "bfloat")
CORES = 40


def plan_of(call: Call, family: int, **changes: Any) -> dict[str, Any]:
    """Ask kernel_plan for a call as the host code does; ``changes`` replace arguments of it."""
    number, params = numbers(), call.params
    mask_kind = MASK_KINDS[call.constants[number["kMaskKindConstant"]]]
    problem = {
        "family": family,
        "cores": CORES,
        "element": call.macros["FUSED_ATTN_ELEMENT"],
        "source": SOURCES[call.macros["FUSED_ATTN_KV_SOURCE"]],
        "batch": call.batch,
        "num_heads": call.num_heads,
        "num_kv_heads": call.num_kv_heads,
        "len_q": call.len_q,
        "len_k": call.len_k,
        "head_dim": call.macros["FUSED_ATTN_HEAD_DIM"],
        "head_dim_v": call.macros["FUSED_ATTN_HEAD_DIM_V"],
        "total_q": params.total_q,
        "window_left": params.window_left,
        "block_size": call.constants[number["kBlockSizeConstant"]],
        "mask": mask_kind,
        "mask_batch": call.batch if params.mask.batch else 1,
        "mask_heads": call.num_heads if params.mask.head else 1,
        "limits_keys": call.constants[number["kLimitsKeysConstant"]],
        "has_alibi": call.constants[number["kHasAlibiConstant"]],
        "has_softcap": call.constants[number["kHasSoftcapConstant"]],
        "has_sinks": call.constants[number["kHasSinksConstant"]],
        "has_aligned_rows": has_aligned_rows(call),
    }
    return _C.kernel_plan(**(problem | changes))


def run_plan(call: Call, plan: dict[str, Any], **dispatch: Any) -> list[metalsim.Run]:
    """Run the launches of a plan in their order; ``dispatch`` is what Pipeline.dispatch takes.

    Each is one dispatch, unless the plan was asked for its parts by ``most_parts``. What passes from one launch to the
    next holds NaN, and labels that do not exist, before it is written.
    """
    number = numbers()
    call.params.num_splits, call.params.keys_per_split = plan["num_splits"], plan["keys_per_split"]
    rows = call.lse.numel()
    between = {
        number["kMaskTilesBuffer"]: torch.full(plan["label_sizes"], 255, dtype=torch.uint8),
        number["kPartialOutBuffer"]: torch.full((plan["num_splits"], rows, call.out.shape[-1]), torch.nan),
        number["kPartialLseBuffer"]: torch.full((plan["num_splits"], rows), torch.nan),
    }
    runs = []
    for launch in (plan["mask_tiles"], plan["attention"], plan["merge"]):
        if launch is not None:
            built = pipeline(launch["file"], launch["kernel"], launch["macros"], launch["constants"])
            assert built.static_threadgroup_memory_length <= launch["threadgroup_bytes"], launch
            assert built.max_total_threads_per_threadgroup >= launch["threads"]
            whole = [((0, 0, 0), launch["threadgroups"], 0.0)]
            for first, threadgroups, _ in launch["parts"] if len(launch["parts"]) > 1 else whole:
                call.params.first_x, call.params.first_y, call.params.first_z = first
                buffers = call.bind(built, between)
                runs.append(built.dispatch(threadgroups, (launch["threads"],), buffers, **dispatch))
    return runs
