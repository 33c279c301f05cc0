"""``python -m bench.kernels`` runs parts of calls and makes the counts of whole ones of them: these are those of whole runs.

Exponentials, shuffles and the like are compared to 2 %: how often a running maximum moves depends on the scores, not on the
sizes alone.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import numbers

from bench.kernels import __main__ as program
from bench.kernels import auxiliary, others, ours, report
from bench.kernels.cases import Auxiliary, Decode, Prefill, auxiliary_cases
from bench.kernels.counting import DECODE_LENGTHS, PREFILL_LENGTHS, Launch, Measured, count_call
from bench.kernels.figures import auxiliary_figures
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


#: Bytes loaded ÷ the fewest. More than 1: what all threads of a threadgroup read (a slot, a pair, lse) counts for each.
LOADED = {
    "label_mask_tiles": lambda _: 1.0,
    # lse of 4 bytes: each of four simdgroups reads it twice, and one of them with all lanes for its weight
    "merge_splits": lambda splits: (splits * 512 + splits * 4 * (2 * 4 + 32)) / (splits * 512 + splits * 4),
    "merge_states": lambda _: (2 * 256 + 2 * 4 * 32) / (2 * 256 + 2 * 4),
    "reshape_and_cache": lambda _: (2 * 2048 + 128 * 8) / (2 * 2048 + 8),
    "copy_blocks": lambda _: (2 * 32768 + 4 * 128 * 16) / (2 * 32768 + 16),
}


@pytest.mark.parametrize("case", [*auxiliary_cases()], ids=lambda case: case.name)
def test_what_other_kernels_of_ours_move(case: Auxiliary) -> None:
    """Every store and, but for numbers that threads share, every load is of what must be moved."""
    size = case.size if case.function == "merge_splits" else min(case.size, 256)
    launch, fewest = auxiliary.count(replace(case, size=size), "M1 Max")
    figures = auxiliary_figures(launch, fewest, "M1 Max", 7)
    assert figures.loaded == pytest.approx(LOADED[case.function](size))
    assert figures.stored == 1
    assert figures.barriers == (1 if case.function in ("label_mask_tiles", "merge_splits") else 0)
    assert figures.banks in (1, None)
    assert figures.indexed_bytes == 0
    assert figures.dram_seconds == pytest.approx(figures.fewest_bytes / (0.85 * 400e9))
    assert figures.time.low < figures.dram_seconds + 1.5e-6 <= figures.time.seconds * 1.001 < figures.time.high
    assert figures.time.bound == ("launch" if figures.dram_seconds < 1.4e-6 else "DRAM")


@pytest.mark.parametrize("case", [*auxiliary_cases()], ids=lambda case: case.name)
def test_a_wrong_move_is_not_counted(case: Auxiliary, monkeypatch: pytest.MonkeyPatch) -> None:
    run = auxiliary._RUNS[case.function]

    def wrong(small: Auxiliary, chip: str) -> auxiliary.Moved:
        moved = run(small, chip)
        moved.output.view(-1)[0] += 1
        return moved

    monkeypatch.setitem(auxiliary._RUNS, case.function, wrong)
    with pytest.raises(RuntimeError, match="relative error"):
        auxiliary.count(replace(case, size=min(case.size, 64)), "M4 Pro")


@pytest.mark.parametrize("kind", auxiliary.MASKS)
def test_the_mask_has_tiles_of_every_label(kind: str) -> None:
    mask = auxiliary.mask_of(kind, 64)
    labels = auxiliary.labels_of(mask, 8, 4)
    assert mask.dtype == auxiliary.MASKS[kind]
    assert labels.unique().tolist() == [auxiliary.SKIP, auxiliary.MIXED, auxiliary.PLAIN]
    hidden = ~mask if kind == "bool" else mask == -torch.inf
    for i, line in enumerate(labels):
        for j, label in enumerate(line):
            tile = (slice(8 * i, 8 * i + 8), slice(4 * j, 4 * j + 4))
            assert (label == auxiliary.SKIP) == hidden[tile].all()
            assert (label == auxiliary.PLAIN) == (mask[tile].all() if kind == "bool" else not mask[tile].any())


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the program write to another place, whose README has nothing of its part yet."""
    (tmp_path / "README.md").write_text(f"before\n{report.BEGIN}\n{report.END}\nafter\n")
    monkeypatch.setattr(program, "HERE", tmp_path)
    monkeypatch.setattr(program, "RESULTS", tmp_path)
    return tmp_path


def run_program(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.kernels", *arguments])
    with torch.set_grad_enabled(torch.is_grad_enabled()):
        program.main()


def test_a_part_of_the_calls_is_printed_and_not_written(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_program(monkeypatch, "--only", "reshape_and_cache, 16")
    assert "| reshape_and_cache, 16 tokens | M4 Pro | 1.25 | 1.00 |" in capsys.readouterr().out
    assert [path.name for path in results.iterdir()] == ["README.md"]
    assert (results / "README.md").read_text() == f"before\n{report.BEGIN}\n{report.END}\nafter\n"


def test_all_calls_are_written(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "prefill_cases", lambda: [Prefill("fp16", 64, True)])
    monkeypatch.setattr(
        program, "decode_cases", lambda: [Decode("fp16", 64, 8, is_paged) for is_paged in (False, True)]
    )
    monkeypatch.setattr(program, "auxiliary_cases", lambda: [Auxiliary("merge_splits", "3 splits", 3)])
    run_program(monkeypatch)
    text = (results / "kernels.md").read_text()
    assert (results / "README.md").read_text() == f"before\n{report.BEGIN}\n\n{text}\n{report.END}\nafter\n"
    rows = json.loads((results / "kernels.json").read_text())["rows"]
    assert {(row["kind"], row["call"]) for row in rows} == {
        ("prefill", "D64 causal fp16"),
        ("decode", "gqa 8 D64 contiguous fp16"),
        ("decode", "gqa 8 D64 paged fp16"),
        ("auxiliary", "merge_splits, 3 splits"),
    }
    for row in rows:
        assert row["low"] < row["seconds"] < row["high"]
        others_too = [r["seconds"] for r in rows if (r["call"], r["chip"]) == (row["call"], row["chip"])][1:]
        assert ("over_best_other" in row) == (row["kernel"] == "fused_attn" and row["kind"] != "auxiliary")
        if "over_best_other" in row:
            assert row["over_best_other"] == pytest.approx(row["seconds"] / min(others_too))
