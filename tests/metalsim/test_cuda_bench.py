"""bench.gpu without a GPU: its problems judged on the CPU's kernels, its files, and what its report makes of times."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.nvidia import correctness, goals, kernels, problems, report, timing_calls
from bench.nvidia.matrix import matrix_problems
from bench.nvidia.pipelines import Loaded, Recorder, Request
from bench.nvidia.problems import Problem
from bench.nvidia.sizes import size_problems
from bench.nvidia.timing_cases import DecodeTiming, PrefillTiming, decode_timings, prefill_timings


class OnCpu(Recorder):
    """Runs what is launched at once, with the CPU's pipelines."""

    def note(self, wanted: Request) -> None:
        raise AssertionError("nothing is only noted")

    def pipeline(self, wanted: Request) -> Any:
        return CpuPipeline(self._library(wanted).pipeline(wanted.kernel, dict(wanted.constants)))


class CpuPipeline:
    def __init__(self, pipeline: Any) -> None:
        self.arguments = pipeline.arguments
        self._pipeline = pipeline

    def bind(self, *dispatch: Any) -> Any:
        class Launch:
            def launch(_) -> None:
                self._pipeline.dispatch(*dispatch)

        return Launch()


@pytest.fixture(autouse=True)
def run_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(store: OnCpu, wanted: Any, threadgroups: Any, threads: Any, buffers: Any) -> list[Any]:
        pipeline = store.pipeline(wanted)
        return [pipeline.bind(threadgroups, threads, buffers(pipeline))]

    original = kernels._bind
    monkeypatch.setattr(
        kernels, "_bind", lambda store, *rest: (bind if isinstance(store, OnCpu) else original)(store, *rest)
    )


