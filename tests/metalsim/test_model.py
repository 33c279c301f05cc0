"""The cost model: its arithmetic on a case worked by hand, its scaling of counts, what it says, and published times."""

import re
import statistics
from dataclasses import dataclass, replace

import pytest
import real_kernels
import torch

from metalsim import model
from metalsim.air import wheels
from metalsim.counts import BufferTraffic, Counts, ThreadgroupTraffic
from metalsim.model import chips, kernel_shape, text

LANES = 32


# --- Worked by hand -----------------------------------------------------------------------------------------------------


def steel_by_hand(length: int, heads: int) -> Counts:
    """MLX's steel kernel, f16 with D = 128, as one reads it: 4 simdgroups of 8 queries each, steps of 16 keys.

    A step of a simdgroup has 64 products (16 key and value slices, twice, by 2 key fragments); it widens 16 fragments of the
    query, 32 of keys and 32 of values, 2 elements a lane; 5 operations on each of 4 scores a lane and 32 for the output; 4
    shuffles; and 2 stages of 2 barriers. 48 of its loads wait for the product before them. A threadgroup stages 16 keys and
    16 values.
    """
    threadgroups = length // 32 * heads
    steps = threadgroups * length // 16
    return Counts(
        threadgroups=threadgroups,
        simdgroups=4 * threadgroups,
        threads=128 * threadgroups,
        threadgroup_memory=14_848,
        matrix_products={"f32=f32*f32+f32": 4 * 64 * steps},
        conversions={"f16>f32": 4 * 160 * LANES * steps},
        operations={"float_multiply": 4 * (20 + 32) * LANES * steps, "integer": 10**12},
        shuffles=4 * 4 * steps,
        threadgroup=ThreadgroupTraffic(loaded_bytes=4 * 80 * 128 * steps, stored_bytes=2 * 16 * 128 * 2 * steps),
        threadgroup_barriers=4 * steps,
        simdgroup_barriers=4 * 96 * steps,
    )


def chip_with(name: str, **constants: float) -> chips.Chip:
    """A chip whose family has other values for some constants."""
    chip = model.chip(name)
    changed = {name: replace(getattr(chip.family, name), value=value) for name, value in constants.items()}
    return replace(chip, family=replace(chip.family, **changed))


def test_issue_of_a_step_is_that_of_the_worked_example():
    counts = steel_by_hand(4096, 8)
    cycles = chip_with("M1 Max", stage=92, shuffle=2).family.values()
    issue = kernel_shape.issue(counts, cycles)
    steps = counts.simdgroups * 4096 // 16
    per_step = [
        part / steps for part in (issue.products, issue.conversions, issue.arithmetic, issue.exchange, issue.stages)
    ]
    assert per_step == [1152, 160, 52, 8, 184]
    assert issue.exposed(1.0) / steps == 1556
    assert kernel_shape.threadgroup_bytes(counts) / (steps / 4) == 49_152
    assert kernel_shape.serial_chain(counts, cycles) / steps == 16 * (55 + 36 + 18) + 32 * (55 + 36) + 2 * 350


@pytest.mark.parametrize(
    ("name", "heads", "milliseconds", "bound"),
    [
        ("M1 Max", 8, 9.89, "issue"),
        ("M1", 32, 160, "issue"),
        ("M4 Pro", 32, 43.6, "latency"),
        ("M4 Max", 32, 21.8, "latency"),
    ],
)
def test_time_is_that_of_the_worked_example(name, heads, milliseconds, bound):
    chip = chip_with(name, stage=92, shuffle=2)
    estimate = model.estimate(steel_by_hand(4096, heads), chip, launches=0)
    assert estimate.seconds == pytest.approx(milliseconds * 1e-3, rel=5e-3)
    assert bound in estimate.bound
    assert estimate.residency.simdgroups_per_core == 16
    assert estimate.residency.limit == "threadgroup memory"


