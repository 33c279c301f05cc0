"""Times calls side by side: one round calls ours and every baseline once, so that what disturbs one disturbs all."""

import statistics
import time
from dataclasses import dataclass

import torch

from bench.cases import Call, Case

BUDGET_S = 2.0  # a case is repeated until this much time has gone by
MAX_ROUNDS = 25
TOLERANCE = {"fp32": 1e-3, "bf16": 6e-2}  # largest difference; the eager bf16 baselines round their scores to 8 bits


@dataclass(frozen=True)
class TimeRow:
    """Ours against one baseline. Times are medians per call; the ratio is the median of the rounds' ratios."""

    group: str
    variant: str
    length: int
    dtype: str
    baseline: str
    ours_ms: float
    baseline_ms: float
    ratio: float
    ratio_min: float
    ratio_max: float
    rounds: int
    goal: float | None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.ratio <= self.goal


def measure_time(case: Case) -> list[TimeRow]:
    """Return a row for each baseline; the case's goal is that of the first."""
    ours, baselines = case.setup()
    contenders = {"ours": ours, **baselines}
    warm_up(case, contenders)
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    deadline = time.perf_counter() + BUDGET_S
    rounds = 0
    while rounds < case.rounds or (rounds < MAX_ROUNDS and time.perf_counter() < deadline):
        for name, call in contenders.items():
            samples[name].append(seconds_per_call(call, case.calls))
        rounds += 1

    rows = []
    for number, name in enumerate(baselines):
        ratios = [a / b for a, b in zip(samples["ours"], samples[name], strict=True)]
        rows.append(
            TimeRow(
                case.group,
                case.variant,
                case.length,
                case.dtype,
                name,
                ours_ms=statistics.median(samples["ours"]) * 1e3,
                baseline_ms=statistics.median(samples[name]) * 1e3,
                ratio=statistics.median(ratios),
                ratio_min=min(ratios),
                ratio_max=max(ratios),
                rounds=rounds,
                goal=case.goal if number == 0 else None,
            )
        )
    return rows


def warm_up(case: Case, contenders: dict[str, Call]) -> None:
    """Call everything once; raise RuntimeError, and so time nothing, where a baseline and ours do not agree."""
    expected = contenders["ours"]()
    for name, call in contenders.items():
        result = call()
        if not case.same_result:
            continue
        difference = (result - expected).abs().max().item()
        if not difference <= TOLERANCE[case.dtype]:  # also when it is nan
            raise RuntimeError(
                f"{case.name}: {name!r} differs from ours by {difference:.2g}, more than {TOLERANCE[case.dtype]:g}"
            )


def seconds_per_call(call: Call, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def settings() -> dict[str, object]:
    """Return what else decides about the times."""
    return {"threads": torch.get_num_threads(), "budget_s": BUDGET_S, "max_rounds": MAX_ROUNDS}
