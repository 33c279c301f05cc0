"""The cases: what is called, what it is compared with, and the goal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import baselines
from torch_fused_attn import alibi_slopes, fused_attention, fused_attention_paged, fused_attention_varlen

Call = Callable[[], Tensor]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
LENGTHS = (512, 1024, 2048, 4096, 8192)
NUM_HEADS = 16
HEAD_DIM = 64
WINDOW = 256  # keys that a query sees, itself included: window_left=255 with is_causal
SOFTCAP = 50.0
FLEX_LENGTH = 4096  # FlexAttention is compiled for each shape, which takes longer than it runs: one length is enough

SDPA = "F.sdpa"
PLAIN_GOAL = 1.10
COMPOSITION_GOAL = 0.70
GROWTH_GOAL = 2.2
OVERHEAD_GOAL = 1.5
MEMORY_GOAL_MIB = 64.0


@dataclass(frozen=True)
class Case:
    """One call of ours, next to one or more of stock PyTorch that compute the same."""

    group: str  # one section of the report
    variant: str
    length: int
    dtype: str  # a key of DTYPES
    setup: Callable[[], tuple[Call, dict[str, Call]]]  # makes the inputs; returns ours and the baselines by name
    goal: float | None = None  # largest ratio of our time to the first baseline's; None = for information
    memory_goal_mib: float | None = None  # largest growth of our process; None = memory is not measured
    calls: int = 1  # calls that are timed together, for those too short for the clock
    rounds: int = 3  # measured at least this often, however long it takes
    needs_gib: float = 0.5  # free memory without which the case is left out
    same_result: bool = True  # False where the baseline is not the same computation

    @property
    def name(self) -> str:
        return f"{self.group}, {self.variant}, L={self.length}, {self.dtype}"


def all_cases(full: bool = False) -> list[Case]:
    """Return every case; ``full`` adds the slowest: information at L = 8192, and more rounds."""
    builders = (plain, alibi, window, softcap, varlen, paged, window_growth, overhead)
    return [case for build in builders for case in build(full)]


def min_rounds(length: int, full: bool) -> int:
    return 5 if full else 2 if length >= 8192 else 3


def dense_inputs(length: int, head_dim: int, dtype: str, num_heads: int = NUM_HEADS) -> list[Tensor]:
    generator = torch.Generator().manual_seed(length)
    return [torch.randn(1, num_heads, length, head_dim, generator=generator).to(DTYPES[dtype]) for _ in range(3)]


def plain(full: bool) -> Iterator[Case]:
    def setup(length: int, head_dim: int, dtype: str, is_causal: bool) -> tuple[Call, dict[str, Call]]:
        q, k, v = dense_inputs(length, head_dim, dtype)
        return (
            lambda: fused_attention(q, k, v, is_causal=is_causal),
            {SDPA: lambda: F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)},
        )

    for variant, is_causal in (("dense", False), ("causal", True)):
        for head_dim in (64, 128):
            for dtype in DTYPES:
                for length in LENGTHS:
                    yield Case(
                        "plain",
                        f"{variant} D{head_dim}",
                        length,
                        dtype,
                        partial(setup, length, head_dim, dtype, is_causal),
                        goal=PLAIN_GOAL,
                        rounds=min_rounds(length, full),
                    )


def alibi(full: bool) -> Iterator[Case]:
    def setup(length: int, dtype: str, is_causal: bool) -> tuple[Call, dict[str, Call]]:
        q, k, v = dense_inputs(length, HEAD_DIM, dtype)
        slopes = alibi_slopes(NUM_HEADS)

        def composition() -> Tensor:
            bias = baselines.alibi_bias(slopes, length, is_causal)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)

        others: dict[str, Call] = {"bias + F.sdpa": composition}
        if full or length < 8192:
            bias = baselines.alibi_bias(slopes, length, is_causal)
            others["bias built before"] = lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        if length == FLEX_LENGTH and is_causal:
            others["FlexAttention, compiled before"] = baselines.compiled_flex(
                q, k, v, lambda b, h, i, j: i >= j, lambda s, b, h, i, j: s - slopes[h] * (i - j)
            )
        return lambda: fused_attention(q, k, v, is_causal=is_causal, alibi_slopes=slopes), others

    return composition_cases("alibi", setup, full, gib_at_8192=10.0)


def softcap(full: bool) -> Iterator[Case]:
    def setup(length: int, dtype: str, is_causal: bool) -> tuple[Call, dict[str, Call]]:
        q, k, v = dense_inputs(length, HEAD_DIM, dtype)
        others: dict[str, Call] = {"eager": lambda: baselines.softcap_eager(q, k, v, SOFTCAP, is_causal)}
        if full or length < 8192:
            others["eager, in place"] = lambda: baselines.softcap_in_place(q, k, v, SOFTCAP, is_causal)
        if length == FLEX_LENGTH and is_causal:
            others["FlexAttention, compiled before"] = baselines.compiled_flex(
                q, k, v, lambda b, h, i, j: i >= j, lambda s, b, h, i, j: SOFTCAP * torch.tanh(s / SOFTCAP)
            )
        return lambda: fused_attention(q, k, v, is_causal=is_causal, softcap=SOFTCAP), others

    return composition_cases("softcap", setup, full, gib_at_8192=12.0)


def composition_cases(
    group: str,
    setup: Callable[[int, str, bool], tuple[Call, dict[str, Call]]],
    full: bool,
    gib_at_8192: float,
) -> Iterator[Case]:
    """Yield the causal cases, which have a goal, and those without causal, for information."""
    for variant, is_causal in (("causal", True), ("dense", False)):
        for dtype in DTYPES:
            for length in LENGTHS:
                if length == 8192 and not (full or is_causal):
                    continue
                yield Case(
                    group,
                    variant,
                    length,
                    dtype,
                    partial(setup, length, dtype, is_causal),
                    goal=COMPOSITION_GOAL if is_causal else None,
                    memory_goal_mib=MEMORY_GOAL_MIB if is_causal else None,
                    rounds=min_rounds(length, full),
                    needs_gib=0.5 + gib_at_8192 * (length / 8192) ** 2,
                )


def window(full: bool) -> Iterator[Case]:
    def setup(length: int, dtype: str) -> tuple[Call, dict[str, Call]]:
        q, k, v = dense_inputs(length, HEAD_DIM, dtype)
        mask, band = baselines.window_mask(length, WINDOW), baselines.window_band(WINDOW)

        def composition() -> Tensor:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=baselines.window_mask(length, WINDOW))

        others: dict[str, Call] = {
            "mask + F.sdpa": composition,
            "mask built before": lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
            "loop over chunks": lambda: baselines.window_chunked(q, k, v, WINDOW, band),
        }
        if length == FLEX_LENGTH:
            others["FlexAttention, compiled before"] = baselines.compiled_flex(
                q, k, v, lambda b, h, i, j: (i >= j) & (i - j < WINDOW)
            )
        return window_call(q, k, v), others

    for dtype in DTYPES:
        for length in LENGTHS:
            yield Case(
                "window",
                f"{WINDOW} causal",
                length,
                dtype,
                partial(setup, length, dtype),
                goal=COMPOSITION_GOAL,
                memory_goal_mib=MEMORY_GOAL_MIB,
                rounds=min_rounds(length, full),
                needs_gib=2.0,
            )


def window_call(q: Tensor, k: Tensor, v: Tensor) -> Call:
    return lambda: fused_attention(q, k, v, is_causal=True, window_left=WINDOW - 1)


def window_growth(full: bool) -> Iterator[Case]:
    def setup(length: int, dtype: str) -> tuple[Call, dict[str, Call]]:
        half = window_call(*dense_inputs(length // 2, HEAD_DIM, dtype))
        return window_call(*dense_inputs(length, HEAD_DIM, dtype)), {"ours at L/2": half}

    for dtype in DTYPES:
        for length in (4096, 8192, 16384, 32768):
            yield Case(
                "window growth",
                f"{WINDOW} causal",
                length,
                dtype,
                partial(setup, length, dtype),
                goal=GROWTH_GOAL,
                rounds=5,
                needs_gib=2.0,
                same_result=False,
            )


def varlen(full: bool) -> Iterator[Case]:
    def setup(longest: int, dtype: str, is_causal: bool) -> tuple[Call, dict[str, Call]]:
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(16, longest + 1, (24,), generator=generator).tolist()
        q, k, v = (torch.randn(sum(lengths), NUM_HEADS, HEAD_DIM, generator=generator) for _ in range(3))
        q, k, v = (x.to(DTYPES[dtype]) for x in (q, k, v))
        cu_seqlens = torch.tensor([0, *lengths]).cumsum(0, dtype=torch.int32)

        def ours() -> Tensor:
            return fused_attention_varlen(
                q, k, v, cu_seqlens, cu_seqlens, max(lengths), max(lengths), is_causal=is_causal
            )

        others: dict[str, Call] = {
            "pad, mask, F.sdpa, pack": lambda: baselines.varlen_padded(q, k, v, lengths, is_causal),
            "loop over sequences": lambda: baselines.varlen_loop(q, k, v, lengths, is_causal),
        }
        if is_causal:
            others["pad, is_causal, pack"] = lambda: baselines.varlen_padded_causal(q, k, v, lengths)
        return ours, others

    for longest in (256, 2048):
        for variant, is_causal in (("dense", False), ("causal", True)):
            for dtype in DTYPES:
                yield Case(
                    "varlen",
                    f"24 x 16..{longest} {variant}",
                    longest,
                    dtype,
                    partial(setup, longest, dtype, is_causal),
                    goal=COMPOSITION_GOAL if longest == 2048 else None,
                    needs_gib=4.0,
                )


def paged(full: bool) -> Iterator[Case]:
    batch, num_heads, num_kv_heads, head_dim, block_size = 16, 32, 8, 128, 16

    def setup(context: int, dtype: str, mixed: bool) -> tuple[Call, dict[str, Call]]:
        generator = torch.Generator().manual_seed(0)
        num_blocks = batch * context // block_size
        cache_shape = (num_blocks, block_size, num_kv_heads, head_dim)
        q = torch.randn(batch, num_heads, head_dim, generator=generator).to(DTYPES[dtype])
        key_cache, value_cache = (torch.randn(cache_shape, generator=generator).to(DTYPES[dtype]) for _ in range(2))
        table = torch.randperm(num_blocks, generator=generator, dtype=torch.int32).view(batch, -1)
        used = torch.full((batch,), context, dtype=torch.int32)
        if mixed:
            used = torch.randint(context // 8, context + 1, (batch,), generator=generator, dtype=torch.int32)
        cu_seqlens = torch.arange(batch + 1, dtype=torch.int32)
        lengths, masked = used.tolist(), used if mixed else None
        key, value = (baselines.gather_blocks(cache, table).contiguous() for cache in (key_cache, value_cache))

        def ours() -> Tensor:
            return fused_attention_paged(q, key_cache, value_cache, table, used, cu_seqlens, 1, is_causal=True)

        paged_gather = partial(baselines.paged_gather, q, key_cache, value_cache, table, masked)
        return ours, {
            "gather, F.sdpa": lambda: paged_gather(fold=False),
            "gather, F.sdpa, heads folded": lambda: paged_gather(fold=True),
            "loop over sequences": lambda: baselines.paged_loop(q, key_cache, value_cache, table, lengths),
            "gathered before": lambda: baselines.decode_contiguous(q, key, value, masked, fold=False),
            "gathered before, heads folded": lambda: baselines.decode_contiguous(q, key, value, masked, fold=True),
        }

    for context in (512, 4096):
        for variant, mixed in (("equal", False), ("mixed", True)):
            for dtype in DTYPES:
                yield Case(
                    "paged decode",
                    f"B{batch} {variant}",
                    context,
                    dtype,
                    partial(setup, context, dtype, mixed),
                    goal=COMPOSITION_GOAL if context == 4096 else None,
                    needs_gib=0.5 + 3.0 * context / 4096,
                )


def overhead(full: bool) -> Iterator[Case]:
    def setup(operator: bool) -> tuple[Call, dict[str, Call]]:
        q, k, v = dense_inputs(1, HEAD_DIM, "fp32", num_heads=8)
        ours: Call = lambda: fused_attention(q, k, v)  # noqa: E731  (one of two, chosen here)
        if operator:
            ours = lambda: torch.ops.fused_attn.forward(q, k, v)[0]  # noqa: E731
        return ours, {SDPA: lambda: F.scaled_dot_product_attention(q, k, v)}

    for variant, operator in (("torch.ops.fused_attn.forward", True), ("fused_attention()", False)):
        yield Case(
            "overhead",
            variant,
            1,
            "fp32",
            partial(setup, operator),
            goal=OVERHEAD_GOAL if operator else None,
            calls=200,
            rounds=100,
        )
