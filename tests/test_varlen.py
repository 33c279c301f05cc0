"""``varlen_forward``: packed sequences of different lengths."""

import pytest
import torch
from cases import DTYPES, randn
from packed_cases import PackedCase, ends, packed_keywords, packed_tensors, varlen_cases
from reference import assert_matches, varlen_attention

from torch_fused_attn import alibi_slopes, fused_attention, fused_attention_varlen


@pytest.mark.parametrize("case", varlen_cases(), ids=str)
def test_matches_the_definition(case: PackedCase, device: torch.device) -> None:
    inputs, keywords = packed_tensors(case, device), packed_keywords(case, device)
    longest = [max(lengths) for lengths in zip(*case.sequences, strict=True)]
    offsets = [ends(lengths, device) for lengths in zip(*case.sequences, strict=True)]
    before = [x.clone() for x in inputs]

    out, lse = fused_attention_varlen(*inputs, *offsets, *longest, **keywords, return_lse=True)

    assert_matches(out, lse, varlen_attention, *inputs, *offsets, **keywords)
    assert out.is_contiguous()
    assert lse.is_contiguous()
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True)), "an input was written to"


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_crosses_sequences(dtype: torch.dtype, device: torch.device) -> None:
    """One sequence is NaN throughout; its neighbours' results are what they are without it."""
    lengths_q, lengths_k = (3, 40, 5), (70, 66, 65)
    query, key, value = (randn(sum(n), 2, 32, dtype=dtype, device=device) for n in (lengths_q, lengths_k, lengths_k))
    offsets_q, offsets_k = ends(lengths_q, device), ends(lengths_k, device)
    clean, clean_lse = fused_attention_varlen(query, key, value, offsets_q, offsets_k, 40, 70, return_lse=True)
    query[3:43] = key[70:136] = value[70:136] = torch.nan
    out, lse = fused_attention_varlen(query, key, value, offsets_q, offsets_k, 40, 70, return_lse=True)
    for rows in (slice(0, 3), slice(43, 48)):
        assert torch.equal(out[rows], clean[rows])
        assert torch.equal(lse[:, rows], clean_lse[:, rows])
    assert out[3:43].isnan().all()


def test_max_seqlen_is_an_upper_bound(device: torch.device) -> None:
    lengths = (30, 1, 64)
    query, key, value = (randn(95, 4, 16, dtype=torch.float32, device=device) for _ in range(3))
    offsets = ends(lengths, device)
    exact = fused_attention_varlen(query, key, value, offsets, offsets, 64, 64, is_causal=True)
    loose = fused_attention_varlen(query, key, value, offsets, offsets, 95, 10_000, is_causal=True)
    torch.testing.assert_close(loose, exact)


def test_no_sequences(device: torch.device) -> None:
    nothing = randn(0, 2, 16, dtype=torch.float32, device=device)
    offsets = ends((), device)
    out, lse = fused_attention_varlen(nothing, nothing, nothing, offsets, offsets, 0, 0, return_lse=True)
    assert out.shape == (0, 2, 16)
    assert lse.shape == (2, 0)


def test_equal_lengths_are_a_dense_batch(device: torch.device) -> None:
    query, key, value = (randn(3, 20, h, 32, dtype=torch.float32, device=device) for h in (4, 2, 2))
    options = {"is_causal": True, "window_left": 8, "alibi_slopes": alibi_slopes(4, device=device)}
    dense = fused_attention(*(x.transpose(1, 2) for x in (query, key, value)), **options)
    offsets = ends((20, 20, 20), device)
    packed = (x.flatten(0, 1) for x in (query, key, value))
    out = fused_attention_varlen(*packed, offsets, offsets, 20, 20, **options)
    torch.testing.assert_close(out.unflatten(0, (3, 20)).transpose(1, 2), dense)


def test_without_lse_the_result_is_one_tensor(device: torch.device) -> None:
    query = randn(9, 2, 16, dtype=torch.float32, device=device)
    offsets = ends((4, 5), device)
    with_lse, _ = fused_attention_varlen(query, query, query, offsets, offsets, 5, 5, return_lse=True)
    assert torch.equal(fused_attention_varlen(query, query, query, offsets, offsets, 5, 5), with_lse)