def test_work_hides_behind_products_only():
    issue = kernel_shape.Issue(products=100, conversions=30, arithmetic=10)
    assert issue.exposed(1.0) == 140
    assert issue.exposed(0.5) == 120
    assert kernel_shape.Issue(products=4, arithmetic=100).exposed(0.5) == 100
    assert kernel_shape.Issue(arithmetic=100).exposed(0.5) == 100


def test_residency():
    counts = replace(steel_by_hand(4096, 8), threadgroup_memory=27_136)
    m1, m3 = model.chip("M1 Max"), model.chip("M3 Max")
    assert kernel_shape.residency(counts, m1, None).simdgroups_per_core == 8
    assert kernel_shape.residency(counts, m1, 128).simdgroups_per_core == 8
    counts = replace(counts, threadgroup_memory=0)
    assert kernel_shape.residency(counts, m1, None).simdgroups_per_core == 32
    assert kernel_shape.residency(counts, m1, 104).simdgroups_per_core == 16
    assert kernel_shape.residency(counts, m1, 128).simdgroups_per_core == 12
    assert kernel_shape.residency(counts, m3, 128).simdgroups_per_core == 32
    few = replace(counts, threadgroups=20, simdgroups=20, threads=640)
    assert kernel_shape.residency(few, m1, None) == kernel_shape.Residency(20, 1.0, "the size of the grid")


def test_bfloat_costs_more_where_the_hardware_has_none():
    counts = steel_by_hand(4096, 8)
    bfloat = replace(counts, conversions={"bf16>f32": counts.conversions["f16>f32"]})
    assert model.estimate(bfloat, "M1 Max").seconds > 1.2 * model.estimate(counts, "M1 Max").seconds
    assert model.estimate(bfloat, "M3 Max").seconds == model.estimate(counts, "M3 Max").seconds
    own_products = replace(bfloat, matrix_products={"f32=bf16*bf16+f32": 1})
    assert not model.estimate(own_products, "M1 Max").familiar
    assert model.estimate(own_products, "M3 Max").familiar


def test_dram_and_launches():
    counts = Counts(threadgroups=64, simdgroups=64, threads=2048, operations={"float_fma": 32})
    estimate = model.estimate(counts, "M1 Max", dram_bytes=340_000_000, launches=2)
    assert estimate.seconds == pytest.approx(1e-3 + 3e-6)
    assert estimate.bound == "DRAM"
    with pytest.raises(ValueError, match="no threadgroup"):
        model.estimate(Counts(), "M1 Max")


# --- Constants ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [chips.APPLE7, chips.APPLE9, chips.APPLE10], ids=lambda family: family.name)
def test_every_constant_has_a_source_and_an_interval_around_its_value(family):
    counts = steel_by_hand(1024, 8)
    chip = replace(model.chip("M1 Max"), family=family)
    for name, constant in family.constants():
        assert constant.source, name
        assert min(constant.best, constant.worst) <= constant.value <= max(constant.best, constant.worst), name
        times = []
        for value in (constant.best, constant.value, constant.worst):
            changed = replace(family, **{name: replace(constant, value=value)})
            times.append(model.estimate(counts, replace(chip, family=changed)).seconds)
        assert times == sorted(times), name


def test_chips():
    assert model.chip("m3 max") is model.CHIPS["M3 Max"]
    with pytest.raises(ValueError, match="no chip named 'M9'"):
        model.chip("M9")
    # A core does 128 multiply-adds a cycle.
    for name, teraflops in {"M1": 2.62, "M1 Max": 10.6, "M3 Max": 14.1, "M4 Pro": 8.08, "M5 Max": 16.2}.items():
        assert model.chip(name).peak_products_per_second * 1024 == pytest.approx(teraflops * 1e12, rel=5e-3)


# --- Scaling ------------------------------------------------------------------------------------------------------------


