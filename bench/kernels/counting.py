"""Runs kernels under metalsim, and makes the counts of a whole call out of those of a part that has the same work.

Heads share nothing, so the counts of a call are those of one head (decode: of one kv head) times their number. In
prefill each count is a polynomial of the length of degree two (metalsim.model.scaling), in PyTorch's and MLX's decode
kernels one of degree one: runs at a few short lengths determine it. tests/metal/test_kernel_bench.py compares both with
runs of the whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

import metalsim
from metalsim import model
from metalsim.counts import Counts

#: Multiples of every prefill kernel's tiles.
PREFILL_LENGTHS = (128, 256, 384)
#: Multiples of what PyTorch's and MLX's decode kernels deal out to 32 blocks or simdgroups.
DECODE_LENGTHS = (1024, 2048)


@dataclass(frozen=True)
class Banks:
    """Cycles that the banks of threadgroup memory take, and those that they would without a conflict."""

    taken: int
    needed: float

    @property
    def ratio(self) -> float | None:
        return self.taken / self.needed if self.needed else None


@dataclass(frozen=True)
class Launch:
    """One kernel of a call: its counts, with what threads and its banks did in the run that was made."""

    counts: Counts
    banks: dict[int, Banks]  #: by GPU family


@dataclass(frozen=True)
class Measured:
    """What a run gives."""

    runs: tuple[metalsim.Run, ...]
    output: Tensor
    expected: Tensor


@dataclass(frozen=True)
class Fewest:
    """Bytes of tensors that a call must load and store, whatever its kernel."""

    loaded: int
    stored: int
    params: int  #: the buffer of the launch's parameters, which is no tensor


#: Runs a call of a length, one kernel after the other.
Runner = Callable[[int], Measured]

#: Bytes that the banks deliver in a cycle: 32 of 4 bytes each until M2, of 8 bytes from M3 on.
_BANK_BYTES = {7: 128, 9: 256}


def banks_of(counts: Counts) -> dict[int, Banks]:
    """Return the bank cycles of a run that counted lines: an access takes one, or as many as its bytes need."""
    lines = [line for line in counts.lines if line.space == "threadgroup"]
    taken = {7: sum(line.cycles_apple7 for line in lines), 9: sum(line.cycles_apple9 for line in lines)}
    return {
        family: Banks(taken[family], sum(max(line.instructions, line.bytes / bytes_a_cycle) for line in lines))
        for family, bytes_a_cycle in _BANK_BYTES.items()
    }


def count_call(run: Runner, lengths: Sequence[int], length: int, heads: int, tolerance: float) -> list[Launch]:
    """Return the launches of a call of ``length`` and so many heads, from runs of one head at ``lengths``.

    Raises:
        RuntimeError: if what the kernels computed is wrong: nothing is counted that computes something else.
    """
    runs: dict[int, tuple[metalsim.Run, ...]] = {}
    for size in lengths:
        measured = run(size)
        check(measured, tolerance)
        runs[size] = measured.runs
    launches = []
    for number, largest in enumerate(runs[max(lengths)]):
        counts = {size: at_size[number].counts for size, at_size in runs.items()}
        whole = counts[length] if length in counts else model.extrapolate(counts, length)
        launches.append(Launch(model.repeat(whole, heads), banks_of(largest.counts)))
    return launches


def check(measured: Measured, tolerance: float) -> None:
    error = (measured.output.double() - measured.expected).square().mean().sqrt()
    relative = float(error / measured.expected.square().mean().sqrt())
    if not relative <= tolerance:  # also when it is nan
        raise RuntimeError(f"kernels to be counted computed something wrong: relative error {relative:.2g}")
