"""Mistakes in kernels that people use are refused, found while the kernel runs, or change its result: see mutations.py."""

import functools
import math
import re
from dataclasses import dataclass

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


def run(case: Case, pipelines: list[metalsim.Pipeline], *, check: bool = True) -> list[metalsim.Run]:
    """Run a case in all orders."""
    case.output.fill_(math.nan)
    return [
        dispatch.run(pipeline, check=check, schedule=metalsim.ALL_SCHEDULES)
        for dispatch, pipeline in zip(case.dispatches, pipelines, strict=True)
    ]


def keys(error: metalsim.CheckError) -> set[tuple[str, str]]:
    """Return kinds and descriptions of findings, without the folders of their files."""
    return {(f.kind, re.sub(r"\S*/", "", f"{f.file}:{f.line}: {f.detail}")) for f in error.findings}


@dataclass(frozen=True)
class Unchanged:
    """A workload computed by the kernels as they are."""

    case: Case
    runs: list[metalsim.Run]
    findings: set[tuple[str, str]]


@functools.cache
def unchanged(workload: str) -> Unchanged:
    """Run a workload as it is. The result is right."""
    case = WORKLOADS[workload]()
    pipelines = [dispatch.pipeline() for dispatch in case.dispatches]
    findings = set()
    try:
        runs = run(case, pipelines)
    except metalsim.CheckError as error:
        findings = keys(error)
        runs = run(case, pipelines, check=False)
    assert relative_error(case.output, case.reference) < TOLERANCE[case.output.dtype]
    return Unchanged(case, runs, findings)


def outcome_of(mutation: Mutation, pipelines_of) -> str:
    """Return what comes of a mutation, as in mutations.py. Of several kinds of findings it is the expected one."""
    try:
        pipelines = pipelines_of(mutation)
    except (metalsim.CompileError, metalsim.ValidationError):
        return "rejected"
    case = WORKLOADS[mutation.workload]()
    original = unchanged(mutation.workload)
    try:
        run(case, pipelines)
    except metalsim.CheckError as error:
        kinds = [f"reported: {kind}" for kind, _ in sorted(keys(error) - original.findings)]
        return mutation.expected if mutation.expected in kinds else (kinds or ["missed"])[0]
    except metalsim.OrderDependenceError:
        return "reported: order"
    error = relative_error(case.output, case.reference)
    if not error < TOLERANCE[case.output.dtype]:
        return "numerically caught"
    same = bits(case.output).equal(bits(original.case.output))
    return mutation.expected if same and mutation.expected == "harmless" else "missed"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_kernels_as_they_are(workload):
    findings = unchanged(workload).findings
    # All lanes of a simdgroup store the sum and the maximum of a block of keys: the same value into the same element.
    known = {"decode, split": [("race", "DecodeAttention.h:331"), ("race", "DecodeAttention.h:332")]}
    assert sorted((kind, text.split(": ")[0]) for kind, text in findings) == known.get(workload, [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.workload}: {case.name}")
def test_mutation(case, pipelines_of):
    outcome = outcome_of(case, pipelines_of)
    MUTATIONS.outcomes[f"{case.workload}: {case.name}"] = outcome
    assert outcome == case.expected, f"{case.header}: {case.name}"


def test_padding_is_worth_cycles(pipelines_of):
    padded = unchanged("prefill").runs[0].counts.threadgroup
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
