"""What the timings say: ratios, by call, and whether the worst of them meets its goal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.nvidia.names import CHIPS, NATIVE, OURS

Row = Mapping[str, Any]
#: Seconds of a call by kernel, for each case.
Times = Mapping[str, Mapping[str, float]]

_OTHERS = ("PyTorch", "MLX")


@dataclass(frozen=True)
class Goal:
    """A figure of many calls. ``is_least``: it may be no less than the bound, in place of no more."""

    name: str
    bound: float | None
    values: Mapping[str, float]
    is_least: bool = False
    reason: str = field(default="", compare=False)

    @property
    def worst(self) -> tuple[str, float]:
        pick = min if self.is_least else max
        return pick(self.values.items(), key=lambda entry: entry[1])

    @property
    def best(self) -> float:
        return max(self.values.values()) if self.is_least else min(self.values.values())

    def meets(self, value: float) -> bool:
        if self.bound is None:
            return True
        # Goals have two decimals.
        return value > self.bound - 0.005 if self.is_least else value < self.bound + 0.005

    @property
    def met(self) -> int:
        return sum(map(self.meets, self.values.values()))


def times(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if "median" in row:
            found.setdefault(row["case"], {})[row["kernel"]] = row["median"]
    return found


def about(rows: Sequence[Row]) -> dict[str, Row]:
    """Return a row of each case, for the case's own fields."""
    return {row["case"]: row for row in rows}


def best_other(of: Mapping[str, float]) -> float | None:
    others = [seconds for kernel, seconds in of.items() if kernel.startswith(_OTHERS)]
    return min(others) if others else None


def _ratios(cases: Mapping[str, tuple[float | None, float | None]]) -> dict[str, float]:
    return {name: a / b for name, (a, b) in cases.items() if a and b}


def all_goals(rows: Sequence[Row], copy_bytes_per_second: float) -> Iterator[Goal]:
    """Yield each figure for kernels as planned for each chip; those without a value are left out."""
    every, cases = times(rows), about(rows)
    for chip in CHIPS:
        ours = f"{OURS}, {chip}"
        for goal in (*_prefill(every, cases, ours), *_decode(every, cases, ours, copy_bytes_per_second)):
            if goal.values:
                yield Goal(f"{goal.name}, kernels for {chip}", goal.bound, goal.values, goal.is_least)


def _prefill(every: Times, cases: Mapping[str, Row], ours: str) -> Iterator[Goal]:
    prefill = {name: row for name, row in cases.items() if row["kind"] == "PrefillTiming" and not row["window"]}
    long = [name for name, row in prefill.items() if row["length"] >= 2048 and row["head_dim"] in (64, 128)]
    yield Goal(
        "time ÷ best of PyTorch's and MLX's Metal kernels, prefill D64/128 fp16/bf16, N from 2K",
        0.85,
        _ratios({name: (every[name].get(ours), best_other(every[name])) for name in long}),
    )
    longest = {name: row for name, row in prefill.items() if row["length"] == 16384 and row["is_causal"]}
    yield Goal(
        "causal ÷ full, N = 16K: time",
        0.55,
        _ratios({n: (every[n].get(ours), every.get(n.replace("causal", "full"), {}).get(ours)) for n in longest}),
    )
    windows = {row["length"]: name for name, row in cases.items() if row.get("window")}
    if {16384, 131072} <= set(windows):
        pair = every[windows[131072]].get(ours), every[windows[16384]].get(ours)
        yield Goal("window 1024: time at N = 128K ÷ at N = 16K", 8.5, _ratios({"D64 fp16": pair}))
    naive = [name for name, row in prefill.items() if row["length"] == 2048]
    yield Goal(
        "naive kernel ÷ ours, N = 2K: time",
        None,
        _ratios({name: (every[name].get("naive"), every[name].get(ours)) for name in naive}),
        is_least=True,
    )


def _decode(every: Times, cases: Mapping[str, Row], ours: str, bandwidth: float) -> Iterator[Goal]:
    decode = {name: row for name, row in cases.items() if row["kind"] == "DecodeTiming"}

    def contiguous(name: str) -> Mapping[str, float]:
        return every.get(name.replace("paged", "contiguous"), {})

    for cache in ("contiguous", "paged"):
        chosen = [n for n, row in decode.items() if row["group"] == 8 and row["context"] == 32768 and cache in n]
        yield Goal(
            f"time ÷ best of the two, decode, gqa 8, 32K context, {cache}",
            0.50,
            _ratios({name: (every[name].get(ours), best_other(contiguous(name))) for name in chosen}),
        )
    shares = {
        name: kv_bytes(row) / every[name][ours] / bandwidth
        for name, row in decode.items()
        if row["batch"] == 16 and ours in every[name]
    }
    yield Goal("K/V bytes ÷ time, of the measured copy bandwidth, decode, batch 16", 0.60, shares, is_least=True)
    paged = [name for name, row in decode.items() if row["is_paged"]]
    yield Goal(
        "paged ÷ contiguous, same shapes: time",
        1.10,
        _ratios({name: (every[name].get(ours), contiguous(name).get(ours)) for name in paged}),
    )


def kv_bytes(row: Row) -> int:
    """Return the bytes of keys and values that a call of a decode case reads."""
    kv_heads = 32 // int(row["group"])
    return 2 * 2 * int(row["batch"]) * kv_heads * int(row["context"]) * int(row["head_dim"])


def native(of: Mapping[str, float]) -> float | None:
    return of.get(NATIVE)
