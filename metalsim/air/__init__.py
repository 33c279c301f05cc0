"""Kernels that Apple's own compiler has compiled, run by metalsim: a witness for its front end.

The macOS wheels of PyTorch and MLX carry libraries of kernels in AIR, the LLVM bitcode that Apple's compiler makes of Metal
source, and the source of many of these kernels is public. :func:`pipeline` lowers one function of such a library onto
metalsim's runtime. If its results equal those of metalsim's own compilation of the same source bit by bit, both compilers
understood the source alike.
"""

from metalsim.air.lower import pipeline
from metalsim.air.metallib import MetalLibrary

__all__ = ["MetalLibrary", "pipeline"]