PROBLEMS = [
    Problem(
        "dense", "half", "dense", (2, 1), (64, 64), ((41, 37),) * 2, 7, keywords="causal+alibi+sinks", layout="odd"
    ),
    Problem("packed", "float", "packed", (2, 2), (64, 64), ((5, 9), (0, 3), (33, 40)), 9, keywords="left+softcap"),
    Problem(
        "paged",
        "bfloat",
        "paged",
        (8, 2),
        (64, 64),
        ((1, 70), (2, 33)),
        9,
        keywords="causal",
        block_size=16,
        is_split=True,
    ),
    Problem("masked", "half", "dense", (2, 1), (64, 64), ((41, 37),), 7, mask="bool_block"),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_a_problem_is_judged(problem: Problem) -> None:
    built = problems.build(problem, "cpu")
    correctness.bind(problem, built, OnCpu()).run()
    assert problems.judge(problem, built) > 0
    row = next(b for b, (len_q, _) in enumerate(problem.lengths) if len_q)
    built.results(problem, row)[0][0, 0] += 0.1  # of the first query row, which is always judged
    with pytest.raises(AssertionError, match="out: the error is"):
        problems.judge(problem, built)


def test_problems_are_plain_data(tmp_path: Path) -> None:
    every = [*matrix_problems(is_small=True), *matrix_problems(is_small=False), *size_problems()]
    problems.write_problems(tmp_path / "problems.json", every)
    assert problems.read_problems(tmp_path / "problems.json") == every
    assert len({problem.name for problem in every}) == len(every)
    sizes = size_problems()
    assert max(k for problem in sizes for _, k in problem.lengths) == 131_072
    assert max(problem.num_blocks for problem in sizes) == 65_536
    elements = {
        problem.element
        for problem in sizes
        if problem.source == "dense"
        and len(problem.lengths) * problem.heads[1] * problem.lengths[0][1] * problem.head_dims[0] > 2**31
    }
    assert elements == set(problems.DTYPES)


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    recorder = Recorder()
    timing_calls.note(PrefillTiming("fp16", 64, 1024, is_causal=False), recorder)
    wanted = [request for request in recorder.wanted.values() if request.source in ("prefill.metal", kernels.NAIVE)]
    recorder.wanted = {request.key: request for request in wanted}
    recorder.write(tmp_path)
    loaded = Loaded(tmp_path)
    assert [loaded.pipeline(request).name for request in wanted] == [request.kernel for request in wanted]
    name = "prefill D64 full fp16 N1024"
    assert loaded.plan(name, None, 7)["attention"]["macros"]["FUSED_ATTN_STAGED"] == "1"  # type: ignore[arg-type]


def test_the_list_of_timings() -> None:
    prefill, decode = list(prefill_timings()), list(decode_timings())
    assert {(c.length, c.head_dim, c.dtype, c.is_causal) for c in prefill if not c.window} == {
        (length, head_dim, dtype, is_causal)
        for length in (1024, 2048, 4096, 8192, 16384)
        for head_dim in (64, 96, 128)
        for dtype in ("fp16", "bf16")
        for is_causal in (False, True)
    }
    assert {(c.context, c.batch, c.group, c.is_paged) for c in decode} == {
        (context, batch, group, is_paged)
        for context in (4096, 32768, 131072)
        for batch in (1, 16)
        for group in (1, 4, 8, 16)
        for is_paged in (False, True)
    }
    largest = DecodeTiming("fp16", 128, 16, 131072, 1, False)
    assert largest.kv_bytes == goals.kv_bytes({"group": 1, "batch": 16, "context": 131072, "head_dim": 128}) == 2**35


def timing_rows() -> list[dict[str, Any]]:
    """Return rows whose figures are known: ours takes 80 % of PyTorch's time in prefill, and 40 % in decode."""
    rows: list[dict[str, Any]] = []

    def add(case: Any, times: Mapping[str, float]) -> None:
        from dataclasses import asdict

        for kernel, seconds in times.items():
            about = {"case": case.name, "kind": type(case).__name__, **asdict(case)}
            rows.append({**about, "kernel": kernel, "median": seconds, "difference": 0.0, "is_right": True})

    for is_causal, seconds in ((False, 2.0), (True, 1.0)):
        case = PrefillTiming("fp16", 64, 16384, is_causal)
        add(
            case,
            {
                "fused_attn, M1 Max": 0.8 * seconds,
                "fused_attn, M4 Pro": seconds,
                "PyTorch": seconds,
                "MLX": 2 * seconds,
            },
        )
    add(PrefillTiming("fp16", 64, 2048, False), {"fused_attn, M1 Max": 1.0, "naive": 6.0})
    for length, seconds in ((16384, 1.0), (131072, 9.0)):
        add(PrefillTiming("fp16", 64, length, True, window=1024, heads=4), {"fused_attn, M1 Max": seconds})
    for is_paged in (False, True):
        case = DecodeTiming("fp16", 128, 16, 32768, 8, is_paged)
        times = {"fused_attn, M1 Max": 4.4e-4 if is_paged else 4e-4}
        add(case, times if is_paged else {**times, "PyTorch, one pass": 2e-3, "MLX, two passes": 1e-3})
    return rows


def test_the_goals_of_known_times() -> None:
    bandwidth = 2**30 / 4e-4 / 0.7  # K and V of the decode case are 1 GiB
    found = {goal.name: goal for goal in goals.all_goals(timing_rows(), bandwidth)}
    worst = {name.removesuffix(", kernels for M1 Max"): goal.worst[1] for name, goal in found.items() if "M1" in name}
    assert worst == pytest.approx(
        {
            "time ÷ best of PyTorch's and MLX's Metal kernels, prefill D64/128 fp16/bf16, N from 2K": 0.8,
            "causal ÷ full, N = 16K: time": 0.5,
            "window 1024: time at N = 128K ÷ at N = 16K": 9.0,
            "naive kernel ÷ ours, N = 2K: time": 6.0,
            "time ÷ best of the two, decode, gqa 8, 32K context, contiguous": 0.4,
            "time ÷ best of the two, decode, gqa 8, 32K context, paged": 0.44,
            "K/V bytes ÷ time, of the measured copy bandwidth, decode, batch 16": 0.7 / 1.1,
            "paged ÷ contiguous, same shapes: time": 1.1,
        }
    )
    missed = [name for name, goal in found.items() if goal.met < len(goal.values)]
    assert missed == [
        "window 1024: time at N = 128K ÷ at N = 16K, kernels for M1 Max",
        "time ÷ best of PyTorch's and MLX's Metal kernels, prefill D64/128 fp16/bf16, N from 2K, kernels for M4 Pro",
    ]


def result() -> dict[str, Any]:
    verdict = {"name": "a", "is_right": True, "rows": 7, "from_torch": 0.001, "error": "", "seconds": 1.0}
    run = {"tool": "racecheck", "summary": "0 hazards displayed", "problems": 3, "right": 3}
    return {
        "correctness": {"correctness": {"matrix": [verdict, {**verdict, "is_right": False}], "sizes": []}},
        "races": {"races": [run]},
        "timings": {
            "environment": {"gpu": "NVIDIA H200"},
            "timings": {"copy_bytes_per_second": 4e12, "rows": timing_rows()},
        },
    }


def test_the_report_names_what_was_measured_on_what() -> None:
    text = report.markdown(result())
    assert (
        "Measured on one NVIDIA H200, an NVIDIA GPU, through `metalsim.cuda`: **none of it is an Apple time**" in text
    )
    assert (
        "| every kernel that kernel_plan can choose, at size | 1 of 2 right | 14 query rows against float64 |" in text
    )
    assert "MISSED, 0 of 1 met" in text
    assert "0 hazards displayed | 3 of 3 calls ran" in text
    assert (
        "| D64 full fp16 N16384 | 1,600,000 (**0.80**) | 2,000,000 (**1.00**) | 2,000,000 | 4,000,000 |  |  |" in text
    )
    assert "| D128 paged fp16 batch 16 gqa 8 context 32768 | 440 (**0.44**) |  |  |  |  |" in text


def test_plots_and_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = pytest.importorskip("bench.summary")
    pytest.importorskip("matplotlib")
    (tmp_path / "gpu.json").write_text(json.dumps(result()))
    for name in ("cpu.json", "kernels.json"):
        source = summary.RESULTS / name
        if source.exists():
            (tmp_path / name).write_text(source.read_text())
    monkeypatch.setattr(summary, "RESULTS", tmp_path)
    assert summary.draw() == Counter(gpu=2, kernels=2 * (tmp_path / "kernels.json").exists())
    assert (tmp_path / "gpu_prefill.png").stat().st_size > 10_000
    assert "| measured, NVIDIA H200 |" in summary.summary()
    assert "modelled for Apple, never run" in summary.summary() or not (tmp_path / "kernels.json").exists()


def test_the_documents_show_what_the_files_say() -> None:
    """`python -m bench.summary` has been run since they changed."""
    summary = pytest.importorskip("bench.summary")
    for part in summary.parts():
        assert f"{part.begin}\n\n{part.text}\n{part.end}" in part.path.read_text(), part.path
    kinds = [line.split(" | ")[1] for line in summary.summary().splitlines() if line.count(" | ") == 4][1:]
    assert {kind.split(" ")[0].rstrip(",") for kind in kinds} >= {"measured", "counted", "modelled"}
    kernels = (summary.RESULTS / "kernels.md").read_text()
    assert kernels in (summary.HERE / "README.md").read_text(), "`python -m bench.kernels` writes both"


def test_every_kernel_page_has_its_counts() -> None:
    """In tables that are short enough to read, and that say of times that nobody has seen them."""
    summary = pytest.importorskip("bench.summary")
    written = {part.path: part.text for part in summary.parts()}
    pages = sorted(summary.PAGES.glob("*.md"))
    assert pages
    for page in pages:
        tables = written[page].split("\n| call") if "\n| call" in written[page] else written[page].split("\n| mask")
        assert len(tables) > 1
        for text in tables[1:]:
            header, _, *rows = [line for line in text.splitlines() if line.count(" | ") > 4]
            assert "modelled, never run" in header
            assert 4 <= len(rows) <= 12
            assert {line.count(" | ") for line in rows} == {header.count(" | ")}
        assert "never run on Apple hardware" in written[page]


def test_summary_writes_between_the_markers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spoilt there is as it was, and text around it stays."""
    summary = pytest.importorskip("bench.summary")
    monkeypatch.setattr(summary, "draw", lambda: Counter())
    sources = {part.path for part in summary.parts()}
    for path in sources:
        text = path.read_text()
        for part in summary.parts():
            text = text.replace(part.text, "old\n") if part.path == path else text
        (tmp_path / path.name).write_text("new first line\n" + text)
    monkeypatch.setattr(summary, "HERE", tmp_path)
    monkeypatch.setattr(summary, "PAGES", tmp_path)
    summary.main()
    for path in sources:
        assert (tmp_path / path.name).read_text() == "new first line\n" + path.read_text()


def test_what_was_measured_is_whole() -> None:
    """No call of the list is missing in the committed file, and nothing in it is a failure that nobody speaks of."""
    summary = pytest.importorskip("bench.summary")
    result = summary.read("gpu.json")
    rows = result["timings"]["timings"]["rows"]
    assert {row["case"] for row in rows} == {case.name for case in (*prefill_timings(), *decode_timings())}
    assert not [row for row in rows if "error" in row]
    wrong = [row["kernel"] for row in rows if not row.get("is_right", True)]
    assert all(kernel.startswith("PyTorch") for kernel in wrong), "see README.md, 32-bit numbers"
    verdicts = result["correctness"]["correctness"]
    assert set(verdicts) == {"matrix", "sizes"}
    assert len(verdicts["sizes"]) == len(size_problems())
    assert len(verdicts["matrix"]) > 100  # kernel_plan may have other choices since
    assert all(verdict["is_right"] for found in verdicts.values() for verdict in found)
    for run in result["races"]["races"]:
        assert run["summary"].startswith("0 ")
        assert run["problems"] == run["right"] == len(verdicts["matrix"])
