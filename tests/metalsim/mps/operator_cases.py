"""Torch's own database of operators, on mps and on the CPU: samples, comparison, and exceptions with their reasons."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.bool)
SAMPLES = 6

#: Types that MPS does not have.
UNSUPPORTED = {torch.float64, torch.complex128}


@dataclass(frozen=True)
class Exception_:
    """A line of operator_exceptions.txt."""

    operator: str
    dtypes: frozenset[str]  #: empty = all
    kind: str  #: "values" (only dimensions and types can be compared), "rounding" (widely) or "refused" (raises)
    reason: str

    def covers(self, dtype: torch.dtype) -> bool:
        return not self.dtypes or str(dtype).removeprefix("torch.") in self.dtypes


def read_exceptions() -> dict[str, list[Exception_]]:
    found: dict[str, list[Exception_]] = {}
    for line in Path(__file__).with_name("operator_exceptions.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            operator, dtypes, kind, reason = (field.strip() for field in line.split("|"))
            names = frozenset() if dtypes == "all" else frozenset(dtypes.split())
            found.setdefault(operator, []).append(Exception_(operator, names, kind, reason))
    return found


def full_name(op: OpInfo) -> str:
    return op.name + (f".{op.variant_test_name}" if op.variant_test_name else "")


def cases() -> list[tuple[OpInfo, torch.dtype]]:
    return [(op, dtype) for op in op_db for dtype in DTYPES if dtype in op.supported_dtypes("cpu")]


def _copy_to(device: str) -> Callable[[Any], Any]:
    def copy(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.layout == torch.strided:
            # The whole storage, so that views are views there too.
            memory = torch.empty(0, dtype=value.dtype).set_(value.detach().untyped_storage())
            return memory.clone().to(device).as_strided(value.size(), value.stride(), value.storage_offset())
        if isinstance(value, torch.Tensor):
            return value.detach().clone().to(device)
        return torch.device(device) if isinstance(value, torch.device) else value

    return copy


def _mentions_unsupported(values: Any) -> bool:
    return any(
        (isinstance(leaf, torch.Tensor) and leaf.dtype in UNSUPPORTED)
        or (isinstance(leaf, torch.dtype) and leaf in UNSUPPORTED)
        for leaf in tree_leaves(values)
    )


def samples(op: OpInfo, dtype: torch.dtype) -> Iterator[SampleInput]:
    torch.manual_seed(0)
    wanted = (
        sample
        for sample in op.sample_inputs("cpu", dtype, requires_grad=False)
        if not _mentions_unsupported((sample.input, sample.args, sample.kwargs))
    )
    return islice(wanted, SAMPLES)


def evaluate(op: OpInfo, sample: SampleInput, device: str) -> Any:
    """Return what the operator gives for copies of the sample's tensors on the device."""
    torch.manual_seed(0)
    given, args, kwargs = tree_map(_copy_to(device), (sample.input, sample.args, sample.kwargs))
    if "device" in kwargs:
        kwargs["device"] = device
    return op(given, *args, **kwargs)


def is_comparable(result: Any) -> bool:
    """Return whether the CPU's result has only types that MPS has."""
    return not _mentions_unsupported(result)


def check_same(actual: Any, expected: Any, kind: str | None) -> None:
    """Compare results leaf by leaf, as far as the kind of exception allows."""
    found, structure = tree_flatten(actual)
    wanted, wanted_structure = tree_flatten(expected)
    assert str(structure) == str(wanted_structure)
    tolerance = {"rtol": 5e-2, "atol": 5e-3} if kind == "rounding" else {}
    for a, b in zip(found, wanted, strict=True):
        if not isinstance(b, torch.Tensor):
            assert type(a) is type(b)
            assert kind == "values" or a == b or a == torch.device("mps", 0) or (a != a and b != b)
        elif kind == "values":
            assert (a.dtype, a.layout, a.dim()) == (b.dtype, b.layout, b.dim())
        else:
            torch.testing.assert_close(a.cpu(), b, equal_nan=True, **tolerance)
