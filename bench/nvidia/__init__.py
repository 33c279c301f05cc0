"""Our Metal kernels, PyTorch's, MLX's and a naive one on an NVIDIA GPU, through metalsim.cuda: see bench/gpu.py."""

import sys
from pathlib import Path

# How kernels are dispatched is written down once, for the tests. What is imported of it here needs no extension.
_TESTS = Path(__file__).parents[2] / "tests"
sys.path[:0] = [str(_TESTS / name) for name in ("", "metal", "metalsim")]
