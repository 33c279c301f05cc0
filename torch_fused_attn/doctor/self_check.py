"""Every operator in every dtype on every device, on one small call, against the definition in float64.

A smoke test that a user can run. What judges the operators is the suite in ``tests/``.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import torch
from torch import Tensor

from torch_fused_attn.doctor.finding import Finding, failed, ok

OPERATORS = torch.ops.fused_attn
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HEADS, KV_HEADS, HEAD_DIM, BLOCK_SIZE = 4, 2, 64, 16
QUERIES, KEYS = (20, 13), (40, 33)  #: of two sequences


@dataclass(frozen=True)
class Result:
    """A tensor that an operator returned or wrote, and what it has to be, in float64."""

    actual: Tensor
    expected: Tensor
    allowed: float  #: largest difference

    @property
    def error(self) -> float:
        """The largest difference; NaN and an infinity count as infinite."""
        difference = (self.actual.cpu().double() - self.expected).abs()
        return float(difference.nan_to_num(nan=torch.inf).max())


def attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return causal attention of one sequence, aligned at the bottom right, and its lse, by definition.

    Args:
        query: [Lq, Hq, D].
        key: [Lk, Hkv, D].
        value: [Lk, Hkv, D].

    Returns:
        float64 [Lq, Hq, D] and [Hq, Lq], on the CPU.
    """
    q, k, v = (tensor.cpu().double().transpose(0, 1) for tensor in (query, key, value))
    k, v = (tensor.repeat_interleave(len(q) // len(k), dim=0) for tensor in (k, v))
    score = q @ k.mT * q.shape[-1] ** -0.5
    visible = torch.ones(score.shape[1:], dtype=torch.bool).tril(score.shape[2] - score.shape[1])
    score = score.masked_fill(~visible, -torch.inf)
    return (score.softmax(-1) @ v).transpose(0, 1), score.logsumexp(-1)


def _judged(out: Tensor, lse: Tensor, expected: tuple[Tensor, Tensor], value: Tensor) -> list[Result]:
    """Allow a few roundings of the values' size; with 16 bits the CPU's exponential is good to 5e-5, which lse shows."""
    is_wide = out.dtype == torch.float32
    rounding = 2e-5 if is_wide else 4 * torch.finfo(out.dtype).eps
    largest = float(value.abs().max())
    largest_lse = 1 + float(expected[1].abs().max())
    return [
        Result(out, expected[0], rounding * largest),
        Result(lse, expected[1], (2e-5 if is_wide else 2e-4) * largest_lse),
    ]


class Inputs:
    """Tensors of one dtype on one device; packed, of two sequences."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.generator = torch.Generator().manual_seed(0)
        self.query = self.random(sum(QUERIES), HEADS, HEAD_DIM)
        self.key, self.value = (self.random(sum(KEYS), KV_HEADS, HEAD_DIM) for _ in range(2))
        self.cu_seqlens_q = self.numbers([0, QUERIES[0], sum(QUERIES)])
        self.cu_seqlens_k = self.numbers([0, KEYS[0], sum(KEYS)])

    def random(self, *sizes: int, dtype: torch.dtype | None = None) -> Tensor:
        """Return normally distributed numbers, the same for every device."""
        return torch.randn(*sizes, generator=self.generator).to(dtype or self.dtype).to(self.device)

    def numbers(self, values: Sequence[object], dtype: torch.dtype = torch.int32) -> Tensor:
        """Return integers on the device."""
        return torch.tensor(values, dtype=dtype).to(self.device)

    def expected(self) -> tuple[Tensor, Tensor]:
        """Return attention of the packed sequences."""
        q_ends, k_ends = (0, QUERIES[0], sum(QUERIES)), (0, KEYS[0], sum(KEYS))
        parts = [
            attention(self.query[slice(*q)], self.key[slice(*k)], self.value[slice(*k)])
            for q, k in zip(pairwise(q_ends), pairwise(k_ends), strict=True)
        ]
        return torch.cat([out for out, _ in parts]), torch.cat([lse for _, lse in parts], dim=1)


def _forward(inputs: Inputs) -> list[Result]:
    results = []
    # Many queries, and one: two kernels.
    for rows in (QUERIES[0], 1):
        packed = inputs.query[:rows], inputs.key[: KEYS[0]], inputs.value[: KEYS[0]]
        out, lse = OPERATORS.forward(*(tensor.transpose(0, 1)[None] for tensor in packed), is_causal=True)
        results += _judged(out[0].transpose(0, 1), lse[0], attention(*packed), inputs.value)
    return results


def _varlen_forward(inputs: Inputs) -> list[Result]:
    packed = inputs.query, inputs.key, inputs.value, inputs.cu_seqlens_q, inputs.cu_seqlens_k
    out, lse = OPERATORS.varlen_forward(*packed, max(QUERIES), max(KEYS), is_causal=True)
    return _judged(out, lse, inputs.expected(), inputs.value)


#: The blocks of each sequence, and for each of its tokens the slot that it has in the cache.
BLOCKS = ((4, 1, 6), (0, 5, 3))
SLOTS = [
    blocks[position // BLOCK_SIZE] * BLOCK_SIZE + position % BLOCK_SIZE
    for blocks, length in zip(BLOCKS, KEYS, strict=True)
    for position in range(length)
]


def _caches(inputs: Inputs) -> tuple[Tensor, Tensor]:
    caches = [torch.zeros(8 * BLOCK_SIZE, KV_HEADS, HEAD_DIM, dtype=inputs.dtype) for _ in range(2)]
    for cache, tensor in zip(caches, (inputs.key, inputs.value), strict=True):
        cache[SLOTS] = tensor.cpu()
    key, value = (cache.view(8, BLOCK_SIZE, KV_HEADS, HEAD_DIM).to(inputs.device) for cache in caches)
    return key, value


def _paged_forward(inputs: Inputs) -> list[Result]:
    table, lengths = inputs.numbers(BLOCKS), inputs.numbers(KEYS)
    out, lse = OPERATORS.paged_forward(
        inputs.query, *_caches(inputs), table, lengths, inputs.cu_seqlens_q, max(QUERIES), is_causal=True
    )
    return _judged(out, lse, inputs.expected(), inputs.value)


def _reshape_and_cache(inputs: Inputs) -> list[Result]:
    expected = _caches(inputs)
    actual = [torch.zeros_like(cache) for cache in expected]
    OPERATORS.reshape_and_cache_(inputs.key, inputs.value, *actual, inputs.numbers(SLOTS, torch.int64))
    return [Result(ours, right.cpu().double(), 0.0) for ours, right in zip(actual, expected, strict=True)]


def _copy_blocks(inputs: Inputs) -> list[Result]:
    caches = _caches(inputs)
    expected = [cache.cpu().double() for cache in caches]
    OPERATORS.copy_blocks_(*caches, inputs.numbers([[4, 2], [0, 7]], torch.int64))
    for cache in expected:
        cache[2], cache[7] = cache[4], cache[0]
    return [Result(ours, right, 0.0) for ours, right in zip(caches, expected, strict=True)]


def _merge_states(inputs: Inputs) -> list[Result]:
    out_a, out_b = (inputs.random(5, HEADS, HEAD_DIM) for _ in range(2))
    lse_a, lse_b = (inputs.random(HEADS, 5, dtype=torch.float32) for _ in range(2))
    out, lse = OPERATORS.merge_states(out_a, lse_a, out_b, lse_b)
    a, b = lse_a.cpu().double(), lse_b.cpu().double()
    total = torch.logaddexp(a, b)
    weights = [(side - total).exp().transpose(0, 1)[..., None] for side in (a, b)]
    expected = weights[0] * out_a.cpu().double() + weights[1] * out_b.cpu().double()
    return _judged(out, lse, (expected, total), torch.cat([out_a, out_b]))


CHECKS: dict[str, Callable[[Inputs], list[Result]]] = {
    "forward": _forward,
    "varlen_forward": _varlen_forward,
    "paged_forward": _paged_forward,
    "reshape_and_cache_": _reshape_and_cache,
    "copy_blocks_": _copy_blocks,
    "merge_states": _merge_states,
}


def _problem(device: str, operator: str, dtype: torch.dtype) -> str:
    """Return what is wrong with an operator, or ""."""
    try:
        for result in CHECKS[operator](Inputs(device, dtype)):
            if not result.error <= result.allowed:
                return f"the largest error is {result.error:.2g}, but {result.allowed:.2g} is allowed"
    except Exception as error:
        return str(error)
    return ""


def check_operators(section: str) -> Iterator[Finding]:
    """Compare every operator in every dtype with float64, on every device that there is."""
    for device in ("cpu", "mps") if torch.backends.mps.is_available() else ("cpu",):
        start, wrong = time.perf_counter(), 0
        with torch.no_grad():
            for operator, (name, dtype) in product(CHECKS, DTYPES.items()):
                problem = _problem(device, operator, dtype)
                if problem:
                    wrong += 1
                    yield failed(section, f"{device}: {operator} in {name}: {problem}", _next_step(device))
        if not wrong:
            seconds = time.perf_counter() - start
            compiling = ", most of it for compiling kernels" if device == "mps" else ""
            what = f"{len(CHECKS)} operators in {', '.join(DTYPES)}"
            yield ok(section, f"{device}: {what} agree with float64 ({seconds:.1f} s{compiling})")


def _next_step(device: str) -> str:
    other = 'move tensors to "cpu"' if device == "mps" else "do not use this operator"
    return f"{other} for such calls, and attach the file that `python -m torch_fused_attn doctor --report` writes to an issue"
