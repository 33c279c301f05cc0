"""What common advice for attention kernels on Apple GPUs is worth, counted: the table in docs/kernels.md.

The advice is threadgroups of 1,024 threads, tiles of 64 x 64, rows padded by 4 elements, loads of 4 elements, and sums over a
simdgroup for the dot products.
"""

import shutil
from pathlib import Path

import prefill_cases as cases
import pytest
import torch
from launch import METAL, Tiles, make_call, prefill
from launch_decode import DEFAULT_TILES, decode
from prefill_cases import HALF
from torch.nn.functional import scaled_dot_product_attention

import metalsim
from metalsim import native
from metalsim.counts import Counts

LENGTH, DIM = 128, 64
KEY_BUFFER = 1


def counts(tiles: Tiles, dim: int = DIM) -> Counts:
    tensors = cases.dense(1, (1, 1), (LENGTH, LENGTH), (dim, dim), HALF)
    return prefill(*tensors, tiles=tiles, count=True).counts


def test_threads_share_key_loads_but_no_barriers() -> None:
    """Twice the rows of a threadgroup halve the loads of K; each of its steps has the same two barriers."""
    small, large = (counts(Tiles(simdgroups, 1, 32)) for simdgroups in (4, 8))
    assert small.device[KEY_BUFFER].loaded_bytes == 2 * large.device[KEY_BUFFER].loaded_bytes
    for run, simdgroups in ((small, 4), (large, 8)):
        assert run.threadgroup_barriers == 2 * (LENGTH // 32) * (LENGTH // (8 * simdgroups))
    # The same work for the simdgroups: as many products, as many reads of threadgroup memory.
    assert small.matrix_products == large.matrix_products
    assert small.threadgroup.loaded_bytes == large.threadgroup.loaded_bytes


def test_tiles_of_64_keys_do_not_fit_at_head_dim_128() -> None:
    def staged_bytes(keys: int, padding: int) -> int:
        return keys * 2 * (128 + padding) * 2

    assert staged_bytes(64, 4) == 33_792 > native.THREADGROUP_MEMORY
    assert counts(Tiles(8, 1, 32), 128).threadgroup_memory == staged_bytes(32, 8) == 17_408


def bank_cycles(tmp_path: Path, dim: int, padding: str) -> float:
    """Return the bank cycles for each load from threadgroup memory that K's and V's fragments take."""
    folder = tmp_path / f"metal-{dim}-{padding}"
    shutil.copytree(METAL, folder)
    header = folder / "staged_tile.h"
    ours = "(width * sizeof(OperandElement) / 16 % 2 == 0 ? 16 / sizeof(OperandElement) : 0)"
    text = header.read_text()
    assert text.count(ours) == 1
    header.write_text(text.replace(ours, padding or ours))
    tensors = cases.dense(1, (1, 1), (64, 64), (dim, dim), HALF)
    tiles = Tiles(4, 1, 32)
    call = make_call(*tensors)
    library = metalsim.compile(folder / "prefill.metal", [folder], {**call.macros, **tiles.macros(HALF)})
    built = library.pipeline("prefill", call.constants)
    run = built.dispatch(threadgroups=(2, 1, 1), threads_per_threadgroup=(128,), buffers=call.bind(built), count=True)
    traffic = run.counts.threadgroup
    return traffic.load_cycles_apple7 / traffic.load_instructions


@pytest.mark.parametrize("dim", [64, 128])
def test_padding(dim: int, tmp_path: Path) -> None:
    """With 16 bytes the rows of a fragment are in different banks; with four halves some are not, with none all meet."""
    ours, four_elements, none = (bank_cycles(tmp_path, dim, padding) for padding in ("", "4", "0"))
    assert ours == 1.0
    assert four_elements > 1.25
    assert none > 4


def test_loads() -> None:
    """Staging loads four halves a lane, as rows need not be aligned; decoding eight, where they are."""
    staging = counts(Tiles(4, 1, 32)).device[KEY_BUFFER]
    assert staging.loaded_bytes / staging.load_instructions == 32 * 8
    tensors = cases.dense(1, (1, 1), (1, LENGTH), (DIM, DIM), HALF)
    decoding = decode(*tensors, tiles=DEFAULT_TILES, splits=1, count=True).counts.device[KEY_BUFFER]
    assert decoding.loaded_bytes == LENGTH * DIM * 2
    assert decoding.loaded_bytes / decoding.load_instructions == 32 * 16


def naive_counts() -> Counts:
    query, key, value = (torch.randn(1, LENGTH, DIM).half() for _ in range(3))
    out = torch.zeros_like(query)
    source = Path(__file__).parents[2] / "bench" / "naive_attention.metal"
    built = metalsim.compile(source, [], {"NAIVE_HEAD_DIM": DIM, "NAIVE_SIMDGROUPS": 4}).pipeline("naive_attention")
    buffers = {0: query, 1: key, 2: value, 3: out, 4: LENGTH.to_bytes(4, "little"), 5: torch.tensor([DIM**-0.5])}
    run = built.dispatch(threadgroups=(LENGTH // 4, 1, 1), threads_per_threadgroup=(128,), buffers=buffers, count=True)
    torch.testing.assert_close(out, scaled_dot_product_attention(query, key, value), atol=2e-3, rtol=0.0)
    return run.counts


def test_sums_over_a_simdgroup_cost_more_than_matrix_products() -> None:
    """A product of 8x8 fragments is 512 multiply-adds for one instruction; a dot product reduces for every score."""
    naive, ours = naive_counts(), counts(Tiles(4, 1, 32))
    assert naive.reductions == LENGTH * LENGTH
    assert ours.reductions == 0
    assert sum(ours.matrix_products.values()) == 2 * LENGTH * LENGTH * DIM // 512
    # Multiply-adds of threads, and exponentials: two for each lane and score, where ours has one for each score.
    assert naive.operations["float_fma"] > 100 * LENGTH * LENGTH
    assert ours.operations["float_fma"] < 4 * LENGTH * LENGTH
    assert naive.exponentials == 2 * 32 * LENGTH * LENGTH
    assert ours.exponentials < 1.1 * LENGTH * LENGTH
    assert naive.device[KEY_BUFFER].loaded_bytes == 32 * ours.device[KEY_BUFFER].loaded_bytes