def causal_run(length: int) -> Counts:
    """Counts of a made-up kernel with a causal mask: tiles of 32 queries and of 16 keys."""
    tiles = length // 32
    steps = tiles * (tiles + 1)
    return Counts(
        threadgroups=tiles,
        simdgroups=4 * tiles,
        threads=128 * tiles,
        threadgroup_memory=1000,
        matrix_products={"f32=f16*f16+f32": 7 * steps},
        device={
            0: BufferTraffic(loaded_bytes=3 * tiles),
            4: BufferTraffic(loaded_bytes=5 * steps, load_transactions=steps),
        },
        threadgroup=ThreadgroupTraffic(loaded_bytes=11 * steps + tiles),
        exponentials=13 * steps,
    )


def test_three_runs_give_the_counts_of_any_length():
    runs = {length: causal_run(length) for length in (64, 128, 192)}
    assert model.extrapolate(runs, 4096) == causal_run(4096)
    assert model.extrapolate(runs, 128) == causal_run(128)


def test_inner_steps_are_without_what_happens_once():
    runs = {length: causal_run(length) for length in (64, 128, 192)}
    steps = 2 * 64**2 // (32 * 32)
    assert model.inner_steps(runs) == Counts(
        matrix_products={"f32=f16*f16+f32": 7 * steps},
        device={0: BufferTraffic(), 4: BufferTraffic(loaded_bytes=5 * steps, load_transactions=steps)},
        threadgroup=ThreadgroupTraffic(loaded_bytes=11 * steps),
        exponentials=13 * steps,
    )
    with pytest.raises(ValueError, match="evenly spaced"):
        model.inner_steps({64: causal_run(64), 128: causal_run(128), 256: causal_run(256)})


def test_what_is_no_polynomial_is_refused():
    runs = {64: Counts(shuffles=4), 128: Counts(shuffles=16), 192: Counts(shuffles=37)}
    with pytest.raises(ValueError, match="multiples of the kernel's tiles"):
        model.extrapolate(runs, 96)
    with pytest.raises(ValueError, match="at least 2"):
        model.extrapolate({64: Counts()}, 128)


def test_repeated_threadgroups_keep_their_memory():
    assert model.repeat(causal_run(64), 8).exponentials == 8 * causal_run(64).exponentials
    assert model.repeat(causal_run(64), 8).threadgroup_memory == 1000
    with pytest.raises(ValueError, match="at least 1"):
        model.repeat(causal_run(64), 0)


# --- What it says -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [
        (9.514e-3, "9.5 ms"),
        (0.1604, "160 ms"),
        (1.23, "1.2 s"),
        (0.9996e-3, "1.0 ms"),
        (94.9e-6, "95 us"),
        (2.04e-6, "2.0 us"),
    ],
)
def test_times_have_two_digits(seconds, printed):
    assert text.format_time(seconds) == printed


def test_every_line_with_a_figure_says_that_it_is_modelled():
    report = model.report(steel_by_hand(4096, 8), ["M1 Max", "M4 Max"])
    assert "M1 Max: 9.4 ms (range " in report
    assert "accumulate in f32" in report
    assert model.CALIBRATION in report
    for line in report.splitlines():
        if re.search(r"\d (ms|us|s|%)", line):
            assert model.NEVER_RUN in line or line == model.CALIBRATION


def test_a_kernel_that_only_copies_is_reported():
    copies = Counts(
        threadgroups=1, simdgroups=1, threads=32, device={0: BufferTraffic(loaded_bytes=128, stored_bytes=128)}
    )
    report = model.report(copies, ["M1"])
    assert "M1: 1.5 us" in report
    assert "no matrix product" in report


def test_a_kernel_unlike_the_calibrated_ones_has_a_wide_range():
    counts = steel_by_hand(4096, 8)
    unstaged = replace(counts, threadgroup=ThreadgroupTraffic())
    for candidate, share in ((counts, 0.1), (unstaged, 0.25)):
        estimate = model.estimate(candidate, "M1 Max")
        assert 1 - estimate.low / estimate.seconds > share - 1e-9
        assert estimate.high / estimate.seconds - 1 > share - 1e-9
    assert "25 % wide" in model.report(unstaged)
    assert "25 % wide" not in model.report(counts)


