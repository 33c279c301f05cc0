"""What a kernel costs, counted while it runs: :class:`Counts` is ``Run.counts``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import reduce
from typing import Any, TypeVar


@dataclass(frozen=True)
class BufferTraffic:
    """Device memory that a dispatch moved through one ``[[buffer(n)]]``."""

    loaded_bytes: int = 0
    stored_bytes: int = 0
    load_instructions: int = 0  #: one for each simdgroup and access
    store_instructions: int = 0
    load_transactions: int = 0  #: distinct 128-byte lines, summed over the load instructions
    store_transactions: int = 0


@dataclass(frozen=True)
class ThreadgroupTraffic:
    """Threadgroup memory that a dispatch moved, and the cycles its banks need for it."""

    loaded_bytes: int = 0
    stored_bytes: int = 0
    load_instructions: int = 0
    store_instructions: int = 0
    load_cycles_apple7: int = 0  #: 32 banks of 4 bytes
    store_cycles_apple7: int = 0
    load_cycles_apple9: int = 0  #: 32 banks of 8 bytes
    store_cycles_apple9: int = 0


@dataclass(frozen=True)
class LineCounts:
    """What one line of the source moves; accesses only.

    A line of a function that is inlined counts for all its calls together.
    """

    file: str
    line: int
    space: str  #: "device" or "threadgroup"
    kind: str  #: "load" or "store"
    instructions: int
    bytes: int
    transactions: int  #: device: 128-byte lines
    cycles_apple7: int  #: threadgroup: bank cycles
    cycles_apple9: int


@dataclass(frozen=True)
class Counts:
    """Counts of one dispatch. Operations count once for each thread that executes them, the others as their comment says."""

    threadgroups: int = 0
    simdgroups: int = 0  #: of all threadgroups
    threads: int = 0
    #: bytes of threadgroup memory a threadgroup uses: its variables and its [[threadgroup(n)]] arguments
    threadgroup_memory: int = 0
    #: 8x8x8 products of a simdgroup by type, "f32=f16*f16+f32"
    matrix_products: dict[str, int] = field(default_factory=dict)
    #: simdgroup_load and simdgroup_store of a simdgroup, by address space; their accesses count as traffic, too
    fragment_loads: dict[str, int] = field(default_factory=dict)
    fragment_stores: dict[str, int] = field(default_factory=dict)
    #: conversions between number types by threads, "f16>f32"; a vector of n counts n; unsigned integers are "u32" and so on
    conversions: dict[str, int] = field(default_factory=dict)
    #: device memory by buffer index, buffers of the constant address space included. An access belongs to the argument that
    #: its address was computed from; where that may be several, to the nearest of those whose memory it is in
    device: dict[int, BufferTraffic] = field(default_factory=dict)
    #: bytes of program-scope constants read
    constant_loaded_bytes: int = 0
    threadgroup: ThreadgroupTraffic = field(default_factory=ThreadgroupTraffic)
    #: bytes of per-thread arrays that could not be kept in registers, loaded and stored
    thread_loaded_bytes: int = 0
    thread_stored_bytes: int = 0
    #: of a simdgroup
    shuffles: int = 0
    reductions: int = 0
    votes: int = 0
    #: by threads
    exponentials: int = 0
    logarithms: int = 0
    transcendentals: int = 0  #: others: sin, tanh, pow ...
    reciprocals: int = 0
    square_roots: int = 0
    #: scalar operations by threads: "float_add", "float_multiply", "float_fma", "float_divide", "integer", "compare_select",
    #: "branch"; a vector of n counts n; without those of matrix products
    operations: dict[str, int] = field(default_factory=dict)
    threadgroup_barriers: int = 0  #: of a threadgroup
    simdgroup_barriers: int = 0  #: of a simdgroup
    #: on request
    lines: tuple[LineCounts, ...] = ()


def from_json(fields: dict[str, Any]) -> Counts:
    """Return the counts that the runtime wrote as a JSON object.

    Args:
        fields: the keys of Counts; buffers are keyed by text, as JSON has no others.

    Raises:
        TypeError: if there is a key that is not a field.
    """
    known = dict(fields)
    known["device"] = {int(index): BufferTraffic(**traffic) for index, traffic in fields.get("device", {}).items()}
    known["threadgroup"] = ThreadgroupTraffic(**fields.get("threadgroup", {}))
    known["lines"] = tuple(LineCounts(**line) for line in fields.get("lines", ()))
    return Counts(**known)


_Record = TypeVar("_Record", BufferTraffic, ThreadgroupTraffic)


def _added(first: _Record, second: _Record) -> _Record:
    sums = {f.name: getattr(first, f.name) + getattr(second, f.name) for f in fields(first)}
    return type(first)(**sums)


def _lines_added(lines: Iterable[LineCounts]) -> tuple[LineCounts, ...]:
    sums: dict[tuple[str, int, str, str], list[int]] = {}
    for line in lines:
        place = (line.file, line.line, line.space, line.kind)
        numbers = (line.instructions, line.bytes, line.transactions, line.cycles_apple7, line.cycles_apple9)
        sums[place] = [a + b for a, b in zip(sums.get(place, (0, 0, 0, 0, 0)), numbers, strict=True)]
    return tuple(LineCounts(*place, *numbers) for place, numbers in sums.items())


def _counts_added(first: Counts, second: Counts) -> Counts:
    sums: dict[str, Any] = {}
    for f in fields(Counts):
        a, b = getattr(first, f.name), getattr(second, f.name)
        if f.name == "threadgroup_memory":
            sums[f.name] = max(a, b)
        elif f.name == "device":
            sums[f.name] = {i: _added(a.get(i, BufferTraffic()), b.get(i, BufferTraffic())) for i in sorted({*a, *b})}
        elif f.name == "threadgroup":
            sums[f.name] = _added(a, b)
        elif f.name == "lines":
            sums[f.name] = _lines_added((*a, *b))
        elif isinstance(a, dict):
            sums[f.name] = {key: a.get(key, 0) + b.get(key, 0) for key in (*a, *(key for key in b if key not in a))}
        else:
            sums[f.name] = a + b
    return Counts(**sums)


def total(counts: Sequence[Counts]) -> Counts:
    """Return the sum of several dispatches' counts; of ``threadgroup_memory`` the largest.

    Buffers are summed by their index, whatever they are bound to.
    """
    return reduce(_counts_added, counts, Counts())
