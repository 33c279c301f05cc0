"""Running a pipeline once: validation, the run itself, and what it found."""

import ctypes
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metalsim import counts, native
from metalsim.bindings import buffers_of, check_threadgroup_memory
from metalsim.buffers import Buffer, Contents, GuardedCopies, Span, check_span, first_difference, span_of
from metalsim.counts import Counts
from metalsim.errors import Finding, MetalsimError, OrderDependenceError, ValidationError, check_error
from metalsim.toolchain import Flavour

if TYPE_CHECKING:
    from metalsim.library import Pipeline

#: "forward", "reversed", or the seed of a random order.
Schedule = str | int
#: Orders that together show most dependences on the order: both directions, and two random interleavings.
ALL_SCHEDULES: tuple[Schedule, ...] = ("forward", "reversed", 1, 2)

_SCHEDULE_NUMBERS = {"forward": 0, "reversed": 1}
_RANDOM = 2


class Run:
    """What a dispatch leaves behind, besides the contents of its buffers.

    Attributes:
        seconds: time that the dispatch took here. It says nothing about a GPU.
    """

    def __init__(self, seconds: float, counted: Counts | None) -> None:
        self.seconds = seconds
        self._counts = counted

    @property
    def counts(self) -> Counts:
        """Return what the dispatch cost.

        Raises:
            MetalsimError: if it was not counted.
        """
        if self._counts is None:
            raise MetalsimError("this dispatch was not counted: pass count=True (or check=True) to dispatch()")
        return self._counts


@dataclass(frozen=True)
class Grid:
    """The threads of a dispatch, and of each of its threadgroups."""

    threads: tuple[int, int, int]
    threadgroup: tuple[int, int, int]


def _triple(what: str, sizes: Sequence[int]) -> tuple[int, int, int]:
    padded = (*(int(size) for size in sizes), 1, 1, 1)[: max(3, len(sizes))]
    if len(padded) != 3 or any(size < 1 for size in padded):
        raise ValidationError(f"{what} must be one to three sizes of at least 1, but is {tuple(sizes)}")
    return padded[0], padded[1], padded[2]


def _grid(
    pipeline: "Pipeline", threadgroups: Sequence[int] | None, threads: Sequence[int] | None, group: Sequence[int]
) -> Grid:
    x, y, z = _triple("threads_per_threadgroup", group)
    limit = pipeline.max_total_threads_per_threadgroup
    if x * y * z > limit:
        raise ValidationError(
            f"kernel '{pipeline.name}' allows {limit} threads in a threadgroup, but threads_per_threadgroup is "
            f"{(x, y, z)}, {x * y * z} threads"
        )
    if (threadgroups is None) == (threads is None):
        raise ValidationError("dispatch() needs either threadgroups or threads: the size of the grid in one of the two")
    if threads is not None:
        return Grid(_triple("threads", threads), (x, y, z))
    gx, gy, gz = _triple("threadgroups", threadgroups or ())
    return Grid((gx * x, gy * y, gz * z), (x, y, z))


def _threadgroup_memory(pipeline: "Pipeline", given: Mapping[int, int]) -> list[int]:
    """Return the bytes of each [[threadgroup(n)]], checked against the kernel and the limit."""
    lengths = [0] * native.MAX_BINDINGS
    check_threadgroup_memory(pipeline.name, pipeline.arguments, pipeline.static_threadgroup_memory_length, given)
    for index, length in given.items():
        lengths[index] = length
    return lengths


def schedules_of(schedule: Schedule | Sequence[Schedule]) -> list[Schedule]:
    """Return the orders that the argument ``schedule`` of a dispatch names."""
    several = [schedule] if isinstance(schedule, (str, int)) else list(schedule)
    for one in several:
        if isinstance(one, str) and one not in _SCHEDULE_NUMBERS:
            raise ValidationError(
                f'schedule must be "forward", "reversed" or the seed of a random order, but is {one!r}'
            )
    if not several:
        raise ValidationError("schedule must name at least one order, but is empty")
    return several


