"""Metal compute kernels compiled, executed, checked and counted on Linux, without a Mac: see metalsim/README.md."""

from metalsim.counts import BufferTraffic, Counts, LineCounts, ThreadgroupTraffic
from metalsim.dispatch import ALL_SCHEDULES, Run
from metalsim.errors import (
    CheckError,
    CompileError,
    Diagnostic,
    DivergenceError,
    Finding,
    MetalsimError,
    OrderDependenceError,
    OutOfBoundsError,
    RaceError,
    ToolchainError,
    UninitializedReadError,
    ValidationError,
)
from metalsim.library import Argument, Library, Pipeline, compile
from metalsim.mps.mac import described_as
from metalsim.mps.observation import CountedCalls, CountedDispatch, CountedOperator, checked, counted

__all__ = [
    "ALL_SCHEDULES",
    "Argument",
    "BufferTraffic",
    "CheckError",
    "CompileError",
    "CountedCalls",
    "CountedDispatch",
    "CountedOperator",
    "Counts",
    "Diagnostic",
    "DivergenceError",
    "Finding",
    "Library",
    "LineCounts",
    "MetalsimError",
    "OrderDependenceError",
    "OutOfBoundsError",
    "Pipeline",
    "RaceError",
    "Run",
    "ThreadgroupTraffic",
    "ToolchainError",
    "UninitializedReadError",
    "ValidationError",
    "checked",
    "compile",
    "counted",
    "described_as",
]
