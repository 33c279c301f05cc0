"""Metal kernels on an NVIDIA GPU: compiled to PTX on a machine without one, run on a machine with one.

    library = metalsim.cuda.compile("examples/scale.metal")           # needs clang-19, no GPU
    pipeline = library.pipeline("scale", constants={"factor": 2.0})
    package = metalsim.cuda.save("scale.zip", {"scale": pipeline})

    pipeline = metalsim.cuda.load("scale.zip")["scale"]                # needs torch, cuda-bindings and a GPU
    pipeline.dispatch((4,), (32,), {0: tensor, 1: np.int32(100).tobytes()})

It is the second executor of the same source: for long sequences, real concurrency, and times of Metal kernels against each
other. Its times say nothing about Apple's GPUs.
"""

from metalsim.cuda.image import Image, load, save
from metalsim.cuda.launch import Launch, Pipeline
from metalsim.cuda.library import Library, compile

__all__ = ["Image", "Launch", "Library", "Pipeline", "compile", "load", "save"]
