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
def pipelines_of(request):
    """Compile all mutated kernels ahead, and return the function that waits for the pipelines of one."""

    def compile(mutation: Mutation) -> list[metalsim.Pipeline]:
        dispatches = WORKLOADS[mutation.workload]().dispatches
        library = mutation.compile(dispatches[0].source)
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
    """Return a workload computed by the kernels as they are."""
    case = WORKLOADS[workload]()
    return case, run(case, [dispatch.pipeline() for dispatch in case.dispatches])


def outcome_of(mutation: Mutation, pipelines_of) -> str:
    """Return what comes of a mutation, as in mutations.py. Of several kinds of findings it is the expected one."""
    try:
        pipelines = pipelines_of(mutation)
    except metalsim.ValidationError:
        return "rejected"
    except metalsim.CompileError as error:
        if not error.diagnostics:
            raise  # the compiler itself failed
        return "rejected"
    case = WORKLOADS[mutation.workload]()
    try:
        run(case, pipelines)
    except metalsim.CheckError as error:
        kinds = [f"reported: {finding.kind}" for finding in error.findings]
        return mutation.expected if mutation.expected in kinds else kinds[0]
    except metalsim.OrderDependenceError:
        return "reported: order"
    if not relative_error(case.output, case.reference) < TOLERANCE[case.output.dtype]:
        return "numerically caught"
    same = bits(case.output).equal(bits(unchanged(mutation.workload)[0].output))
    return "harmless" if same and mutation.expected == "harmless" else "missed"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_kernels_as_they_are_run_clean(workload):
    case, _ = unchanged(workload)
    assert relative_error(case.output, case.reference) < TOLERANCE[case.output.dtype]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.workload}: {case.name}")
def test_mutation(case, pipelines_of):
    outcome = outcome_of(case, pipelines_of)
    MUTATIONS.outcomes[f"{case.workload}: {case.name}"] = outcome
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
        assert (case.expected in ("harmless", "missed")) == bool(case.reason), case.name
        assert case.old != case.new


def test_detection_rate(capsys):
    if not MUTATIONS.outcomes:
        pytest.skip("no mutation was run")
    together = Detections("together", {**FAULTS.outcomes, **MUTATIONS.outcomes})
    with capsys.disabled():
        print(f"\n{MUTATIONS}\n{together}")
    assert MUTATIONS.rate >= LEAST_RATE, f"missed: {', '.join(MUTATIONS.missed)}"
    assert together.rate >= LEAST_RATE, f"missed: {', '.join(together.missed)}"
