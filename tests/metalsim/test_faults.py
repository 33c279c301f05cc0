"""Checks at run time find one fault in each kernel of fault_cases/, at its line, and none in those of fault_good/."""

from collections.abc import Callable

import pytest
from compile_ahead import compile_ahead
from detection import FAULTS, LEAST_RATE
from fault_case import TOLERANCE, FaultCase, fault_cases, good_cases

import metalsim

FAULTY = fault_cases()
GOOD = good_cases()

_KINDS = {
    "out_of_bounds": "OutOfBoundsError",
    "fault": "OutOfBoundsError",
    "uninitialized_read": "UninitializedReadError",
    "race": "RaceError",
    "divergence": "DivergenceError",
}


@pytest.fixture(scope="module")
def pipeline_of(request):
    """Compile all kernels ahead, and return the function that waits for the pipeline of one."""
    with compile_ahead(request, FaultCase.compile) as wait:
        yield wait


def check_findings(case: FaultCase, error: metalsim.CheckError) -> None:
    """The fault is found at one of its lines, nothing is found elsewhere, and the message says where."""
    expected = {case.expect, *case.also}
    for finding in error.findings:
        assert _KINDS[finding.kind] in expected, str(finding)
        assert finding.file is not None
        assert finding.file.endswith(case.path.name), str(finding)
        assert finding.line in case.lines, str(finding)
    finding = next(f for f in error.findings if _KINDS[f.kind] == case.expect)
    message = str(finding)
    assert f"kernel '{finding.kernel}'" in message
    assert f"{case.path.name}:{finding.line}" in message
    assert f"thread {finding.thread} (simdgroup {finding.simdgroup}, lane {finding.lane})" in message
    assert finding.thread == finding.simdgroup * 32 + finding.lane
    if finding.space == "device":
        assert f"byte {finding.byte} of buffer {finding.buffer}" in message
    elif finding.space == "threadgroup":
        assert "of threadgroup memory" in message
        assert finding.byte is not None
    if case.place is not None:
        assert f"buffer {finding.buffer}, byte {finding.byte}" == case.place


def find(case: FaultCase, pipeline_of: Callable[[FaultCase], metalsim.Pipeline], tmp_path) -> None:
    """Fail unless the case's fault is found as its comment says."""
    if case.expect == "numerical":
        buffers = case.run(pipeline_of(case), tmp_path)
        assert case.error_of_result(buffers) > 1000 * TOLERANCE
        return
    with pytest.raises(metalsim.MetalsimError) as caught:
        case.run(pipeline_of(case), tmp_path)
    error = caught.value
    assert type(error).__name__ in {case.expect, *case.also}, str(error)
    if isinstance(error, metalsim.CheckError):
        check_findings(case, error)
    elif isinstance(error, metalsim.OrderDependenceError):
        assert case.place in (f"buffer {error.buffer}, byte {error.byte}", f"buffer {error.buffer}")


@pytest.mark.parametrize("case", FAULTY, ids=lambda case: case.name)
def test_finds(case, pipeline_of, tmp_path):
    FAULTS.outcomes[case.name] = "missed"
    find(case, pipeline_of, tmp_path)
    FAULTS.outcomes[case.name] = case.expect


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_accepts(case, pipeline_of, tmp_path):
    buffers = case.run(pipeline_of(case), tmp_path)
    if case.reference is not None:
        assert case.error_of_result(buffers) < TOLERANCE


def test_there_are_enough_cases_of_each_kind():
    assert len(FAULTY) >= 40
    assert len(GOOD) >= 15
    expected = [case.expect for case in FAULTY]
    for kind in (*_KINDS.values(), "OrderDependenceError", "ValidationError", "numerical"):
        assert expected.count(kind) >= 5, kind
    assert {case.name for case in GOOD} <= {case.name for case in FAULTY}


def test_detection_rate(capsys):
    if not FAULTS.outcomes:
        pytest.skip("no kernel was run")
    with capsys.disabled():
        print(f"\n{FAULTS}")
    assert FAULTS.rate >= LEAST_RATE, f"missed: {', '.join(FAULTS.missed)}"
