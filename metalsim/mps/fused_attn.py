"""The MPS backend of this repository's package on the software device: ``csrc/mps``, compiled as on a Mac.

On a Mac it is a part of ``torch_fused_attn._C``. On Linux that extension has no Objective-C++, and the backend is a second
library beside it. Schemas, and what refuses a call for every backend, are defined in ``_C`` alone; what both need is
linked into both: plain functions without any state.
"""

import functools
import os
from pathlib import Path

from metalsim import toolchain
from metalsim.mps import build

ROOT = toolchain.PACKAGE.parent
CSRC = ROOT / "csrc"
METAL = ROOT / "metal"

#: Files outside of csrc/mps that the backend calls.
SHARED = ("attention_args.cpp", "cache_args.cpp", "check.cpp", "kernel_plan.cpp", "launch_parts.cpp")

OPERATORS = ("forward", "varlen_forward", "paged_forward", "reshape_and_cache_", "copy_blocks_", "merge_states")


@functools.cache
def library(*, arc: bool = True) -> Path:
    """Return the backend's library, compiled at the first call.

    Args:
        arc: automatic reference counting in the Objective-C++ files, as the package's own build has it.
    """
    sources = sorted([*(CSRC / "mps").glob("*.cpp"), *(CSRC / "mps").glob("*.mm"), *(CSRC / name for name in SHARED)])
    return build.host_library(
        "fused_attn_mps",
        sources,
        arc=arc,
        include_dirs=[CSRC],
        depends=[METAL / "params.h"],
        flags=["-Wno-unknown-pragmas"],
    )


def use_cpu_operators() -> None:
    """Let the device run the package's CPU operators on its memory, as long as the MPS backend is not loaded."""
    import torch

    for name in OPERATORS:
        torch.ops.metalsim.use_host_kernel(f"fused_attn::{name}")


@functools.cache
def load(*, arc: bool = True) -> None:
    """Register the backend's operators, whose kernels are those in ``metal/`` unless FUSED_ATTN_METAL_FOLDER is set."""
    import torch

    os.environ.setdefault("FUSED_ATTN_METAL_FOLDER", str(METAL))
    path = library(arc=arc)
    torch.ops.metalsim.drop_host_kernels()
    torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