def run_dispatch(
    pipeline: "Pipeline",
    *,
    threadgroups: Sequence[int] | None,
    threads: Sequence[int] | None,
    threads_per_threadgroup: Sequence[int],
    buffers: Mapping[int, Buffer],
    threadgroup_memory: Mapping[int, int],
    check: bool,
    count: bool | str,
    schedule: Schedule | Sequence[Schedule],
    workers: int | None,
) -> Run:
    """Validate and run a dispatch; :meth:`metalsim.Pipeline.dispatch` says what the arguments are."""
    mode = mode_of(check, count)
    grid = _grid(pipeline, threadgroups, threads, threads_per_threadgroup)
    lengths = _threadgroup_memory(pipeline, threadgroup_memory)
    schedules = schedules_of(schedule)
    spans = {index: span_of(index, buffer) for index, buffer in buffers.items()}
    known = buffers_of(pipeline.name, pipeline.arguments, spans)
    for argument in known.values():
        if argument.is_used:
            check_span(argument, spans.get(argument.index), pipeline.name)

    return run_validated(pipeline, grid, lengths, spans, mode, schedules, workers)


def mode_of(check: bool, count: bool | str) -> int:
    """Return the runtime's mode for the two arguments of a dispatch."""
    if count not in (False, True, "lines"):
        raise ValidationError(f'count must be False, True or "lines", but is {count!r}')
    mode = (native.CHECK if check else 0) | (native.COUNT if check or count else 0)
    return mode | (native.LINES if count == "lines" else 0)


def run_validated(
    pipeline: "Pipeline",
    grid: Grid,
    threadgroup_memory: Sequence[int],
    spans: Mapping[int, Span],
    mode: int,
    schedules: Sequence[Schedule],
    workers: int | None = None,
) -> Run:
    """Run a dispatch that was validated, on copies of the bound memory; what it wrote is copied back if all went well.

    Args:
        pipeline: the kernel.
        grid: its threads.
        threadgroup_memory: bytes of each ``[[threadgroup(n)]]``.
        spans: bound memory by index of ``[[buffer(n)]]``.
        mode: of native.CHECK, native.COUNT and native.LINES.
        schedules: the orders to run it in.
        workers: threads of this machine.
    """
    request = _request(pipeline, grid, threadgroup_memory, mode, workers)
    copies = GuardedCopies(spans)
    try:
        for index, binding in copies.bindings().items():
            request.buffers[index] = binding
        answer = _run_schedules(pipeline.name, request, copies, schedules)
        writable = {a.index for a in pipeline.arguments if a.kind == native.BUFFER and a.is_writable}
        copies.copy_back(index for index in spans if index in writable)
    finally:
        copies.release()
    return Run(answer["seconds"], counts.from_json(answer["counts"]) if answer["counts"] else None)


def _request(
    pipeline: "Pipeline", grid: Grid, lengths: Sequence[int], mode: int, workers: int | None
) -> native.Request:
    request = native.Request()
    request.kernel = ctypes.pointer(pipeline.kernel(Flavour.INSTRUMENTED if mode else Flavour.PLAIN))
    request.threads_per_grid[:] = grid.threads
    request.threads_per_threadgroup[:] = grid.threadgroup
    request.threadgroup_memory[:] = lengths
    request.workers = workers or os.cpu_count() or 1
    request.mode = mode
    return request


def _run_schedules(
    kernel: str, request: native.Request, copies: GuardedCopies, schedules: Sequence[Schedule]
) -> dict[str, Any]:
    """Run the request in each order on the same input and return the first answer; results must be equal."""
    first: tuple[dict[str, Any], dict[int, Contents]] | None = None
    for schedule in schedules:
        copies.copy_in()
        request.schedule = _SCHEDULE_NUMBERS[schedule] if isinstance(schedule, str) else _RANDOM
        request.seed = 0 if isinstance(schedule, str) else schedule
        answer = native.dispatch(request)
        if answer["findings"]:
            raise check_error([Finding.from_json(fields) for fields in answer["findings"]])
        if len(schedules) == 1:
            return answer
        contents = copies.contents()
        if first is None:
            first = answer, contents
            continue
        for index, expected in first[1].items():
            byte = first_difference(expected, contents[index])
            if byte is not None:
                raise OrderDependenceError(kernel, (schedules[0], schedule), index, byte)
    assert first is not None
    return first[0]
