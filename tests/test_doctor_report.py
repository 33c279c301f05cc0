"""``doctor --report``: predictions that are on the disk before anything is timed, and times that mean something."""

import sys

import pytest
import torch

from torch_fused_attn.doctor import environment, predictions, report, timing
from torch_fused_attn.doctor.calls import CALLS, Decode, Prefill
from torch_fused_attn.doctor.finding import note, ok
from torch_fused_attn.doctor.predictions import Prediction
from torch_fused_attn.doctor.timing import Timing

FINDINGS = [ok("platform", "macOS 15.1"), ok("torch", "torch 2.13.0"), note("torch", "something")]
OURS, THEIRS = Timing(400e-6, 390e-6, 420e-6), Timing(800e-6, 790e-6, 820e-6)


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that lets a real GPU be there, of a name and with cores."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(environment, "is_simulated", lambda: False)

    def describe(name, cores):
        monkeypatch.setattr(environment, "describe_device", lambda: (name, 7, cores))

    describe("Apple M1 Max", 32)
    return describe


def section(text, name):
    return text.split(f"## {name}\n")[1].split("\n## ")[0]


def rows(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]


def test_predictions_are_on_the_disk_before_anything_is_timed(gpu, tmp_path):
    path = tmp_path / "report.md"
    timed = []

    def time_call(call):
        # Another reader of the file, who sees what was flushed.
        text = path.read_text()
        assert [row[0] for row in rows(section(text, "Predictions"))] == [each.name for each in CALLS]
        assert "before anything was timed" in text
        assert [row[0] for row in rows(section(text, "Timings"))] == timed, "each row is written at once"
        timed.append(call.name)
        return OURS, THEIRS

    report.write(path, FINDINGS, time_call)
    assert timed == [call.name for call in CALLS]


def test_whole_report(gpu, tmp_path):
    report.write(tmp_path / "report.md", FINDINGS, lambda call: (OURS, THEIRS))
    text = (tmp_path / "report.md").read_text()
    assert "\nplatform\n  ok   macOS 15.1\ntorch\n  ok   torch 2.13.0\n  note something\n```\n" in text
    assert f"| torch | {torch.__version__} |" in text
    assert "never run" in section(text, "Predictions")
    found = predictions.find("Apple M1 Max", 32)
    verdicts = []
    for row, call in zip(rows(section(text, "Timings")), CALLS, strict=True):
        name, ours, theirs, ratio, expected, verdict = row
        prediction = found[call.name]
        assert (name, ours, theirs, ratio) == (call.name, "400 (390 to 420)", "800", "0.50")
        assert expected == f"{prediction.low_us:.0f} to {prediction.high_us:.0f}"
        assert verdict == prediction.verdict(400)
        verdicts.append(verdict)
    assert f"{verdicts.count('hit')} of {len(CALLS)} predictions were hits." in text
    assert 0 < verdicts.count("hit") < len(CALLS), "choose another time: this test is to see both"


@pytest.mark.parametrize(
    ("us", "verdict"),
    [
        (100, "hit"),
        (90, "hit"),
        (120, "hit"),
        (60, "MISS: 1.50 times faster than the range"),
        (180, "MISS: 1.50 times slower than the range"),
    ],
)
def test_verdict(us, verdict):
    assert Prediction(us=100, low_us=90, high_us=120, bound="DRAM").verdict(us) == verdict


@pytest.mark.parametrize(("name", "cores"), [("Apple M9 Max", 32), ("Apple M1 Max", 31)])
def test_unknown_chip(gpu, tmp_path, name, cores):
    gpu(name, cores)
    report.write(tmp_path / "report.md", FINDINGS, lambda call: (OURS, THEIRS))
    text = (tmp_path / "report.md").read_text()
    assert f"There is no prediction for {name} with {cores} GPU cores. There is for: M1 (8), M1 (7), " in text
    assert {row[-1] for row in rows(section(text, "Timings"))} == {"none"}
    assert "predictions were hits" not in text


def test_a_call_that_fails_does_not_end_the_report(gpu, tmp_path):
    def time_call(call):
        if isinstance(call, Prefill):
            raise RuntimeError("Metal does not compile prefill.metal:\n error: no")
        return OURS, THEIRS

    report.write(tmp_path / "report.md", FINDINGS, time_call)
    text = (tmp_path / "report.md").read_text()
    for row, call in zip(rows(section(text, "Timings")), CALLS, strict=True):
        if isinstance(call, Prefill):
            assert row[1] == "failed: Metal does not compile prefill.metal: error: no"
        else:
            assert row[1] == "400 (390 to 420)"
    assert f"of {sum(isinstance(call, Decode) for call in CALLS)} predictions were hits" in text


@pytest.mark.parametrize(
    ("available", "simulated", "reason"),
    [(False, False, "there is no mps device"), (True, True, "simulated: its times say nothing about a Mac")],
)
def test_nothing_is_timed(gpu, monkeypatch, tmp_path, available, simulated, reason):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: available)
    monkeypatch.setattr(environment, "is_simulated", lambda: simulated)
    report.write(tmp_path / "report.md", FINDINGS, lambda call: pytest.fail("timed"))
    text = (tmp_path / "report.md").read_text()
    assert "Nothing is timed, since " in text
    assert reason in text
    assert "## Predictions" not in text