def test_a_small_win_is_not_claimed():
    counts = steel_by_hand(4096, 8)
    better = replace(counts, conversions={})
    assert not model.compare(model.estimate(counts, "M1 Max"), model.estimate(better, "M1 Max")).claimable
    half = steel_by_hand(4096, 4)
    comparison = model.compare(model.estimate(counts, "M1 Max"), model.estimate(half, "M1 Max"))
    assert comparison.claimable
    assert str(comparison) == f"2.0 times as fast; {model.NEVER_RUN}"
    with pytest.raises(ValueError, match="one chip only"):
        model.compare(model.estimate(counts, "M1 Max"), model.estimate(half, "M3 Max"))


# --- Published times ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """A time that somebody measured on the machine, for attention without a mask, batch 1, as many keys as queries."""

    chip: str
    dtype: torch.dtype
    head_dim: int
    heads: int
    length: int
    milliseconds: float
    source: str
    calibrates: bool = False


_MFA = "marcogva-hub/mlx-flashattention-steel docs/benchmarks/RESULTS.md, column SDPA: MLX 0.31.0, macOS 26.4, median of 20"
_MLX_1610 = "ml-explore/mlx pull request 1610, November 2024; the table's time divided by its 320 calls"
_MLX_4330 = "ml-explore/mlx pull request 4330"
_NAX = "marcogva-hub/mlx-flashattention-steel docs/audits/v50-nax-coverage/02: its own kernel, of the same structure"

PUBLISHED = (
    Published("M1 Max", torch.float16, 64, 8, 4096, 4.91, _MFA),
    Published("M1 Max", torch.float16, 64, 8, 8192, 18.25, _MFA),
    Published("M1 Max", torch.float16, 128, 8, 2048, 2.60, _MFA),
    Published("M1 Max", torch.float16, 128, 8, 4096, 9.51, _MFA, calibrates=True),
    Published("M1 Max", torch.float16, 128, 8, 8192, 37.84, _MFA),
    Published("M1 Max", torch.bfloat16, 128, 8, 4096, 13.43, _MFA),
    Published("M1 Max", torch.float32, 128, 8, 4096, 16.34, _MFA),
    Published("M3 Max", torch.float16, 64, 32, 1024, 0.78, _MLX_1610),
    Published("M3 Max", torch.float16, 64, 32, 2048, 2.98, _MLX_1610),
    Published("M3 Max", torch.float16, 64, 32, 4096, 11.71, _MLX_1610, calibrates=True),
    Published("M3 Ultra", torch.bfloat16, 72, 16, 8192, 14.30, _MLX_4330),
    Published("M5 Max", torch.float16, 128, 12, 4096, 8.19, _NAX),
)

RUN_LENGTHS = (64, 128, 192)
BLOCK_KEYS = {64: 32, 72: 32, 128: 16}


@pytest.fixture(scope="module")
def steel_runs():
    """Counts of MLX's steel kernel by dtype and head dimension, then by length; one head."""
    source = replace(
        real_kernels.MLX_STEEL,
        text=real_kernels.MLX_STEEL.text
        + "instantiate_attention(bfloat16, bfloat16_t, 32, 32, 72, 4, bfloat16, bfloat16_t)\n",
    )
    patch = pytest.MonkeyPatch()
    patch.setitem(real_kernels._STEEL_TILES, 72, (32, 32))
    runs: dict[tuple[torch.dtype, int], dict[int, Counts]] = {}
    try:
        for point in PUBLISHED:
            key = (point.dtype, point.head_dim)
            if key not in runs:
                runs[key] = {length: count_steel(source, *key, length) for length in RUN_LENGTHS}
    except wheels.WheelUnavailableError as error:
        pytest.skip(str(error))
    finally:
        patch.undo()
    return runs


