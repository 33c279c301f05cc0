"""Our Metal kernels beside PyTorch's and MLX's, counted by metalsim and modelled, never run: ``python -m bench.kernels``."""

import sys
from pathlib import Path

# How kernels are dispatched, PyTorch's and MLX's as well as ours, is written down once, for the tests.
_TESTS = Path(__file__).parents[2] / "tests"
sys.path[:0] = [str(_TESTS / name) for name in ("metal", "metalsim")]
