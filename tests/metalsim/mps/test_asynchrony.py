"""What goes wrong only because a GPU runs later: hidden when kernels run at once, and seen when they do not."""

import json
import os
import subprocess
import sys

import pytest

SCENARIOS = """
import json
import torch
from probe_extension import operators

probe = operators()
x = torch.arange(1.0, 101.0)
device_x = x.to("mps")


def factor(y):
    # What y is of x, if it is a multiple; else None.
    y = y.cpu()
    return float(y[0] / x[0]) if torch.equal(y, x * (y[0] / x[0])) else None


def attempt(call):
    try:
        return call()
    except RuntimeError as error:
        return str(error)


names = [
    "no mistake",
    "parameters rewritten before they are read",
    "a concurrent encoder without a barrier",
    "a concurrent encoder with a barrier",
    "a temporary freed too early",
]
found = {name: attempt(lambda: factor(probe.mistake(device_x, name))) for name in names}
found["read too early"] = attempt(lambda: float(probe.read_too_early(device_x).cpu()))
found["reuse too early"] = attempt(lambda: factor(probe.reuse_too_early(device_x)))
print(json.dumps(found))
"""

MODES = ("eager", "commit", "thread", "deferred")


def run(mode: str) -> dict[str, float | str | None]:
    environment = {**os.environ, "METALSIM_EXECUTION": mode, "METALSIM_EXECUTION_DELAY_US": "20000"}
    command = [sys.executable, "-c", SCENARIOS]
    folder = os.path.dirname(__file__)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def results():
    return {mode: run(mode) for mode in MODES}


DELAYED = [mode for mode in MODES if mode != "eager"]


@pytest.mark.parametrize("mode", MODES)
def test_right_code_is_right_in_every_mode(results, mode):
    assert results[mode]["no mistake"] == 2
    assert results[mode]["a concurrent encoder with a barrier"] == 4


@pytest.mark.parametrize("mistake", ["read too early", "reuse too early", "parameters rewritten before they are read"])
def test_eager_execution_hides_mistakes(results, mistake):
    expected = {"read too early": 2, "reuse too early": 4, "parameters rewritten before they are read": 2}
    assert results["eager"][mistake] == expected[mistake]


@pytest.mark.parametrize("mode", DELAYED)
def test_a_parameter_buffer_rewritten_before_execution(results, mode):
    assert results[mode]["parameters rewritten before they are read"] != 2


@pytest.mark.parametrize("mode", DELAYED)
def test_a_host_read_without_synchronisation(results, mode):
    assert results[mode]["read too early"] != 2


@pytest.mark.parametrize("mode", DELAYED)
def test_a_temporary_whose_memory_is_used_again(results, mode):
    assert results[mode]["reuse too early"] != 4


@pytest.mark.parametrize("mode", DELAYED)
def test_a_missing_barrier_on_a_concurrent_encoder(results, mode):
    assert results[mode]["a concurrent encoder without a barrier"] != 4


@pytest.mark.parametrize("mode", DELAYED)
def test_a_temporary_freed_before_execution(results, mode):
    assert "had been released" in results[mode]["a temporary freed too early"]
