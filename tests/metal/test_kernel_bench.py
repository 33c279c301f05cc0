"""``python -m bench.kernels`` runs parts of calls and makes the counts of whole ones of them: these are those of whole runs.

Exponentials, shuffles and the like are compared to 2 %: how often a running maximum moves depends on the scores, not on the
sizes alone.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest
from launch import numbers

from bench.kernels import others, ours
from bench.kernels.cases import Decode, Prefill
from bench.kernels.counting import DECODE_LENGTHS, PREFILL_LENGTHS, Launch, Measured, count_call
from metalsim.counts import Counts, total

#: What no score changes.
EXACT = ["matrix_products", "device", "threadgroup_barriers", "simdgroups", "fragment_loads", "threadgroup"]
TOLERANCE = 3e-3


def assert_equal(made: Counts, whole: Counts) -> None:
    for name in EXACT:
        assert getattr(made, name) == getattr(whole, name), name
    for f in fields(Counts):
        pair: list[Any] = [getattr(x, f.name) for x in (made, whole)]
        if isinstance(pair[0], int) and f.name not in EXACT:
            assert pair[0] == pytest.approx(pair[1], rel=0.02, abs=64), f.name


def compare(run: Callable[..., Measured], lengths: tuple[int, ...], length: int, heads: int) -> None:
    made = count_call(lambda size: run(size, 1), lengths, length, heads, TOLERANCE)
    whole = run(length, heads)
    assert len(made) == len(whole.runs)
    for launch, found in zip(made, whole.runs, strict=True):
        assert isinstance(launch, Launch)
        assert_equal(launch.counts, found.counts)


def without_partial_lse_lines(counts: Counts) -> Counts:
    buffer = numbers()["kPartialLseBuffer"]
    traffic = replace(counts.device[buffer], load_transactions=0, store_transactions=0)
    return replace(counts, device={**counts.device, buffer: traffic})


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("chip", ["M1 Max", "M4 Pro"])
def test_our_prefill(chip: str, is_causal: bool) -> None:
    case = Prefill("fp16", 64, is_causal)
    compare(partial(ours.run_prefill, case, chip), PREFILL_LENGTHS, 640, 2)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("name", others.PREFILL)
def test_their_prefill(name: str, is_causal: bool) -> None:
    case = Prefill("fp16", 64, is_causal)
    compare(partial(others.run_prefill, name, case), PREFILL_LENGTHS, 640, 2)


@pytest.mark.parametrize("name", others.DECODE)
def test_their_decode(name: str) -> None:
    case = Decode("fp16", 64, 4, False)
    compare(partial(others.run_decode, name, case), DECODE_LENGTHS, 4096, 2)


def test_heads_of_our_decode_share_nothing() -> None:
    """But lines of 128 bytes: lse of a row's splits lie further apart the more rows there are."""
    case = Decode("fp16", 64, 8, True)
    one, two = (ours.run_decode(case, "M4 Pro", kv_heads=heads).runs for heads in (1, 2))
    for single, double in zip(one, two, strict=True):
        made, whole = (without_partial_lse_lines(x) for x in (total([single.counts, single.counts]), double.counts))
        assert_equal(made, whole)


def test_a_wrong_result_is_not_counted() -> None:
    case = Prefill("fp16", 64, False)
    run = ours.run_prefill(case, "M4 Pro", 128)
    wrong = Measured(run.runs, run.output + 1, run.expected)
    with pytest.raises(RuntimeError, match="relative error"):
        count_call(lambda size: wrong, (128,), 128, 1, TOLERANCE)