# Times.


class Clock:
    """A GPU whose calls cost the host one time and the device another, and a clock beside it."""

    def __init__(self, wait):
        self.now, self.queued, self.wait, self.log = 0.0, 0.0, wait, []

    def call(self, name, host, device):
        def made():
            self.now += host
            self.queued += device
            self.log.append(name)

        return made

    def synchronize(self):
        self.now += self.wait + self.queued
        self.queued = 0.0
        self.log.append("wait")


def test_the_wait_is_shared_by_many_calls():
    clock = Clock(wait=200e-6)
    calls = clock.call("ours", 1e-6, 50e-6), clock.call("theirs", 1e-6, 10e-3)
    ours, theirs = timing.measure(calls, clock.synchronize, lambda: clock.now)
    assert ours.median == pytest.approx(51e-6, rel=0.02)
    assert theirs.median == pytest.approx(10.001e-3, rel=0.02)
    assert ours.low <= ours.median <= ours.high


def test_ours_and_theirs_take_turns():
    clock = Clock(wait=1e-3)
    calls = clock.call("ours", 0, 30e-3), clock.call("theirs", 0, 30e-3)
    timing.measure(calls, clock.synchronize, lambda: clock.now)
    rounds = clock.log[clock.log.index("theirs") :]
    turns = [name for name, before in zip(rounds, ["", *rounds[:-1]], strict=True) if name not in ("wait", before)]
    assert "ours" in turns
    # Both before and after every batch of ours there is one of theirs.
    batches = [part for part in " ".join(clock.log).split(" wait")[4:] if part]
    assert [batch.split()[0] for batch in batches] == ["ours", "theirs"] * timing.ROUNDS


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_both_contenders_compute_the_same(monkeypatch, call):
    """On the CPU, with shorter sequences, and few enough bytes that there are still several pairs of keys and values."""
    monkeypatch.setattr(type(call), "length", 96)
    monkeypatch.setattr(timing, "KV_BYTES", 3 * 2 * 96 * call.num_kv_heads * call.head_dim * 2)
    ours, theirs = timing.contenders(call, "cpu")
    tolerance = {"fp32": 1e-5, "fp16": 4e-3, "bf16": 3e-2}[call.dtype_name]
    seen = []
    for _ in range(3):
        expected = theirs()
        torch.testing.assert_close(ours()[0].reshape(expected.shape), expected, atol=tolerance, rtol=0)
        seen.append(expected)
    if isinstance(call, Decode):
        assert not torch.equal(seen[0], seen[1]), "keys and values take turns"
        torch.testing.assert_close(theirs(), seen[0])


def test_decoding_reads_more_than_a_cache_holds():
    for call in CALLS:
        if isinstance(call, Decode):
            one = 2 * call.length * call.num_kv_heads * call.head_dim * 2
            copies = -(-timing.KV_BYTES // one)
            assert copies * one >= 256 * 2**20


# Predictions.


def test_every_chip_has_every_call():
    chips = predictions.known_chips()
    assert len(set(chips)) == len(chips) > 20
    for name, cores in chips:
        found = predictions.find(f"Apple {name}", cores)
        assert list(found) == [call.name for call in CALLS]
        assert all(0 < entry.low_us < entry.us < entry.high_us for entry in found.values())
    assert "never run" in predictions.note()


@pytest.mark.skipif(sys.platform == "darwin", reason="kernels are counted with metalsim, on Linux")
@pytest.mark.parametrize(("name", "cores"), [("M1 Max", 32), ("M4 Pro", 16)])
@pytest.mark.parametrize("call", [CALLS[0], CALLS[-2]], ids=lambda call: call.name)
def test_predictions_are_those_of_these_kernels(name, cores, call):
    """``python -m bench.predictions`` writes them anew, when kernels, their choice or the model have changed."""
    from bench import predictions as made

    (chip,) = (chip for chip in made.chips() if (chip.name, chip.cores) == (name, cores))
    assert Prediction(**made.predict(call, chip, made.Counter())) == predictions.find(name, cores)[call.name]


@pytest.mark.skipif(sys.platform == "darwin", reason="kernels are counted with metalsim, on Linux")
def test_predictions_file_is_written_by_the_program():
    from bench import predictions as made

    assert [(chip.name.split(" (")[0], chip.cores) for chip in made.chips()] == predictions.known_chips()
    assert predictions.note() == made.NOTE
    text = made.FILE.read_text()
    assert made.text_of(made.json.loads(text)["chips"]) == text


@pytest.mark.skipif(sys.platform == "darwin", reason="kernels are counted with metalsim, on Linux")
def test_other_sizes_than_the_bench_counts_are_refused(monkeypatch):
    from bench import predictions as made

    monkeypatch.setattr(Prefill, "length", 2048)
    with pytest.raises(ValueError, match=r"bench.kernels counts calls of \(1024, 16\), not of \(2048, 16\)"):
        made.case_of(CALLS[0])
