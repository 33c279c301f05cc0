"""merge_states and merge_splits on metalsim: attention over parts of the keys, joined, is attention over all of them."""

import pytest
import reference
import torch
from launch_decode import DecodeTiles, decode
from launch_operators import merge_states

import metalsim

DTYPES = [torch.float16, torch.bfloat16, torch.float32]


@pytest.mark.parametrize("layout", ["contiguous", "token_major", "packed"])
@pytest.mark.parametrize("head_dim", [64, 7, 1])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_two_halves_are_the_whole(dtype: torch.dtype, head_dim: int, layout: str) -> None:
    shape = (1 if layout == "packed" else 2, 3, 21, head_dim)
    query, key, value = (torch.randn(*shape[:2], n, head_dim) for n in (21, 40, 40))
    (out_a, lse_a), (out_b, lse_b), (out, lse) = (
        reference.attention(query, key[:, :, part], value[:, :, part])
        for part in (slice(0, 13), slice(13, 40), slice(0, 40))
    )
    states = [out_a.to(dtype), lse_a.float(), out_b.to(dtype), lse_b.float()]
    if layout != "contiguous":
        states[0], states[2] = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in (states[0], states[2]))
    if layout == "packed":
        states = [x[0].transpose(0, 1) if x.dim() == 4 else x[0] for x in states]
        out, lse = out[0].transpose(0, 1), lse[0]
    merged, merged_lse = merge_states(*states, check=True, schedule=metalsim.ALL_SCHEDULES)
    torch.testing.assert_close(merged.double(), out, rtol=0, atol=4 * torch.finfo(dtype).eps)
    torch.testing.assert_close(merged_lse.double(), lse, rtol=0, atol=2e-6)


def test_a_side_without_keys_counts_for_nothing() -> None:
    """Whatever its out holds; neither side has any: 0 and -inf."""
    out_a, out_b = (torch.randn(1, 1, 4, 16) for _ in range(2))
    lse_a = torch.tensor([[[0.5, -torch.inf, -torch.inf, 300.0]]])
    lse_b = torch.tensor([[[-torch.inf, 2.5, -torch.inf, -300.0]]])
    out_b[..., 0, :] = out_a[..., 1, :] = torch.nan
    out_a[..., 2, :], out_b[..., 2, :] = torch.inf, torch.nan
    out, lse = merge_states(out_a, lse_a, out_b, lse_b, check=True)
    assert torch.equal(out[0, 0], torch.stack([out_a[0, 0, 0], out_b[0, 0, 1], torch.zeros(16), out_a[0, 0, 3]]))
    assert torch.equal(lse, torch.tensor([[[0.5, 2.5, -torch.inf, 300.0]]]))


def test_states_that_are_views() -> None:
    """Rows that begin anywhere, and lse cut out of a larger one."""
    outs = [torch.randn(2, 3, 9, 13)[:, 1:, 2:8, 3:12].half() for _ in range(2)]
    lses = [torch.randn(2, 3, 9)[:, 1:, 2:8] for _ in range(2)]
    out, lse = merge_states(outs[0], lses[0], outs[1], lses[1], check=True)
    weight = torch.sigmoid(lses[0] - lses[1])[..., None]
    torch.testing.assert_close(
        out.float(), weight * outs[0].float() + (1 - weight) * outs[1].float(), rtol=0, atol=2e-3
    )
    torch.testing.assert_close(lse, torch.logaddexp(*lses))


@pytest.mark.parametrize("with_sinks", [False, True])
@pytest.mark.parametrize("splits", [2, 5, 33, 100])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_number_of_splits(dtype: torch.dtype, splits: int, with_sinks: bool) -> None:
    """More splits than lanes, with keys and without; in every order, the merging included."""
    tensors = [torch.randn(2, h, n, d).to(dtype) for h, n, d in ((4, 2, 64), (2, 528, 64), (2, 528, 72))]
    options = {"is_causal": True, "sinks": torch.randn(4) if with_sinks else None}
    tiles = DecodeTiles(simdgroups=1, key_tile=16)
    result = decode(*tensors, tiles=tiles, splits=splits, check=True, schedule=metalsim.ALL_SCHEDULES, **options)
    reference.assert_matches(result.out, result.lse, reference.attention, *tensors, **options)
    assert result.merge_run is not None
    assert result.merge_run.counts.threadgroup_barriers == 2 * 4 * 2
    assert result.merge_run.counts.threadgroup_memory == 16 * 72


def test_rows_that_see_nothing_have_only_their_sink() -> None:
    tensors = [torch.randn(1, h, n, 64).half() for h, n in ((2, 3), (2, 1), (2, 1))]
    options = {"is_causal": True, "sinks": torch.tensor([0.5, -torch.inf])}
    result = decode(*tensors, splits=2, check=True, **options)
    assert (result.out[:, :, :2] == 0).all()
    assert torch.equal(result.lse[0, :, :2], options["sinks"][:, None].expand(2, 2))
    reference.assert_matches(result.out, result.lse, reference.attention, *tensors, **options)
