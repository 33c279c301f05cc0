"""Mistakes in this package's own kernels are refused, found while a kernel runs, or change a result: see mutation_run.py.

Every fourth one, since compiling all of them takes minutes, and all that must be refused, which run nothing;
mutation_run.py runs them all.
"""

import pytest
from detection import LEAST_RATE, Detections
from launch import METAL
from mutation import Mutation, assert_well_formed
from mutation_run import MUTATIONS, outcome
from mutation_workloads import WORKLOADS

REFUSED = [mutation for mutation in MUTATIONS if mutation.expected.startswith("rejected")]
CHOSEN = [mutation for mutation in MUTATIONS if mutation not in REFUSED][::4] + REFUSED
OUTCOMES = Detections("every fourth mutation of this package's kernels, and all that must be refused")


@pytest.mark.parametrize("mutation", CHOSEN, ids=str)
def test_mutation(mutation: Mutation) -> None:
    OUTCOMES.outcomes[str(mutation)] = found = outcome(mutation)
    assert found == mutation.expected, f"{mutation.header}: {mutation.name}"


def test_all_mutations_are_well_formed() -> None:
    """Their texts are in the kernels, and their workloads known, so that all of them can be run."""
    assert_well_formed(MUTATIONS)
    assert len([mutation for mutation in MUTATIONS if mutation.expected != "harmless"]) >= 40
    for mutation in MUTATIONS:
        assert mutation.workload in WORKLOADS, mutation.name
        mutation.apply((METAL / mutation.header).read_text())


def test_detection_rate(capsys: pytest.CaptureFixture[str]) -> None:
    if not OUTCOMES.outcomes:
        pytest.skip("no mutation was run")
    with capsys.disabled():
        print(f"\n{OUTCOMES}")
    assert OUTCOMES.rate >= LEAST_RATE, f"missed: {', '.join(OUTCOMES.missed)}"
