"""The probe: a small extension of torch in Objective-C++, written as for a Mac, that the tests launch kernels with."""

import functools
from pathlib import Path

import torch

from metalsim.mps import build

FOLDER = Path(__file__).with_name("probe")


@functools.cache
def library(*, arc: bool = False) -> Path:
    """Return the probe's shared library, compiled with or without automatic reference counting."""
    sources = sorted([*FOLDER.glob("*.mm"), *FOLDER.glob("*.cpp")])
    return build.host_library("metalsim_probe", sources, arc=arc, include_dirs=[FOLDER])


@functools.cache
def operators(*, arc: bool = False):
    """Load the probe and return ``torch.ops.metalsim_probe``. A process has one of the two kinds."""
    torch.ops.load_library(str(library(arc=arc)))
    return torch.ops.metalsim_probe
