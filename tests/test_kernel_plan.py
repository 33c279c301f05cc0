"""The choice of kernels (csrc/kernel_plan): plain arithmetic, tested without a device.

A table for the choices that somebody made, and properties for what must hold for every call on every GPU.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch_fused_attn import _C

ELEMENTS = ["half", "bfloat", "float"]
ELEMENT_BYTES = {"half": 2, "bfloat": 2, "float": 4}
SOURCES = {"dense": "0", "packed": "1", "paged": "2"}
GPUS = {"M1": (7, 8), "M1 Max": (7, 32), "M2": (8, 10), "M3": (9, 10), "M4 Pro": (9, 20), "M5": (10, 10)}
MAX_THREADGROUP_BYTES = 32768
UNLIMITED = 1 << 30


def plan(gpu="M1 Max", *, head_dim=128, head_dim_v=None, num_heads=8, num_kv_heads=None, **sizes):
    """Plan a call of which only what matters to the test is given."""
    family, cores = GPUS[gpu] if isinstance(gpu, str) else gpu
    defaults = {"element": "half", "batch": 1, "len_q": 1024, "len_k": 1024}
    return _C.kernel_plan(
        family=family,
        cores=cores,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads or num_heads,
        head_dim=head_dim,
        head_dim_v=head_dim_v or head_dim,
        **{**defaults, **sizes},
    )


def launches(planned):
    return [planned[name] for name in ("mask_tiles", "attention", "merge") if planned[name] is not None]


# What the tables of kernel_plan.cpp choose: GPU, element, head dim -> staged as, simdgroups, row tiles, key tile.
PREFILL = [
    ("M1 Max", "half", 64, "half", 4, 2, 32),
    ("M1 Max", "half", 128, "half", 8, 1, 32),
    ("M2", "half", 256, "half", 8, 1, 16),
    ("M1", "bfloat", 96, "float", 4, 2, 32),
    ("M1", "bfloat", 128, "float", 4, 2, 16),
    ("M1", "bfloat", 256, "float", 8, 1, 8),
    ("M1 Max", "float", 128, "float", 8, 1, 16),
    ("M4 Pro", "half", 64, None, 2, 2, 32),
    ("M4 Pro", "half", 128, None, 2, 1, 32),
    ("M3", "bfloat", 96, None, 2, 2, 32),
    ("M4 Pro", "float", 128, None, 2, 2, 32),
    ("M5", "float", 256, "float", 8, 1, 8),
]


@pytest.mark.parametrize(("gpu", "element", "head_dim", "staged_as", "simdgroups", "row_tiles", "key_tile"), PREFILL)
def test_prefill_tiles(gpu, element, head_dim, staged_as, simdgroups, row_tiles, key_tile):
    planned = plan(gpu, element=element, head_dim=head_dim)
    attention = planned["attention"]
    assert (attention["file"], attention["kernel"]) == ("prefill.metal", "prefill")
    assert attention["macros"] == {
        "FUSED_ATTN_ELEMENT": element,
        "FUSED_ATTN_HEAD_DIM": str(head_dim),
        "FUSED_ATTN_HEAD_DIM_V": str(head_dim),
        "FUSED_ATTN_KV_SOURCE": "0",
        "FUSED_ATTN_SIMDGROUPS": str(simdgroups),
        "FUSED_ATTN_ROW_TILES": str(row_tiles),
        "FUSED_ATTN_KEY_TILE": str(key_tile),
        "FUSED_ATTN_STAGED": "1" if staged_as else "0",
        "FUSED_ATTN_STAGE_ELEMENT": staged_as or element,
    }
    assert attention["threads"] == 32 * simdgroups
    assert planned["query_tile"] == 8 * row_tiles * simdgroups
    assert (attention["threadgroup_bytes"] > 0) == (staged_as is not None)


# Rows are queries that share a kv head's keys; the kernel is for how many of them.
@pytest.mark.parametrize(
    ("num_heads", "num_kv_heads", "tokens", "rows"),
    [
        (8, 8, 1, 1),
        (8, 4, 1, 2),
        (9, 3, 1, 3),
        (8, 8, 4, 4),
        (8, 8, 5, 8),
        (32, 4, 1, 8),
        (12, 4, 4, 16),
        (16, 1, 1, 16),
        (24, 1, 1, 24),
        (8, 2, 6, 24),
        (32, 1, 1, 32),
        (8, 2, 8, 32),
        (8, 8, 9, None),
        (64, 1, 1, None),
        (32, 4, 5, None),
    ],
)
def test_decode_rows(num_heads, num_kv_heads, tokens, rows):
    """Up to 32 rows of up to 8 tokens decode; everything else prefills."""
    planned = plan(num_heads=num_heads, num_kv_heads=num_kv_heads, len_q=tokens)
    assert planned["is_decode"] == (rows is not None)
    if rows is not None:
        assert planned["attention"]["macros"]["FUSED_ATTN_ROWS"] == str(rows)
        assert planned["query_tile"] == rows


@pytest.mark.parametrize(
    ("gpu", "batch", "num_kv_heads", "len_k", "splits"),
    [
        ("M1", 1, 8, 128, 1),  # too short
        ("M1", 64, 8, 16384, 1),  # enough sequences
        ("M1", 1, 8, 16384, 4),
        ("M1 Max", 1, 8, 16384, 16),
        ("M1 Max", 1, 8, 1024, 4),  # no part shorter than 256 keys
        ("M4 Pro", 2, 4, 16384, 10),
    ],
)
def test_splits(gpu, batch, num_kv_heads, len_k, splits):
    """Keys are split where sequences and heads alone leave cores idle."""
    planned = plan(gpu, batch=batch, num_heads=num_kv_heads, len_q=1, len_k=len_k)
    assert planned["num_splits"] == splits
    assert (planned["merge"] is None) == (splits == 1)


def test_a_window_is_not_split_as_if_it_were_all_keys():
    planned = plan("M1 Max", len_q=1, len_k=1 << 17, window_left=1000, limits_keys=True)
    assert planned["num_splits"] <= 5


def test_mask_tiles_are_labelled_once_for_a_broadcast_mask():
    planned = plan(batch=4, num_heads=8, mask="bool", len_q=100, len_k=70)
    assert planned["label_sizes"] == [1, 1, 2, 3]
    assert planned["mask_tiles"]["constants"][0] == planned["attention"]["constants"][0] == 1
    assert plan(batch=4, mask="half", mask_batch=4, mask_heads=8)["label_sizes"][:2] == [4, 8]
    assert plan(batch=4)["mask_tiles"] is None


def test_function_constants():
    constants = plan(source="paged", block_size=16, has_alibi=True, has_sinks=True)["attention"]["constants"]
    assert constants == {0: 0, 1: False, 2: True, 3: False, 4: True, 5: 16, 8: False}


def test_function_constants_of_decoding():
    constants = plan(len_q=1, len_k=128, has_aligned_rows=True)["attention"]["constants"]
    assert constants == {0: 0, 1: False, 2: False, 3: False, 4: False, 5: 1, 6: False, 7: True}
    assert plan(len_q=1, len_k=16384)["attention"]["constants"][6] is True


def test_unknown_names():
    with pytest.raises(ValueError, match="element must be one of half, bfloat, float, but is double"):
        plan(element="double")


@st.composite
def problems(draw):
    """Any call on any GPU."""
    num_kv_heads = draw(st.integers(1, 40))
    source = draw(st.sampled_from(sorted(SOURCES)))
    mask = draw(st.sampled_from(["none", "bool", "float", "half", "bfloat"])) if source == "dense" else "none"
    batch = draw(st.integers(1, 300))
    total_q = 0 if source == "dense" else draw(st.integers(1, 1 << 20))
    num_heads = num_kv_heads * draw(st.integers(1, 64))
    return {
        "gpu": (draw(st.integers(7, 12)), draw(st.integers(1, 80))),
        "element": draw(st.sampled_from(ELEMENTS)),
        "source": source,
        "batch": batch,
        "num_heads": num_heads,
        "num_kv_heads": num_kv_heads,
        "len_q": draw(st.one_of(st.integers(1, 40), st.integers(1, 1 << 20))),
        "total_q": total_q,
        "len_k": draw(st.one_of(st.integers(1, 600), st.integers(1, 1 << 22))),
        "head_dim": 8 * draw(st.integers(1, 32)),
        "head_dim_v": 8 * draw(st.integers(1, 32)),
        "window_left": draw(st.one_of(st.just(-1), st.integers(0, 1 << 14))),
        "block_size": draw(st.sampled_from([1, 16, 32, 100])) if source == "paged" else 1,
        "mask": mask,
        "mask_batch": draw(st.sampled_from([1, batch])),
        "mask_heads": draw(st.sampled_from([1, num_heads])),
    }


@given(problems())
def test_every_launch_is_one_that_metal_takes(problem):
    for launch in launches(plan(**problem)):
        assert 0 <= launch["threadgroup_bytes"] <= MAX_THREADGROUP_BYTES
        assert launch["threads"] % 32 == 0
        assert 32 <= launch["threads"] <= 1024
        assert all(1 <= size < 1 << 32 for size in launch["threadgroups"])


@given(problems())
def test_staged_tiles_fit(problem):
    """K and V of a key tile, each row 16 bytes longer than its data."""
    planned = plan(**problem)
    macros = planned["attention"]["macros"]
    if macros.get("FUSED_ATTN_STAGED") == "1":
        item = ELEMENT_BYTES[macros["FUSED_ATTN_STAGE_ELEMENT"]]
        row_bytes = (problem["head_dim"] + problem["head_dim_v"]) * item + 32
        assert planned["attention"]["threadgroup_bytes"] == planned["key_tile"] * row_bytes


@given(problems())
def test_the_grid_covers_every_row_once(problem):
    planned = plan(**problem)
    tiles, heads, batch = planned["attention"]["threadgroups"]
    assert batch == problem["batch"]
    if planned["is_decode"]:
        rows = problem["num_heads"] // problem["num_kv_heads"] * problem["len_q"]
        assert heads == problem["num_kv_heads"]
        assert rows <= planned["query_tile"] < rows + 8
        assert tiles == planned["num_splits"]
    else:
        assert heads == problem["num_heads"]
        assert (tiles - 1) * planned["query_tile"] < problem["len_q"] <= tiles * planned["query_tile"]


def tiles_of_splits(planned, length):
    """The key tiles of each part as decode_rows.h shares out those of a sequence, which the device knows the length of."""
    tiles = -(-length // planned["key_tile"])
    share = max(-(-tiles // planned["num_splits"]), planned["keys_per_split"] // planned["key_tile"])
    return [range(min(i * share, tiles), min((i + 1) * share, tiles)) for i in range(planned["num_splits"])]


@given(problems(), st.data())
def test_splits_cover_every_key_once(problem, data):
    planned = plan(**problem)
    assert planned["keys_per_split"] % planned["key_tile"] == 0
    if planned["is_decode"]:
        length = data.draw(st.integers(0, problem["len_k"]))
        covered = [tile for part in tiles_of_splits(planned, length) for tile in part]
        assert covered == list(range(-(-length // planned["key_tile"])))
    else:
        assert planned["num_splits"] == 1


@given(problems())
def test_no_part_is_empty_where_every_key_is_there(problem):
    planned = plan(**problem)
    if planned["num_splits"] > 1:
        window = problem["window_left"] if problem["window_left"] >= 0 else UNLIMITED
        visible = min(problem["len_k"], window + problem["len_q"] + planned["key_tile"])
        parts = tiles_of_splits(planned, visible)
        assert all(len(part) * planned["key_tile"] >= 128 for part in parts[:-1])
        assert planned["attention"]["constants"][6] is True


@given(problems())
def test_the_macros_say_what_the_call_is(problem):
    for launch in launches(plan(**problem)):
        macros = launch["macros"]
        assert macros.get("FUSED_ATTN_ELEMENT", problem["element"]) == problem["element"]
        assert macros.get("FUSED_ATTN_KV_SOURCE", SOURCES[problem["source"]]) == SOURCES[problem["source"]]
        assert macros.get("FUSED_ATTN_HEAD_DIM_V", str(problem["head_dim_v"])) == str(problem["head_dim_v"])
