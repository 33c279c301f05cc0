"""Calls of our kernels whose results are judged: what they are, their tensors, and float64 attention of sampled rows.

A problem is plain data, so that the machine that compiles and the one that runs mean the same by it.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import prefill_cases
import torch
from launch import DEFAULTS, Call, make_call, numbers
from reference import assert_close
from torch import Tensor

DTYPES = {"half": torch.float16, "bfloat": torch.bfloat16, "float": torch.float32}
#: Query rows of a sequence that are compared with float64, of each head that is.
SAMPLED_ROWS = 24
SAMPLED_HEADS = 8
#: Sequences of a call that are judged.
SAMPLED_SEQUENCES = 12


@dataclass(frozen=True)
class Problem:
    """A call, by its shapes and rules."""

    name: str
    element: str
    source: str  #: "dense", "packed" or "paged"
    heads: tuple[int, int]
    head_dims: tuple[int, int]
    lengths: tuple[tuple[int, int], ...]  #: queries and keys of each sequence; dense: all alike
    family: int
    keywords: str = ""  #: names of prefill_cases.keywords
    options: dict[str, Any] = field(default_factory=dict)  #: of the operators, besides
    mask: str = ""
    block_size: int = 0
    num_blocks: int = 0  #: of the cache, at least
    layout: str = ""  #: "odd": rows begin anywhere; "far": elements begin past 4 GiB of their buffer
    is_split: bool = False  #: keys are split as a plan for more keys would
    is_compared_in_full: bool = False  #: with torch's own attention, as well

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.element]


def read_problems(path: Path) -> list[Problem]:
    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    fields = json.loads(path.read_text())
    return [Problem(**{name: tuples(value) for name, value in problem.items()}) for problem in fields]


def write_problems(path: Path, problems: list[Problem]) -> None:
    path.write_text(json.dumps([asdict(problem) for problem in problems]))


@dataclass
class Built:
    """A problem's tensors: what the kernels get, and keys and values of each sequence."""

    call: Call
    query: Tensor
    key: Tensor
    value: Tensor
    options: dict[str, Any]
    cu_seqlens_q: Tensor | None = None
    cu_seqlens_k: Tensor | None = None
    block_table: Tensor | None = None

    def sequence(self, problem: Problem, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return query [Hq, L, D], key and value [Hkv, S, D] of a sequence."""
        len_q, len_k = problem.lengths[b]
        if problem.source == "dense":
            return self.query[b], self.key[b], self.value[b]
        first_q = sum(q for q, _ in problem.lengths[:b])
        query = self.query[first_q : first_q + len_q].transpose(0, 1)
        if problem.source == "packed":
            first_k = sum(k for _, k in problem.lengths[:b])
            return (query, *(x[first_k : first_k + len_k].transpose(0, 1) for x in (self.key, self.value)))
        assert self.block_table is not None
        blocks = self.block_table[b, : -(-len_k // problem.block_size)].long()
        key, value = (x[blocks].flatten(0, 1)[:len_k].transpose(0, 1) for x in (self.key, self.value))
        return query, key, value

    def results(self, problem: Problem, b: int) -> tuple[Tensor, Tensor]:
        """Return out [Hq, L, Dv] and lse [Hq, L] of a sequence."""
        if problem.source == "dense":
            return self.call.out[b], self.call.lse[b]
        first, length = sum(q for q, _ in problem.lengths[:b]), problem.lengths[b][0]
        part = slice(first, first + length)
        return self.call.out[part].transpose(0, 1), self.call.lse[:, part]


def _randn(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    # float32 of the whole would be too much where a tensor has billions of elements.
    return torch.randn(shape, dtype=dtype)


def _placed(tensor: Tensor, layout: str) -> Tensor:
    """Return a copy inside of a larger buffer of NaN: with odd rows, or far from the buffer's start."""
    if layout == "odd":
        shape = [n + 2 for n in tensor.shape[:-1]] + [tensor.shape[-1] + 6]
        outer = torch.full(shape, torch.nan, dtype=tensor.dtype)
        inside = (*(slice(1, 1 + n) for n in tensor.shape[:-1]), slice(3, 3 + tensor.shape[-1]))
        return outer[inside].copy_(tensor)
    if layout == "far":
        start = (2**32 + 2**20) // tensor.element_size()
        outer = torch.full((start + tensor.numel(),), torch.nan, dtype=tensor.dtype)
        return outer[start:].view(tensor.shape).copy_(tensor)
    return tensor


def _ends(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths], device="cpu").cumsum(0).int()


