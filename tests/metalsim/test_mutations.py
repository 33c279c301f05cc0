"""Mistakes in kernels that people use are refused, found while the kernel runs, or change its result: see mutation.py."""

import functools
import math

import pytest
from compile_ahead import compile_ahead
from detection import FAULTS, LEAST_RATE, MUTATIONS, Detections
from mutation import Mutation, assert_well_formed, outcome_of
from mutations import WORKLOADS, compile_mutated, mutations
from real_kernels import TOLERANCE, Case, bits, relative_error

import metalsim

CASES = mutations()


@pytest.fixture(scope="module")
def pipelines_of(request):
    """Compile all mutated kernels ahead, and return the function that waits for the pipelines of one."""

    def compile(mutation: Mutation) -> list[metalsim.Pipeline]:
        dispatches = WORKLOADS[mutation.workload]().dispatches
        library = compile_mutated(mutation, dispatches[0].source)
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


@pytest.mark.parametrize("workload", WORKLOADS)
def test_kernels_as_they_are_run_clean(workload):
    case, _ = unchanged(workload)
    assert relative_error(case.output, case.reference) < TOLERANCE[case.output.dtype]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mutation(case: Mutation, pipelines_of):
    workload = WORKLOADS[case.workload]()

    def run_mutated() -> None:
        run(workload, pipelines_of(case))
        assert relative_error(workload.output, workload.reference) < TOLERANCE[workload.output.dtype]

    def is_unchanged() -> bool:
        return bits(workload.output).equal(bits(unchanged(case.workload)[0].output))

    outcome = outcome_of(case, run_mutated, is_unchanged)
    MUTATIONS.outcomes[str(case)] = outcome
    assert outcome == case.expected, f"{case.header}: {case.name}"


def test_padding_is_worth_cycles(pipelines_of):
    padded = unchanged("prefill")[1][0].counts.threadgroup
    mutation = next(case for case in CASES if case.name == "no padding of the key tile")
    bare = run(WORKLOADS["prefill"](), pipelines_of(mutation))[0].counts.threadgroup
    assert bare.loaded_bytes == padded.loaded_bytes
    assert bare.load_cycles_apple7 > 2 * padded.load_cycles_apple7


def test_there_are_enough_mutations_and_reasons():
    assert len(CASES) >= 25
    assert_well_formed(CASES)


def test_detection_rate(capsys):
    if not MUTATIONS.outcomes:
        pytest.skip("no mutation was run")
    together = Detections("together", {**FAULTS.outcomes, **MUTATIONS.outcomes})
    with capsys.disabled():
        print(f"\n{MUTATIONS}\n{together}")
    assert MUTATIONS.rate >= LEAST_RATE, f"missed: {', '.join(MUTATIONS.missed)}"
    assert together.rate >= LEAST_RATE, f"missed: {', '.join(together.missed)}"
