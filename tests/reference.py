"""What the operators mean, in a few lines of float64, and the one rule by which their results are judged.

``attention`` is the definition. Packed and paged attention are that function, applied to each sequence's slice or to
its gathered keys. Every reference runs on the CPU, wherever its inputs are, and returns (out, lse).

The rule, in :func:`assert_close`: the largest error against float64 is at most twice that of the same formula
evaluated eagerly in the inputs' own precision, plus a small floor. A fused kernel has no more places to round than
eager code has, but it sums in another order, hence the factor. (FlashAttention's own tests use this rule.)
"""

from collections.abc import Callable

import torch
from torch import Tensor

Result = tuple[Tensor, Tensor]


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    alibi_slopes: Tensor | None = None,
    window_left: int = -1,
    window_right: int = -1,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    causal_alignment: str = "bottom_right",
    dtype: torch.dtype = torch.float64,
) -> Result:
    """Define dense attention; ``dtype`` is that of the matrix products, and everything between is at least fp32."""
    q, k, v = (x.cpu().to(dtype) for x in (query, key, value))
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    softmax_dtype = torch.promote_types(dtype, torch.float32)
    i, j = torch.arange(q.shape[2])[:, None], torch.arange(k.shape[2])
    p = i + k.shape[2] - q.shape[2]

    score = (q @ k.mT).to(softmax_dtype) * (q.shape[3] ** -0.5 if scale is None else scale)
    if softcap > 0:
        score = softcap * torch.tanh(score / softcap)
    if alibi_slopes is not None:
        score = score - alibi_slopes.cpu().to(softmax_dtype)[..., None, None] * (p - j).abs()
    if attn_mask is not None and attn_mask.dtype != torch.bool:
        score = score + attn_mask.cpu().to(softmax_dtype)

    visible = torch.ones_like(score, dtype=torch.bool)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        visible &= attn_mask.cpu()
    origin = i if causal_alignment == "top_left" else p
    if is_causal:
        visible &= j <= origin
    if window_left >= 0:
        visible &= j >= origin - window_left
    if window_right >= 0:
        visible &= j <= origin + window_right
    score = score.masked_fill(~visible, -torch.inf)

    if sinks is not None:
        score = torch.cat([score, sinks.cpu().to(softmax_dtype)[:, None, None].expand(*score.shape[:3], 1)], dim=-1)

    lse = score.logsumexp(dim=-1)
    weight = score.softmax(dim=-1).masked_fill(lse[..., None] == -torch.inf, 0.0)[..., : k.shape[2]]
    return weight.to(dtype) @ v, lse


def _each_sequence(
    sequences: list[tuple[Tensor, Tensor, Tensor]], alibi_slopes: Tensor | None, **options: object
) -> Result:
    """Apply :func:`attention` to [L, H, D] sequences one at a time, and pack what it returns."""
    outs, lses = [], []
    for b, (q, k, v) in enumerate(sequences):
        slopes = alibi_slopes[b] if alibi_slopes is not None and alibi_slopes.dim() == 2 else alibi_slopes
        dense = (x.transpose(0, 1)[None] for x in (q, k, v))
        out, lse = attention(*dense, alibi_slopes=slopes, **options)
        outs.append(out[0].transpose(0, 1))
        lses.append(lse[0])
    return torch.cat(outs), torch.cat(lses, dim=1)


def varlen_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    *,
    alibi_slopes: Tensor | None = None,
    **options: object,
) -> Result:
    """Define packed attention: sequence b's queries see sequence b's keys."""
    q_ends, k_ends = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    sequences = [
        (query[q_ends[b] : q_ends[b + 1]], key[k_ends[b] : k_ends[b + 1]], value[k_ends[b] : k_ends[b + 1]])
        for b in range(len(q_ends) - 1)
    ]
    return _each_sequence(sequences, alibi_slopes, **options)


def paged_attention(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seqused_k: Tensor,
    cu_seqlens_q: Tensor,
    *,
    alibi_slopes: Tensor | None = None,
    **options: object,
) -> Result:
    """Define paged attention: key p of sequence b is row p % block_size of block block_table[b, p // block_size]."""

    def gather(cache: Tensor, b: int) -> Tensor:
        blocks = block_table[b].cpu().long()
        rows = cache.cpu()[blocks.clamp(min=0)]
        rows[blocks < 0] = 0.0  # an entry of -1 has no keys: whatever stands there, no query may see it
        return rows.flatten(0, 1)[: int(seqused_k[b])]

    ends = cu_seqlens_q.tolist()
    sequences = [
        (query[ends[b] : ends[b + 1]].cpu(), gather(key_cache, b), gather(value_cache, b)) for b in range(len(ends) - 1)
    ]
    return _each_sequence(sequences, alibi_slopes, **options)