def count_steel(source: real_kernels.Source, dtype: torch.dtype, head_dim: int, length: int) -> Counts:
    inputs = real_kernels.attention_inputs(1, 1, 1, length, length, head_dim, dtype)
    (dispatch,) = real_kernels.mlx_steel(*inputs).dispatches
    dispatch = replace(dispatch, source=source)
    return dispatch.run(dispatch.pipeline(), count=True).counts


def test_a_fourth_run_is_on_the_polynomial_of_three(steel_runs):
    counted = count_steel(real_kernels.MLX_STEEL, torch.float16, 128, 320)
    assert model.extrapolate(steel_runs[torch.float16, 128], 320) == counted


def test_a_step_counts_what_one_reads_in_the_source(steel_runs):
    """As in :func:`steel_by_hand`, but for the reductions, which MLX makes for each fragment."""
    steps = 2 * 64**2 // (8 * 16)  # of a simdgroup
    counted = model.inner_steps(steel_runs[torch.float16, 128])
    assert counted.matrix_products == {"f32=f32*f32+f32": 64 * steps}
    assert counted.conversions["f16>f32"] == 160 * LANES * steps
    assert counted.shuffles == 2 * 4 * steps
    assert counted.exponentials == (4 + 1) * LANES * steps
    assert counted.simdgroup_barriers == 96 * steps
    assert counted.threadgroup_barriers == 4 * steps // 4
    assert counted.threadgroup.loaded_bytes == 80 * 128 * steps
    assert counted.threadgroup.stored_bytes == 2 * 16 * 128 * 2 * steps // 4
    assert steel_runs[torch.float16, 128][64].threadgroup_memory == 14_848


def test_published_times(steel_runs):
    errors = []
    lines = []
    for point in PUBLISHED:
        counts = model.repeat(model.extrapolate(steel_runs[point.dtype, point.head_dim], point.length), point.heads)
        estimate = model.estimate(counts, point.chip)
        error = estimate.seconds * 1e3 / point.milliseconds - 1
        errors.append(error)
        lines.append(f"{estimate}; published {point.milliseconds} ms, error {100 * error:+.1f} %")
        assert estimate.familiar, lines[-1]
        assert estimate.low <= point.milliseconds * 1e-3 <= estimate.high, lines[-1]
        if point.calibrates:
            assert abs(error) < 0.005, lines[-1]
    table = "\n".join(lines)
    held_out = [error for error, point in zip(errors, PUBLISHED, strict=True) if not point.calibrates]
    assert statistics.median(map(abs, errors)) <= 0.05, table
    assert statistics.median(map(abs, held_out)) <= 0.05, table
    assert max(map(abs, errors)) <= 0.10, table


@pytest.mark.parametrize(("head_dim", "measured"), [(64, 34.0), (128, 42.0)])
def test_decoding_cycles_of_a_row_and_key(head_dim, measured):
    """MLX's two-pass kernel with 8 rows a kv head on an M5 Pro, 32768 keys: 119 and 190 GB/s (mlx pull request 4076).

    There the schedulers bind, so the rate gives cycles: 4 * 20 cores * 1.578 GHz * bytes of a key and value / rate / 8 rows.
    """
    runs = {}
    for keys in (256, 512):
        inputs = real_kernels.attention_inputs(1, 8, 1, 1, keys, head_dim, torch.float16)
        try:
            first = real_kernels.mlx_vector(*inputs, two_pass=True).dispatches[0]
            runs[keys] = first.run(first.pipeline(), count=True).counts
        except wheels.WheelUnavailableError as error:
            pytest.skip(str(error))
    counts = model.extrapolate(runs, 32768)
    cycles = model.cycles_per_row_and_key(counts, "M5 Pro", rows=8, keys=32768)
    assert cycles == pytest.approx(measured, rel=0.15)
    bytes_per_key = model.kv_bytes(1, 1, 1, head_dim, 2)
    assert 3 < model.rows_at_bandwidth("M5 Pro", cycles=cycles, bytes_per_key=bytes_per_key) < 8
