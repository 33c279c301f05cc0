"""``metalsim.checked()`` and ``metalsim.counted()``: checks and counts of the kernels that torch's operators launch."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from metalsim.counts import Counts
from metalsim.counts import total as total_of
from metalsim.dispatch import Schedule, mode_of, schedules_of
from metalsim.errors import MetalsimError


@dataclass(frozen=True)
class CountedDispatch:
    """One kernel that an operator launched."""

    kernel: str
    counts: Counts


@dataclass
class CountedOperator:
    """One call of an operator, with the kernels that it launched.

    Attributes:
        name: of the operator, "fused_attn::forward"; empty for a kernel that was launched outside of any.
        dispatches: in the order of their launch.
    """

    name: str
    dispatches: list[CountedDispatch] = field(default_factory=list)

    @property
    def counts(self) -> Counts:
        """Return the sum over the dispatches."""
        return total_of([dispatch.counts for dispatch in self.dispatches])


@dataclass
class CountedCalls:
    """What :func:`counted` collects: ``operators``, one entry for each call that launched a kernel, in order."""

    operators: list[CountedOperator] = field(default_factory=list)
    _last_call: int | None = None

    @property
    def counts(self) -> Counts:
        """Return the sum over all operators."""
        return total_of([d.counts for operator in self.operators for d in operator.dispatches])

    def add(self, call: int, name: str, dispatch: CountedDispatch) -> None:
        """Note a dispatch of the operator call with this number; number 0 is no operator."""
        if not self.operators or self._last_call != call or call == 0:
            self.operators.append(CountedOperator(name))
        self._last_call = call
        self.operators[-1].dispatches.append(dispatch)


@dataclass(frozen=True)
class _Observer:
    """One ``with`` block."""

    mode: int
    schedules: tuple[Schedule, ...]
    calls: CountedCalls | None = None


@dataclass(frozen=True)
class Wanted:
    """What the open ``with`` blocks ask for, together."""

    mode: int
    schedules: tuple[Schedule, ...]


_lock = threading.Lock()
_observers: list[_Observer] = []
_switches: list[Callable[[bool], None]] = []


def connect(switch: Callable[[bool], None]) -> None:
    """Take a function that tells a part of the device whether anything is observed."""
    _switches.append(switch)


def _tell(is_observed: bool) -> None:
    for switch in _switches:
        switch(is_observed)


def wanted() -> Wanted:
    """Return what a dispatch is to be run with now."""
    with _lock:
        mode = 0
        schedules: dict[Schedule, None] = {}
        for observer in _observers:
            mode |= observer.mode
            schedules |= dict.fromkeys(observer.schedules)
        return Wanted(mode, tuple(schedules) or ("forward",))


def record(operator: tuple[int, str], kernel: str, counts: Counts) -> None:
    """Hand the counts of a dispatch to the open ``counted()`` blocks."""
    with _lock:
        for observer in _observers:
            if observer.calls is not None:
                observer.calls.add(*operator, CountedDispatch(kernel, counts))


@contextmanager
def _observing(observer: _Observer) -> Iterator[None]:
    if not _switches:
        raise MetalsimError(
            "there is no software mps device in this process to check or count: set METALSIM=1 before torch is imported"
        )
    with _lock:
        _observers.append(observer)
        _tell(True)
    try:
        yield
    finally:
        with _lock:
            # By identity: two equal blocks may be open.
            _observers[:] = [other for other in _observers if other is not observer]
            _tell(bool(_observers))


@contextmanager
def checked(schedule: Schedule | Sequence[Schedule] = "forward") -> Iterator[None]:
    """Run every kernel of the mps device under metalsim's checks, at once, and raise at the operator that launched it.

    Args:
        schedule: the order of threadgroups and simdgroups, as for :meth:`metalsim.Pipeline.dispatch`; of several, for
            instance ``metalsim.ALL_SCHEDULES``, each runs, and their results must be equal bit by bit.

    Raises:
        OutOfBoundsError, UninitializedReadError, RaceError, DivergenceError: from the operator. What the kernel wrote is
            not in its buffers then.
        OrderDependenceError: if schedules differ.
        MetalsimError: if the process has no software mps device.
    """
    with _observing(_Observer(mode_of(True, False), tuple(schedules_of(schedule)))):
        yield


@contextmanager
def counted(lines: bool = False) -> Iterator[CountedCalls]:
    """Count what every kernel of the mps device costs, by operator call.

    Args:
        lines: count for each line of the source as well.

    Yields:
        A :class:`CountedCalls`, which grows while operators run.

    Raises:
        MetalsimError: if the process has no software mps device.
    """
    calls = CountedCalls()
    with _observing(_Observer(mode_of(False, "lines" if lines else True), (), calls)):
        yield calls
