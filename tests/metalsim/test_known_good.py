"""PyTorch's and MLX's attention kernels, unmodified: right within the tolerance rule, and nothing found in any schedule.

Every head dimension and dtype that the kernels offer is here, with two combinations of what else they offer (causal, bool and
additive masks, lengths that are no multiple of a tile, groups of query heads) that rotate through the table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import real_kernels
import torch
from compile_ahead import compile_ahead
from real_kernels import Case, attention_inputs
from reference import assert_matches, attention

import metalsim
from metalsim.air import wheels

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
#: Combinations of the options; each case of the table takes the next two.
FEATURES: tuple[dict[str, Any], ...] = (
    {"causal": True},
    {"mask": "bool"},
    {},
    {"mask": "additive"},
    {"causal": True, "mask": "bool"},
    {"causal": True, "mask": "additive"},
)


@dataclass(frozen=True)
class Kernel:
    """A kernel's host function, and what it offers."""

    build: Callable[..., Case]
    head_dims: tuple[int, ...]
    lengths: tuple[tuple[int, int], ...]  #: (queries, keys), taken in turn
    causal_alignment: str
    masks_with_causal: bool = True  #: false where a causal kernel looks at no mask
    options: dict[str, Any] = field(default_factory=dict)


KERNELS = {
    "torch-prefill": Kernel(
        real_kernels.torch_prefill, (32, 64, 72, 80, 96, 128, 256), ((70, 93), (64, 64), (33, 31), (1, 40)), "top_left"
    ),
    "torch-decode": Kernel(
        real_kernels.torch_decode, (64, 96, 128, 256), ((1, 77), (4, 130)), "top_left", masks_with_causal=False
    ),
    "torch-decode-2pass": Kernel(
        real_kernels.torch_decode,
        (64, 96, 128, 256),
        ((2, 300), (1, 40)),
        "top_left",
        masks_with_causal=False,
        options={"two_pass": True},
    ),
    "mlx-steel": Kernel(real_kernels.mlx_steel, (64, 80, 128), ((70, 93), (64, 64), (33, 65)), "bottom_right"),
    "mlx-vector": Kernel(
        real_kernels.mlx_vector, (64, 96, 128, 256), ((1, 77), (4, 130)), "bottom_right", masks_with_causal=False
    ),
    "mlx-vector-2pass": Kernel(
        real_kernels.mlx_vector,
        (64, 96, 128, 256),
        ((2, 300), (1, 40)),
        "bottom_right",
        masks_with_causal=False,
        options={"two_pass": True},
    ),
}


@dataclass(frozen=True)
class Row:
    """One case of the table."""

    name: str
    kernel: Kernel
    dtype: torch.dtype
    head_dim: int
    queries: int
    keys: int
    causal: bool
    mask: str | None


def _table() -> list[Row]:
    rows = []
    for name, kernel in KERNELS.items():
        offered = [f for f in FEATURES if kernel.masks_with_causal or not (f.get("causal") and f.get("mask"))]
        number = 0
        for dtype in DTYPES:
            for head_dim in kernel.head_dims:
                for _ in range(2):
                    features = offered[number % len(offered)]
                    queries, keys = kernel.lengths[number % len(kernel.lengths)]
                    number += 1
                    words = (
                        name,
                        str(dtype).removeprefix("torch."),
                        f"D{head_dim}",
                        f"{queries}x{keys}",
                        *features.values(),
                    )
                    title = "-".join("causal" if word is True else str(word) for word in words)
                    causal, mask = features.get("causal", False), features.get("mask")
                    rows.append(Row(title, kernel, dtype, head_dim, queries, keys, causal, mask))
            number += 1  # so that the next dtype does not meet the same features at the same head dimension
    return rows


def _mask(row: Row, batch: int) -> torch.Tensor | None:
    if row.mask is None:
        return None
    generator = torch.Generator().manual_seed(1)
    shape = (batch, 1, row.queries, row.keys)
    if row.mask == "additive":
        return torch.randn(shape, generator=generator).to(row.dtype)
    visible = torch.rand(shape, generator=generator) > 0.3
    visible[..., 0] = True  # MLX's kernels leave a row undefined that sees no key
    return visible


def case_of(row: Row) -> tuple[Case, tuple[torch.Tensor, ...], dict[str, Any]]:
    """Return the dispatches of a row, and inputs and options of the reference."""
    batch = 2
    inputs = attention_inputs(batch, 4, 2, row.queries, row.keys, row.head_dim, row.dtype)
    mask = _mask(row, batch)
    case = row.kernel.build(*inputs, causal=row.causal, mask=mask, **row.kernel.options)
    options = {"is_causal": row.causal, "attn_mask": mask, "causal_alignment": row.kernel.causal_alignment}
    return case, inputs, options


def _compile(row: Row) -> list[metalsim.Pipeline]:
    pipelines = [dispatch.pipeline() for dispatch in case_of(row)[0].dispatches]
    for pipeline in pipelines:
        pipeline.prepare_checks()
    return pipelines


@pytest.fixture(scope="module")
def compiled(request: pytest.FixtureRequest) -> Iterator[Callable[[Row], list[metalsim.Pipeline]]]:
    """Return what waits for a row's pipelines, which are compiled while the first rows run."""
    try:
        wheels.mlx_headers()
    except wheels.WheelUnavailableError as error:
        pytest.skip(str(error))
    with compile_ahead(request, _compile) as compiled:
        yield compiled


@pytest.mark.parametrize("case", [pytest.param(row, id=row.name) for row in _table()])
def test_right_and_without_findings(case: Row, compiled: Callable[[Row], list[metalsim.Pipeline]]) -> None:
    built, inputs, options = case_of(case)
    pipelines = dict(zip([d.function for d in built.dispatches], compiled(case), strict=True))
    out = built.run(lambda d: pipelines[d.function], check=True, schedule=metalsim.ALL_SCHEDULES)
    assert_matches(out, None, attention, *inputs, **options)
    plain = built.run(lambda d: pipelines[d.function])
    assert torch.equal(real_kernels.bits(plain), real_kernels.bits(out)), (
        "the instrumented build computes something else"
    )


def test_the_table_offers_everything() -> None:
    """Each kernel meets every dtype, head dimension, causal, both masks and none."""
    for kernel in KERNELS.values():
        rows = [row for row in _table() if row.kernel is kernel]
        assert {(row.dtype, row.head_dim) for row in rows} == {(t, d) for t in DTYPES for d in kernel.head_dims}
        assert {row.mask for row in rows} == {None, "bool", "additive"}
        assert {row.causal for row in rows} == {True, False}