def options_of(problem: Problem) -> dict[str, Any]:
    batch, heads = len(problem.lengths), problem.heads[0]
    options = prefill_cases.keywords(problem.keywords, batch, heads)
    if "scale" in options:
        options["scale"] *= 6 * problem.head_dims[0] ** -0.5
    if "sinks" in options:
        options["sinks"][0] = -torch.inf
    if problem.mask:
        options["attn_mask"] = prefill_cases.make_mask(problem.mask, (batch, heads, *problem.lengths[0]))
    return {**options, **problem.options}


def build(problem: Problem, device: str) -> Built:
    """Make the tensors on a device: "cuda", or "meta" to learn what is launched. Lengths are on the CPU in any case."""
    torch.manual_seed(0)
    (heads, kv_heads), (dim, dim_v), dtype = problem.heads, problem.head_dims, problem.dtype
    queries, keys = [q for q, _ in problem.lengths], [k for _, k in problem.lengths]
    with torch.device(device):
        if problem.source == "dense":
            batch = len(problem.lengths)
            shapes = [
                (batch, heads, queries[0], dim),
                (batch, kv_heads, keys[0], dim),
                (batch, kv_heads, keys[0], dim_v),
            ]
        elif problem.source == "packed":
            shapes = [(sum(queries), heads, dim), (sum(keys), kv_heads, dim), (sum(keys), kv_heads, dim_v)]
        else:
            blocks = max(problem.num_blocks, sum(-(-k // problem.block_size) for k in keys) + 3)
            cache = (blocks, problem.block_size, kv_heads)
            shapes = [(sum(queries), heads, dim), (*cache, dim), (*cache, dim_v)]
        query, key, value = (_placed(_randn(shape, dtype), problem.layout) for shape in shapes)
        options = options_of(problem)
        where: dict[str, Any] = {}
        if problem.source != "dense":
            where["cu_seqlens_q"] = _ends(queries)
        if problem.source == "packed":
            where["cu_seqlens_k"] = _ends(keys)
        if problem.source == "paged":
            where |= _table(problem, key.shape[0], device)
        # Lengths are read where they are; the kernels get copies on the device.
        call = make_call(query, key, value, **where, **options)
    number = numbers()
    for name in ("kCuSeqlensQBuffer", "kLengthsBuffer", "kBlockTableBuffer"):
        if number[name] in call.buffers and device != "meta":
            call.buffers[number[name]] = call.buffers[number[name]].to(device)
    return Built(
        call,
        query,
        key,
        value,
        options,
        where.get("cu_seqlens_q"),
        where.get("cu_seqlens_k"),
        where.get("block_table"),
    )


def _table(problem: Problem, num_blocks: int, device: str) -> dict[str, Tensor]:
    keys = [k for _, k in problem.lengths]
    needed = [-(-k // problem.block_size) for k in keys]
    free = torch.randperm(num_blocks, device="cpu").int()
    table = torch.full((len(keys), max(needed, default=0) + 2), -1, dtype=torch.int32, device="cpu")
    first = 0
    for b, count in enumerate(needed):
        table[b, :count] = free[first : first + count]
        first += count
    on_device = table if device == "meta" else table.to(device)
    return {"block_table": on_device, "seqused_k": torch.tensor(keys, dtype=torch.int32, device="cpu")}


def _sampled_attention(
    query: Tensor, key: Tensor, value: Tensor, rows: Tensor, len_q: int, options: dict[str, Any], dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return out [H, R, Dv] and lse [H, R] of query rows [H, R, D] at ``rows``, as tests/reference.py defines them."""
    options = {**DEFAULTS, **options}
    group = query.shape[0] // key.shape[0]
    q, k, v = query.to(dtype), key.to(dtype), value.to(dtype)
    k, v = (x.repeat_interleave(group, 0) for x in (k, v))
    soft = torch.promote_types(dtype, torch.float32)
    len_k = k.shape[1]
    i, j = rows[:, None], torch.arange(len_k, device=rows.device)
    p = i + len_k - len_q
    score = (q @ k.mT).to(soft) * (query.shape[-1] ** -0.5 if options["scale"] is None else options["scale"])
    if options["softcap"] > 0:
        score = options["softcap"] * torch.tanh(score / options["softcap"])
    if options["alibi_slopes"] is not None:
        score = score - options["alibi_slopes"].to(soft)[:, None, None] * (p - j).abs()
    mask = options["attn_mask"]
    if mask is not None and mask.dtype != torch.bool:
        score = score + mask.to(soft)
    visible = torch.ones_like(score, dtype=torch.bool)
    if mask is not None and mask.dtype == torch.bool:
        visible &= mask
    origin = i if options["causal_alignment"] == "top_left" else p
    if options["is_causal"]:
        visible &= j <= origin
    if options["window_left"] >= 0:
        visible &= j >= origin - options["window_left"]
    if options["window_right"] >= 0:
        visible &= j <= origin + options["window_right"]
    score = score.masked_fill(~visible, -torch.inf)
    if options["sinks"] is not None:
        sinks = options["sinks"].to(soft)[:, None, None].expand(*score.shape[:2], 1)
        score = torch.cat([score, sinks], -1)
    lse = score.logsumexp(-1)
    weight = score.softmax(-1).masked_fill(lse[..., None] == -torch.inf, 0.0)[..., :len_k]
    return weight.to(dtype) @ v, lse


def _samples(problem: Problem, b: int, device: torch.device) -> tuple[Tensor, list[int]]:
    """Return query rows of a sequence, its first and last among them, and kv heads."""
    len_q, kv_heads = problem.lengths[b][0], problem.heads[1]
    generator = torch.Generator().manual_seed(b)
    drawn = torch.randint(len_q, (SAMPLED_ROWS,), generator=generator, device="cpu").tolist()
    rows = sorted({0, len_q - 1, len_q // 2, *drawn})
    step = max(1, kv_heads // max(1, SAMPLED_HEADS * kv_heads // problem.heads[0]))
    return torch.tensor(rows, device=device), list(range(0, kv_heads, step))


def _sampled_sequences(count: int) -> list[int]:
    """Return sequences, the first and the last among them."""
    if count <= SAMPLED_SEQUENCES:
        return list(range(count))
    drawn = torch.randperm(count, generator=torch.Generator().manual_seed(count))[: SAMPLED_SEQUENCES - 2]
    return sorted({0, count - 1, *drawn.tolist()})


def judge(problem: Problem, built: Built) -> int:
    """Compare sampled rows with float64 by the tests' tolerance rule, and return how many they are.

    Raises:
        AssertionError: it says what is wrong.
    """
    judged = 0
    group = problem.heads[0] // problem.heads[1]
    for b in _sampled_sequences(len(problem.lengths)):
        len_q = problem.lengths[b][0]
        if len_q == 0:
            continue
        rows, kv_heads = _samples(problem, b, built.call.out.device)
        heads = [kv * group + n for kv in kv_heads for n in range(group)]
        query, key, value = built.sequence(problem, b)
        out, lse = (result[heads][:, rows] for result in built.results(problem, b))
        options = _options_of_sequence(built.options, b, heads, rows)
        inputs = (query[heads][:, rows], key[kv_heads], value[kv_heads], rows, len_q, options)
        exact, eager = (_sampled_attention(*inputs, dtype) for dtype in (torch.float64, problem.dtype))
        exact, eager = (tuple(part[None].cpu() for part in result) for result in (exact, eager))
        assert_close(out[None], lse[None], exact, eager, value[kv_heads])  # type: ignore[arg-type]
        judged += len(heads) * len(rows)
    return judged


def _options_of_sequence(options: dict[str, Any], b: int, heads: list[int], rows: Tensor) -> dict[str, Any]:
    changed = dict(options)
    slopes, sinks, mask = (options.get(name) for name in ("alibi_slopes", "sinks", "attn_mask"))
    if slopes is not None:
        changed["alibi_slopes"] = (slopes[b] if slopes.dim() == 2 else slopes)[heads]
    if sinks is not None:
        changed["sinks"] = sinks[heads]
    if mask is not None:
        while mask.dim() < 4:
            mask = mask[None]
        mask = mask[b if mask.shape[0] > 1 else 0]
        mask = mask[heads] if mask.shape[0] > 1 else mask
        changed["attn_mask"] = mask[:, rows] if mask.shape[1] > 1 else mask
    return changed


def chunks(length: int, size: int) -> Iterator[slice]:
    for first in range(0, length, size):
        yield slice(first, min(first + size, length))