def assert_close(out: Tensor, lse: Tensor | None, exact: Result, eager: Result, value: Tensor) -> None:
    """Apply the tolerance rule to out and lse, given both references' results and the operator's values.

    What is allowed beyond twice the eager error, since the eager reference may happen to be exact:

    - A score of magnitude s is known to about s ulps of fp32, and its exponential relatively so; in a row, |lse| is the
      magnitude of the scores that count. Hence ``8 * eps(fp32) * (1 + |lse|)``: absolutely for lse (whose errors are
      therefore compared in units of 1 + |lse|), and relative to the values for out.
    - The result is rounded to query's dtype, and in 16 bits so are the weights, each by half an ulp: for out,
      ``eps(dtype) * max |value|`` more.
    - With 16-bit inputs, torch's fused CPU kernel takes a faster exponential, wrong by about 5e-5. Nothing in lse is
      rounded to 16 bits, so it shows there: 1e-4 for lse. In out it is below eps(dtype).

    Args:
        out: what the operator returned, dense [B, H, L, D] or packed [T, H, D].
        lse: likewise, [B, H, L] or [H, T]; None where a caller has only out.
        exact: the float64 reference's (out, lse).
        eager: the same-precision reference's (out, lse).
        value: the values; those that are not finite are taken for padding.

    """
    exact_out, exact_lse = exact
    assert out.shape == exact_out.shape
    assert out.isfinite().all(), "out is not finite"
    blind = exact_lse == -torch.inf
    unit = 1 + exact_lse.abs().masked_fill(blind, 0.0)
    noise = 8 * torch.finfo(torch.float32).eps * unit
    per_row = (lambda x: x[..., None]) if out.dim() == 4 else (lambda x: x.transpose(0, 1)[..., None])

    largest_value = value.abs().nan_to_num(nan=0.0, posinf=0.0).max().cpu().double() if value.numel() else 0.0
    out_floor = largest_value * (torch.finfo(out.dtype).eps + noise)
    _assert_within("out", out, exact_out, eager[0], per_row(out_floor))
    assert (out.cpu() == 0).logical_or(~per_row(blind)).all(), "out is not 0 in a row that sees no key"
    if lse is None:
        return

    assert lse.shape == exact_lse.shape
    assert lse.dtype == torch.float32
    assert torch.equal(lse.cpu() == -torch.inf, blind), "lse is -inf in other rows than those that see no key"
    actual_lse, exact_lse, eager_lse = (
        x.cpu().double().masked_fill(blind, 0.0) / unit for x in (lse, exact_lse, eager[1])
    )
    _assert_within("lse", actual_lse, exact_lse, eager_lse, (noise + (1e-4 if out.dtype.itemsize == 2 else 0.0)) / unit)


def _assert_within(name: str, actual: Tensor, exact: Tensor, eager: Tensor, floor: Tensor) -> None:
    """Assert that actual is no further from exact than twice the largest error of eager, plus floor."""
    if exact.numel() == 0:
        return
    error = (actual.cpu().double() - exact).abs()
    eager_error = (eager.double() - exact).abs().max()
    assert eager_error.isfinite(), "the eager reference overflows with these inputs, so it bounds nothing"
    excess = error - 2 * eager_error - floor
    worst = tuple(int(x) for x in torch.unravel_index(excess.argmax(), excess.shape))
    assert excess.max() <= 0, (
        f"{name}: the error is {error[worst]:.3g} at {worst}, but {2 * eager_error:.3g} (twice the eager reference's) "
        f"+ {floor.expand_as(error)[worst]:.3g} is allowed; {int((excess > 0).sum())} of {excess.numel()} are beyond it"
    )


def assert_matches(
    out: Tensor, lse: Tensor | None, reference: Callable[..., Result], *inputs: Tensor, **options: object
) -> None:
    """Assert that (out, lse) is ``reference(*inputs, **options)`` within the tolerance rule.

    Args:
        out: what the operator returned.
        lse: likewise; None where a caller has only out.
        reference: :func:`attention`, :func:`varlen_attention` or :func:`paged_attention`.
        *inputs: the reference's tensors: query, key, value (or the caches), and what else it takes.
        **options: the operator's keywords.

    """
    query, _, value = inputs[:3]
    assert out.dtype == query.dtype
    exact = reference(*inputs, **options)
    eager = reference(*inputs, **options, dtype=query.dtype)
    assert_close(out, lse, exact, eager, value)
