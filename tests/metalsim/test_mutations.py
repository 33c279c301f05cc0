"""Mistakes in kernels that people use are refused, found while the kernel runs, or change its result: see mutations.py."""

import functools
import math

import pytest
from compile_ahead import compile_ahead
from detection import FAULTS, LEAST_RATE, MUTATIONS, Detections
from mutations import WORKLOADS, Mutation, mutations
from real_kernels import TOLERANCE, Case, bits, relative_error

import metalsim

CASES = mutations()


@pytest.fixture(scope="module")
def pipelines_of(request, tmp_path_factory):
    """Compile all mutated kernels ahead, and return the function that waits for the pipelines of one."""

    def compile(mutation: Mutation) -> list[metalsim.Pipeline]:
        dispatches = WORKLOADS[mutation.workload]().dispatches
        library = mutation.compile(dispatches[0].source, tmp_path_factory.mktemp("headers"))
        pipelines = [library.pipeline(dispatch.function, dict(dispatch.constants)) for dispatch in dispatches]
        for pipeline in pipelines:
            pipeline.prepare_checks()
        return pipelines

    with compile_ahead(request, compile) as wait:
        yield wait


def run(case: Case, pipelines: list[metalsim.Pipeline]) -> list[metalsim.Run]:
    """Run a case with checks in all orders."""
    case.output.fill_(math.nan)
    return [
        dispatch.run(pipeline, check=True, schedule=metalsim.ALL_SCHEDULES)
        for dispatch, pipeline in zip(case.dispatches, pipelines, strict=True)
    ]


@functools.cache
def unchanged(workload: str) -> tuple[Case, list[metalsim.Run]]:
    """Return a workload computed by the kernels as they are: no check complains, and the result is right."""
    case = WORKLOADS[workload]()
    runs = run(case, [dispatch.pipeline() for dispatch in case.dispatches])
    assert relative_error(case.output, case.reference) < TOLERANCE[case.output.dtype]
    return case, runs


def outcome_of(mutation: Mutation, pipelines_of) -> str:
    """Return what comes of a mutation, as in mutations.py."""
    try:
        pipelines = pipelines_of(mutation)
    except (metalsim.CompileError, metalsim.ValidationError):
        return "rejected"
    case = WORKLOADS[mutation.workload]()
    try:
        run(case, pipelines)
    except metalsim.CheckError as error:
        return f"reported: {error.finding.kind}"
    except metalsim.OrderDependenceError:
        return "reported: order"
    error = relative_error(case.output, case.reference)
    if not error < TOLERANCE[case.output.dtype]:
        return "numerically caught"
    same = bits(case.output).equal(bits(unchanged(mutation.workload)[0].output))
    return "harmless" if same else "missed"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_kernels_as_they_are_run_clean(workload):
    unchanged(workload)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.workload}: {case.name}")
def test_mutation(case, pipelines_of):
    outcome = outcome_of(case, pipelines_of)
    is_missed = outcome in ("harmless", "missed") and case.expected != "harmless"
    MUTATIONS.outcomes[f"{case.workload}: {case.name}"] = "missed" if is_missed else outcome
    assert outcome == case.expected, f"{case.header}: {case.name}"


def test_padding_is_worth_cycles(pipelines_of):
    padded = unchanged("prefill")[1][0].counts.threadgroup
    mutation = next(case for case in CASES if case.name == "no padding of the key tile")
    bare = run(WORKLOADS["prefill"](), pipelines_of(mutation))[0].counts.threadgroup
    assert bare.loaded_bytes == padded.loaded_bytes
    assert bare.load_cycles_apple7 > 2 * padded.load_cycles_apple7


def test_there_are_enough_mutations_and_reasons():
    assert len(CASES) >= 25
    assert len({(case.workload, case.name) for case in CASES}) == len(CASES)
    for case in CASES:
        assert (case.expected == "harmless") == bool(case.reason), case.name
        assert case.old != case.new


def test_detection_rate(capsys):
    together = Detections("together", {**FAULTS.outcomes, **MUTATIONS.outcomes})
    with capsys.disabled():
        print(f"\n{MUTATIONS}\n{together}")
    assert MUTATIONS.rate >= LEAST_RATE, f"missed: {', '.join(MUTATIONS.missed)}"
    assert together.rate >= LEAST_RATE, f"missed: {', '.join(together.missed)}"
