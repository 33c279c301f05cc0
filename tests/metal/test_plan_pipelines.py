"""The kernels that kernel_plan chooses, compiled: they exist, are as large as the plan says, and take its threadgroups."""

from pathlib import Path

import pytest

import metalsim
from torch_fused_attn import _C

METAL = Path(__file__).parents[2] / "metal"

# Each row of the tables of kernel_plan.cpp at its largest head dim: GPU family, element, head dim, heads per kv head, tokens.
CHOICES = [
    *((family, element, head_dim, 1, 64) for family in (7, 9) for element, head_dim in
      [("half", 64), ("half", 96), ("half", 128), ("half", 256), ("bfloat", 96), ("bfloat", 128), ("bfloat", 256),
       ("float", 128), ("float", 256)]),
    *((9, element, head_dim, rows, 1) for rows in (1, 2, 3, 4, 8, 16, 24, 32) for element in ("half", "float")
      for head_dim in (128, 256)),
]  # fmt: skip


@pytest.mark.parametrize(("family", "element", "head_dim", "group", "tokens"), CHOICES)
def test_threadgroup_memory(family, element, head_dim, group, tokens):
    plan = _C.kernel_plan(
        family=family,
        cores=20,
        element=element,
        batch=1,
        num_heads=2 * group,
        num_kv_heads=2,
        len_q=tokens,
        len_k=4096,
        head_dim=head_dim,
        head_dim_v=head_dim,
        has_aligned_rows=True,
    )
    launches = [plan[name] for name in ("attention", "merge") if plan[name] is not None]
    for launch in launches:
        library = metalsim.compile(METAL / launch["file"], [METAL], launch["macros"])
        constants = {
            index: value for index, value in launch["constants"].items() if index in library.function_constants.values()
        }
        pipeline = library.pipeline(launch["kernel"], constants)
        assert pipeline.static_threadgroup_memory_length == launch["threadgroup_bytes"]
        assert pipeline.max_total_threads_per_threadgroup >= launch["threads"]
