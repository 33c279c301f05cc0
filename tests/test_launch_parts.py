"""Long launches in parts (csrc/launch_parts): macOS ends a command buffer that keeps the GPU too long; see docs/limits.md.

Arithmetic, tested without a device. That host code and kernels do what it says: test_mps_host.py, metal/test_parts.py.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_kernel_plan import plan

LIMIT = 0.5
ALL = 1 << 20
LONG = {"num_heads": 24, "len_q": 131072, "len_k": 131072}
#: The slowest chip of each GPU family, and a large one.
CHIPS = {"M1 of 7 cores": (7, 7), "M2 of 8 cores": (8, 8), "M3 of 8 cores": (9, 8), "M5": (10, 10), "M3 Ultra": (9, 80)}
CAUSAL = {"limits_keys": True, "window_right": 0}
WINDOW = {"limits_keys": True, "window_left": 4096, "window_right": 0}

CALLS = {
    "full": LONG,
    "causal": {**LONG, **CAUSAL},
    "causal, top left": {**LONG, **CAUSAL, "len_k": 262144, "is_top_left": True},
    "window": {**LONG, **WINDOW},
    "fp32, D256": {**LONG, "element": "float", "head_dim": 256},
    "mask": {**LONG, "mask": "bool"},
    "padding masks": {**LONG, "mask": "bool", "batch": 2, "mask_batch": 2},
    "packed, one": {**LONG, "source": "packed", "total_q": 131072},
    "packed, one long among 255 short": {
        **{**LONG, "num_heads": 8, "len_k": 1 << 15, "len_q": 1 << 15, "batch": 256},
        "source": "packed",
        "total_q": (1 << 15) + 255 * 100,
    },
    "paged": {**LONG, **CAUSAL, "source": "paged", "len_q": 8192, "total_q": 8192, "block_size": 16},
    "a huge batch": {"batch": 1 << 16, "num_heads": 64, "len_q": 100, "len_k": 100},
    "one tile too large": {"batch": 64, "num_heads": 64, "len_q": 9, "len_k": 1 << 19},
    "one tile of a head too large": {"batch": 1 << 10, "num_heads": 2, "len_q": 17, "len_k": 1 << 20},
}


def parts_of(call, chip="M1 of 7 cores", **changes):
    """Return the attention launch and the parts of all launches that there are."""
    planned = plan(CHIPS[chip], **{"most_parts": ALL, **call, **changes})
    launches = [planned["attention"]] + [launch for launch in [planned["mask_tiles"]] if launch is not None]
    return planned["attention"], [(launch, launch["parts"]) for launch in launches]


def cover_once(grid, parts):
    """Whether every threadgroup of a grid is in exactly one part."""
    times = np.zeros(grid, np.uint8)
    for first, size, _ in parts:
        times[tuple(slice(begin, begin + n) for begin, n in zip(first, size, strict=True))] += 1
    return bool((times == 1).all()) and sum(math.prod(size) for _, size, _ in parts) == math.prod(grid)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name", CALLS)
def test_no_part_is_longer_than_half_a_second(name, chip):
    _, launches = parts_of(CALLS[name], chip)
    for launch, parts in launches:
        assert all(0 < seconds <= LIMIT for _, _, seconds in parts)
        assert cover_once(launch["threadgroups"], parts)


def test_video_at_131072_tokens():
    """B1 H24 L131072 D128 on the slowest chip: parts of whole query tiles, three each."""
    attention, ((_, parts),) = parts_of(LONG)
    assert attention["threadgroups"] == [2048, 24, 1]
    assert [first for first, _, _ in parts] == [(x, 0, 0) for x in range(0, 2048, 3)]
    assert all(size[1:] == (24, 1) for _, size, _ in parts)
    multiply_adds = 24 * 131072**2 * 2 * 128
    lanes, hertz, published_share = 7 * 128, 1.278e9, 0.4
    assert sum(seconds for *_, seconds in parts) > multiply_adds / (lanes * hertz * published_share)


def test_what_is_masked_takes_no_time():
    total = {name: sum(s for *_, s in parts_of(CALLS[name])[1][0][1]) for name in ("full", "causal", "window")}
    assert total["causal"] == pytest.approx(total["full"] / 2, rel=0.05)
    assert total["window"] == pytest.approx(total["full"] * 4096 / 131072, rel=0.05)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("call", [{}, CAUSAL, {"mask": "float"}, {"source": "packed", "total_q": 1024}], ids=str)
def test_short_calls_are_one_dispatch(call, chip):
    attention, launches = parts_of({"num_heads": 16, **call}, chip)
    for launch, parts in launches:
        assert [(first, list(size)) for first, size, _ in parts] == [((0, 0, 0), launch["threadgroups"])]
        assert launch["constants"][8] is False
    assert attention["parts"][0][2] < 0.1


def test_kernels_are_told_of_parts():
    _, launches = parts_of(CALLS["padding masks"])
    assert all(len(parts) > 1 and launch["constants"][8] is True for launch, parts in launches)


def test_decode_is_never_cut():
    planned = plan(CHIPS["M1 of 7 cores"], len_q=1, len_k=1 << 24, most_parts=ALL)
    assert planned["is_decode"]
    assert [planned[name]["parts"] for name in ("attention", "merge")] == [
        [((0, 0, 0), tuple(planned[name]["threadgroups"]), 0.0)] for name in ("attention", "merge")
    ]


def test_a_simdgroup_that_takes_too_long_is_not_cut_further():
    """The floor: as many threadgroups as run at a time, which are done when one is."""
    attention, ((_, parts),) = parts_of({"num_heads": 24, "len_q": 9, "len_k": 1 << 23})
    schedulers, simdgroups = 4 * 7, attention["threads"] // 32
    assert cover_once(attention["threadgroups"], parts)
    assert all(math.prod(size) <= schedulers // simdgroups and seconds > LIMIT for _, size, seconds in parts)


def test_more_cores_take_more():
    counts = [len(parts_of(LONG, chip)[1][0][1]) for chip in ("M3 of 8 cores", "M3 Ultra")]
    assert counts[1] < counts[0] / 9


@st.composite
def small_problems(draw):
    """Calls that are cut into not too many parts: the limit is a share of what they take."""
    source = draw(st.sampled_from(["dense", "packed", "paged"]))
    batch, heads = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    len_q = draw(st.integers(9, 3000))
    call = {
        "gpu": (draw(st.integers(7, 12)), draw(st.integers(0, 80))),
        "element": draw(st.sampled_from(["half", "bfloat", "float"])),
        "head_dim": 8 * draw(st.integers(1, 32)),
        "source": source,
        "batch": batch,
        "num_heads": heads,
        "len_q": len_q,
        "len_k": draw(st.integers(1, 5000)),
        "window_left": draw(st.one_of(st.just(-1), st.integers(0, 3000))),
        "window_right": draw(st.one_of(st.just(-1), st.integers(0, 3000))),
        "max_seconds": draw(st.floats(1e-7, 1e-2)),
        "most_parts": 2000,
    }
    if source == "dense":
        call |= {"is_top_left": draw(st.booleans()), "mask": draw(st.sampled_from(["none", "bool"]))}
        call |= {"mask_batch": draw(st.sampled_from([1, batch])), "mask_heads": draw(st.sampled_from([1, heads]))}
    else:
        call["total_q"] = draw(st.integers(len_q, len_q * batch))
    return call


@given(small_problems())
def test_parts_cover_the_grid_once_and_keep_the_limit(call):
    planned = plan(**call)
    for launch, slices in ((planned["attention"], 0), (planned["mask_tiles"], 1)):
        if launch is None:
            continue
        parts = launch["parts"]
        assert launch["constants"][8] == (len(parts) > 1)
        if len(parts) < call["most_parts"]:
            assert cover_once(launch["threadgroups"], parts)
        together = max(4 * max(call["gpu"][1], 1) // (launch["threads"] // 32), 1)
        for _, size, seconds in parts:
            if seconds > call["max_seconds"]:  # the floor
                assert size[slices] == 1
                assert call["source"] != "dense" or math.prod(size) <= together
