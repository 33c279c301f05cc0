"""Every operator of torch's database gives the same on mps as on the CPU, or operator_exceptions.txt says why not."""

import os
import warnings
from collections.abc import Iterator

import operator_cases
import pytest
import torch
from operator_cases import Exception_, check_same, evaluate, full_name, is_comparable

from metalsim.mps import patches

EXCEPTIONS = operator_cases.read_exceptions()
CASES = operator_cases.cases()


@pytest.fixture(autouse=True)
def _operators_that_a_mac_lacks_too() -> Iterator[None]:
    """Compare all operators; that strict mode refuses what torch has no MPS kernel for is test_device.py's subject."""
    is_strict = os.environ.get("METALSIM_STRICT_OPERATORS") == "1"
    patches.refuse_missing_operators(False)
    yield
    patches.refuse_missing_operators(is_strict)


def exception_for(name: str, dtype: torch.dtype) -> Exception_ | None:
    return next((e for e in EXCEPTIONS.get(name, []) if e.covers(dtype)), None)


@pytest.mark.parametrize(
    ("op", "dtype"), CASES, ids=[f"{full_name(op)}-{str(dtype).removeprefix('torch.')}" for op, dtype in CASES]
)
def test_mps_equals_cpu(op, dtype):
    exception = exception_for(full_name(op), dtype)
    kind = None if exception is None else exception.kind
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in operator_cases.samples(op, dtype):
            if kind == "refused":
                with pytest.raises((RuntimeError, AssertionError)):
                    evaluate(op, sample, "mps")
                return
            expected = evaluate(op, sample, "cpu")
            if not is_comparable(expected):
                continue
            compared += 1
            draws = sample.kwargs.get("dropout_p", 0) > 0
            check_same(evaluate(op, sample, "mps"), expected, "values" if draws else kind)
    if compared == 0:
        pytest.skip("all samples of this operator and type need float64, which MPS does not have")


def test_exceptions_name_operators_of_the_database():
    known = {full_name(op) for op, _ in CASES}
    assert set(EXCEPTIONS) <= known
    assert all(e.kind in ("values", "rounding", "refused") and e.reason for group in EXCEPTIONS.values() for e in group)
