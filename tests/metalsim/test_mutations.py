"""Mistakes in kernels that people use are refused, found while the kernel runs, or change its result: see mutations.py."""

import functools
import math
import re
from dataclasses import dataclass, field

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


def keys(error: metalsim.CheckError) -> set[tuple[str, str]]:
    """Return kinds and descriptions of findings, without the folders of their files."""
    return {(f.kind, re.sub(r"\S*/", "", f"{f.file}:{f.line}: {f.detail}")) for f in error.findings}


@dataclass
class Result:
    """A workload that was computed, up to the first dispatch with findings that are not known."""

    case: Case
    runs: list[metalsim.Run] = field(default_factory=list)
    findings: set[tuple[str, str]] = field(default_factory=set)


def run(workload: str, pipelines: list[metalsim.Pipeline], known: set[tuple[str, str]] | None = None) -> Result:
    """Run a workload in all orders with checks; ``known`` are findings that do not stop it, by default all."""
    result = Result(WORKLOADS[workload]())
    result.case.output.fill_(math.nan)
    for dispatch, pipeline in zip(result.case.dispatches, pipelines, strict=True):
        try:
            result.runs.append(dispatch.run(pipeline, check=True, schedule=metalsim.ALL_SCHEDULES))
        except metalsim.CheckError as error:
            result.findings |= keys(error)
            if known is not None and not keys(error) <= known:
                break
            dispatch.run(pipeline)
    return result


@functools.cache
def unchanged(workload: str) -> Result:
    """Run the kernels of a workload as they are."""
    return run(workload, [dispatch.pipeline() for dispatch in WORKLOADS[workload]().dispatches])


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
    original = unchanged(mutation.workload)
    try:
        result = run(mutation.workload, pipelines, original.findings)
    except metalsim.OrderDependenceError:
        return "reported: order"
    kinds = [f"reported: {kind}" for kind, _ in sorted(result.findings - original.findings)]
    if kinds:
        return mutation.expected if mutation.expected in kinds else kinds[0]
    output = result.case.output
    if not relative_error(output, result.case.reference) < TOLERANCE[output.dtype]:
        return "numerically caught"
    same = bits(output).equal(bits(original.case.output))
    return "harmless" if same and mutation.expected == "harmless" else "missed"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_kernels_as_they_are(workload):
    result = unchanged(workload)
    # All lanes of a simdgroup store the sum and the maximum of a block of keys: the same value into the same element.
    known = {"decode, split": [("race", "DecodeAttention.h:331"), ("race", "DecodeAttention.h:332")]}
    assert sorted((kind, text.split(": ")[0]) for kind, text in result.findings) == known.get(workload, [])
    output = result.case.output
    assert relative_error(output, result.case.reference) < TOLERANCE[output.dtype]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.workload}: {case.name}")
def test_mutation(case, pipelines_of):
    outcome = outcome_of(case, pipelines_of)
    MUTATIONS.outcomes[f"{case.workload}: {case.name}"] = outcome
    assert outcome == case.expected, f"{case.header}: {case.name}"


def test_padding_is_worth_cycles(pipelines_of):
    padded = unchanged("prefill").runs[0].counts.threadgroup
    mutation = next(case for case in CASES if case.name == "no padding of the key tile")
    bare = run("prefill", pipelines_of(mutation)).runs[0].counts.threadgroup
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
