"""The labels of a mask's tiles: right for every kind and shape of mask, and what the prefill kernel saves by them."""

import prefill_cases as cases
import pytest
import torch
from launch import Tiles, label_mask_tiles, make_call, prefill
from prefill_cases import HALF, KINDS
from torch import Tensor

import metalsim

SKIP, MIXED, PLAIN = 0, 1, 2
KEY_BUFFER = 1


def expected_labels(mask: Tensor, shape: tuple[int, int, int, int], tiles: Tiles) -> Tensor:
    """Return labels for [mask batch, mask head, query tile, key tile], where a broadcast dimension counts as one."""
    while mask.dim() < 4:
        mask = mask[None]
    entries = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else mask.float()
    entries = entries.expand(*entries.shape[:2], *shape[2:])
    rows = []
    for queries in entries.split(tiles.rows, dim=2):
        parts = [part.flatten(2) for part in queries.split(tiles.key_tile, dim=3)]
        rows.append(torch.stack([_label(part) for part in parts], dim=-1))
    return torch.stack(rows, dim=2)


def _label(entries: Tensor) -> Tensor:
    hidden, plain = (entries == -torch.inf).all(-1), (entries == 0).all(-1)
    return torch.full(hidden.shape, MIXED).masked_fill(hidden, SKIP).masked_fill(plain, PLAIN).to(torch.uint8)


@pytest.mark.parametrize("name", cases.MASKS)
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_labels(tiles: Tiles, name: str) -> None:
    shape = (2, 4, 50, 70)
    mask = cases.make_mask(name, shape)
    call = make_call(*cases.dense(2, (4, 2), (50, 70), (40, 24), HALF), attn_mask=mask)
    labels, _ = label_mask_tiles(call, tiles, check=True, schedule=metalsim.ALL_SCHEDULES)
    assert torch.equal(labels, expected_labels(mask, shape, tiles))


@pytest.mark.parametrize("entry", [True, False])
@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_one_entry_makes_a_tile_mixed(tiles: Tiles, entry: bool) -> None:
    """Wherever it is in the tile, so whichever simdgroup and lane looks at it."""
    rows, columns = 8, 9
    mask = torch.full((1, 1, rows * tiles.rows, columns * tiles.key_tile), not entry)
    for n in range(rows * columns):
        place = n * 31 % (tiles.rows * tiles.key_tile)
        row, column = n // columns * tiles.rows, n % columns * tiles.key_tile
        mask[0, 0, row + place // tiles.key_tile, column + place % tiles.key_tile] = entry
    mask[..., : tiles.rows, : tiles.key_tile] = not entry
    call = make_call(*cases.dense(1, (1, 1), mask.shape[2:], (40, 24), HALF), attn_mask=mask)
    labels, _ = label_mask_tiles(call, tiles, check=True)
    assert labels.flatten().tolist() == [SKIP if entry else PLAIN] + [MIXED] * (rows * columns - 1)


@pytest.mark.parametrize("tiles", KINDS, ids=str)
def test_hidden_tiles_are_not_read_and_plain_tiles_not_masked(tiles: Tiles) -> None:
    tensors = cases.dense(1, (1, 1), (64, 64), (64, 64), HALF)
    mask = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    mask[..., 16:48] = False
    masked = prefill(*tensors, tiles=tiles, count=True, attn_mask=mask)
    unmasked = prefill(*tensors, tiles=tiles, count=True)
    assert masked.counts.device[KEY_BUFFER].loaded_bytes * 2 == unmasked.counts.device[KEY_BUFFER].loaded_bytes
    assert 6 not in masked.counts.device or masked.counts.device[6].loaded_bytes == 0
