"""Fixtures that every test shares: the device, the seed, grad mode, and how many examples Hypothesis draws.

The suite runs on one device: ``FUSED_ATTN_TEST_DEVICE=mps pytest`` runs it on that one, the default is ``cpu``.
``HYPOTHESIS_PROFILE=thorough pytest tests/test_properties.py`` draws 20,000 examples of each property instead of 300, or of
40 on metalsim's software device, which compiles a kernel for about every second one.
"""

import os
from collections.abc import Iterator

import hypothesis
import pytest

# Thousands of small calls, each with several parallel regions: threads that spin while they wait for each other make the
# suite three times slower on a machine that does anything else. OpenMP reads this when torch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

IS_SIMULATED = os.environ.get("METALSIM") == "1" and os.environ.get("FUSED_ATTN_TEST_DEVICE") == "mps"
EXAMPLES = 40 if IS_SIMULATED else 300
hypothesis.settings.register_profile("default", max_examples=EXAMPLES, deadline=None, print_blob=True)
hypothesis.settings.register_profile("thorough", max_examples=20_000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Return the device of the operators; the references always run on the CPU, where there is float64.

    With METALSIM=1 ``mps`` is metalsim's software device, for which the MPS backend is a library of its own.
    """
    chosen = torch.device(os.environ.get("FUSED_ATTN_TEST_DEVICE", "cpu"))
    if IS_SIMULATED:
        from metalsim.mps import fused_attn

        fused_attn.load()
    return chosen


@pytest.fixture(scope="session")
def looks_at_indices(device: torch.device) -> bool:
    """Whether the operators refuse lengths, tables and slots for what they hold: on the CPU alone.

    A kernel would have to be waited for; there such numbers are made safe, and what they name in vain does not exist.
    """
    return device.type == "cpu"


@pytest.fixture(autouse=True)
def _forward_only() -> Iterator[None]:
    """Switch grad mode off, since the operators have no backward, and seed torch."""
    torch.manual_seed(0)
    with torch.no_grad():
        yield
