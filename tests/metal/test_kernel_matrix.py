"""Every kernel that kernel_plan can choose, launched as planned, checked in all orders: see matrix_cases.py.

A case must have no finding of metalsim's checks, give the same bits in every order, be right by the tolerance rule, and
write no byte outside of its results. Inputs are views with NaN around them, and results are NaN before.

What is left out, and why:

- All rules in all combinations: any two of them meet, and most cases have many. What a rule means on its own, at its
  edges, is tested for each form in test_prefill.py and test_decode.py.
- All head dims: of a choice, the smallest or largest for which it is taken, and for dense keys one of each.
- Dense calls without queries or keys: the host answers them without a kernel.
- Vector kernels of each number of rows on each K/V source in each type: two of the three meet.
- merge_states, reshape_and_cache and copy_blocks: for these kernel_plan has nothing to choose but a grid, and test_reduce.py
  and test_kv_cache.py run every type and unit of theirs in all orders.
"""

import itertools
import random
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import packed_cases
import prefill_cases
import pytest
import reference
import torch
from launch import METAL, Call, make_call, numbers
from launch_plan import plan_of, run_plan
from matrix_cases import OF_THE_CALL, Case, cases, cells, choices, possible_pairs
from torch import Tensor

import metalsim

CASES = cases()
DTYPES = {"half": torch.float16, "bfloat": torch.bfloat16, "float": torch.float32}
CPU = torch.device("cpu")
#: A plan splits no fewer keys than this.
SPLIT_KEYS = 4096


class Sizes(NamedTuple):
    """Heads and head dims of a case, and the lengths of its sequences: of a packed call, or of one dense call each."""

    heads: tuple[int, int]
    head_dims: tuple[int, int]
    lengths: packed_cases.Lengths
    block_size: int


def key_tiles(case: Case) -> tuple[int, int]:
    """Return how many keys a simdgroup takes at a time, and how many all simdgroups together."""
    tile = case.choice.number("KEY_TILE")
    return tile, tile * case.choice.number("SIMDGROUPS") if case.choice.is_decode else tile


def sizes_of(case: Case) -> Sizes:
    """Return sizes at which tiles begin and end, for a case always the same."""
    generator = random.Random(str(case))
    smallest, largest = case.choice.head_dims[0], case.choice.head_dims[-1]
    head_dims = {
        "smallest": (smallest, smallest),
        "largest": (largest, largest),
        "wide_key": (largest, smallest),
        "wide_value": (smallest, largest),
    }[case.head_dims]
    tile, step = key_tiles(case)
    if case.choice.is_decode:
        tokens, group = generator.choice(
            [(t, rows // t) for rows in case.choice.rows for t in range(1, 9) if rows % t == 0]
        )
        heads = (2 * group, 2)
        main, short = (tokens, step + tile + 5), (max(tokens - 1, 1), 3 * tile - 1)
        edges = [(tokens, keys) for keys in (1, tile - 1, tile, tile + 1, step)]
    else:
        query_tile = case.choice.number("SIMDGROUPS") * case.choice.number("ROW_TILES") * 8
        tokens, heads = query_tile + 9, (2, 1)
        main, short = (tokens, 2 * tile + 5), (query_tile - 1, tile - 1)
        edges = [(9, 1), (query_tile - 1, tile + 1), (query_tile, tile), (query_tile + 1, tile - 1), (9, 3 * tile)]
    edge = generator.choice(edges)
    lengths = (main, edge)
    if case.source != "dense":
        lengths = ((0, 0), (0, 4), (min(tokens, 5), 0), (1, 1), edge, (0, 0), short, main)
    block_size = {
        "": 0,
        "runs": tile * generator.choice([1, 2]),
        "any": generator.choice([1, 5, 17]),
        "fragments": generator.choice([8, max(tile // 2, 8)]),
    }
    return Sizes(heads, head_dims, lengths, block_size[case.blocks])


def surrounded(tensor: Tensor, alignment: str = "odd", width: int = 1) -> Tensor:
    """Return a copy inside of a larger tensor of NaN, ``width`` of it around each dimension but the last one.

    "aligned": rows that began at multiples of 16 bytes do so still.
    """
    edge = 3 if alignment == "odd" else 16 // tensor.element_size()
    margins = [width] * (tensor.dim() - 1) + [edge]
    shape = [n + 2 * m for n, m in zip(tensor.shape, margins, strict=True)]
    filler = torch.nan if tensor.is_floating_point() else 1
    outer = torch.full(shape, filler, dtype=tensor.dtype)
    return outer[tuple(slice(m, m + n) for n, m in zip(tensor.shape, margins, strict=True))].copy_(tensor)


def surrounded_inputs(case: Case, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
    """Return views whose distances differ, those of values from those of keys, too."""
    return [surrounded(tensor, case.alignment, width) for width, tensor in enumerate((query, key, value), 1)]


def inside(integers: Tensor) -> Tensor:
    """Return a contiguous copy between numbers that are no lengths, offsets or blocks."""
    flat = integers.flatten()
    return torch.cat([flat.new_full((3,), -7), flat, flat.new_full((2,), 1 << 29)])[3:-2].view(integers.shape)


def surround_results(call: Call) -> None:
    """Let the results be views into NaN, of out with odd rows, too."""
    number, params = numbers(), call.params
    call.out, call.lse = surrounded(call.out), surrounded(call.lse)
    call.buffers |= {number["kOutBuffer"]: call.out, number["kLseBuffer"]: call.lse}
    if call.lse.dim() == 3:
        params.out.batch, params.out.head, params.out.row = call.out.stride()[:3]
        params.lse_batch, params.lse_head = call.lse.stride()[:2]
    else:
        params.out.row, params.out.head = call.out.stride()[:2]
        params.lse_head = call.lse.stride(0)


def assert_only_results_are_written(call: Call) -> None:
    for result in (call.out, call.lse):
        whole = torch.empty(0, dtype=result.dtype).set_(result.untyped_storage())
        assert whole.isnan().sum() == whole.numel() - result.numel()


def launch(case: Case, *tensors: Tensor, **options: Any) -> Call:
    call = make_call(*tensors, **options)
    surround_results(call)
    if case.splits:
        # Parts of a step each, where a plan for so few keys would have one: what differs is a number in the parameters.
        plan = plan_of(call, case.choice.family, len_k=SPLIT_KEYS, window_left=-1)
        plan["keys_per_split"] = plan["key_tile"]
        assert plan["num_splits"] > 1
    else:
        plan = plan_of(call, case.choice.family)
    chosen = {name: value for name, value in plan["attention"]["macros"].items() if name not in OF_THE_CALL}
    assert chosen == dict(case.choice.macros)
    run_plan(call, plan, check=True, schedule=metalsim.ALL_SCHEDULES)
    assert_only_results_are_written(call)
    return call


def keywords(case: Case, batch: int, sizes: Sizes) -> dict[str, Any]:
    heads, head_dim = sizes.heads[0], sizes.head_dims[0]
    options = prefill_cases.keywords(case.keywords, batch, heads)
    if "scale" in options:
        # Near 1 / sqrt(head_dim): where scores are larger, fp32 sums of many products differ by their order, and by more
        # than the tolerance rule allows for.
        options["scale"] *= 6 * head_dim**-0.5
    if "sinks" in options:
        options["sinks"][0] = -torch.inf
    return {name: inside(option) if isinstance(option, Tensor) else option for name, option in options.items()}


def run_dense(case: Case, sizes: Sizes, lengths: tuple[int, int]) -> None:
    batch, queries_and_keys = 2, lengths
    tensors = prefill_cases.dense(batch, sizes.heads, lengths, sizes.head_dims, DTYPES[case.choice.element])
    tensors = surrounded_inputs(case, *tensors)
    options = keywords(case, batch, sizes)
    if case.mask:
        mask = prefill_cases.make_mask(case.mask, (batch, sizes.heads[0], *queries_and_keys))
        options["attn_mask"] = mask if case.mask.endswith("strided") else surrounded(mask)
    call = launch(case, *tensors, **options)
    reference.assert_matches(call.out, call.lse, reference.attention, *tensors, **options)


def packed_inputs(case: Case, sizes: Sizes) -> tuple[list[Tensor], list[Tensor]]:
    """Return query, key and value, and cu_seqlens of queries and keys."""
    kind = packed_cases.PackedCase(
        DTYPES[case.choice.element], sizes.head_dims[0], sizes.heads, sizes.lengths, "thd", case.keywords
    )
    ends = [packed_cases.ends(lengths, CPU) for lengths in zip(*sizes.lengths, strict=True)]
    return packed_cases.packed_tensors(kind, CPU), [inside(numbers_of) for numbers_of in ends]


def run_packed(case: Case, sizes: Sizes) -> None:
    tensors, ends = packed_inputs(case, sizes)
    tensors = surrounded_inputs(case, *tensors)
    options = keywords(case, len(sizes.lengths), sizes)
    call = launch(case, *tensors, cu_seqlens_q=ends[0], cu_seqlens_k=ends[1], **options)
    reference.assert_matches(call.out, call.lse, reference.varlen_attention, *tensors, *ends, **options)


def run_paged(case: Case, sizes: Sizes) -> None:
    (query, key, value), ends = packed_inputs(case, sizes)
    lengths = [keys for _, keys in sizes.lengths]
    cache = packed_cases.paged_cache(key, value, lengths, sizes.block_size)
    tensors = surrounded_inputs(case, query, cache.key_cache, cache.value_cache)
    where = {"block_table": inside(cache.block_table), "seqused_k": inside(cache.seqused_k)}
    options = keywords(case, len(sizes.lengths), sizes)
    call = launch(case, *tensors, cu_seqlens_q=ends[0], **where, **options)
    inputs = (*tensors, where["block_table"], where["seqused_k"], ends[0])
    reference.assert_matches(call.out, call.lse, reference.paged_attention, *inputs, **options)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    sizes = sizes_of(case)
    if case.source == "packed":
        run_packed(case, sizes)
    elif case.source == "paged":
        run_paged(case, sizes)
    else:
        for lengths in sizes.lengths:
            run_dense(case, sizes, lengths)


@pytest.mark.parametrize("block_size", [16, 17])
@pytest.mark.parametrize("file", ["prefill", "decode"])
def test_lengths_outside_of_the_cache(file: str, block_size: int) -> None:
    """seqused_k below 0 is 0, and more than the blocks hold is all that they hold; behind the last one there is nothing."""
    queries = 9 if file == "prefill" else 1
    lengths_q, lengths_k, said = (queries, queries, queries), (0, 20, 2 * block_size), (-5, 20, 1 << 30)
    query, key, value = (torch.randn(n, 2, 64).half() for n in (sum(lengths_q), sum(lengths_k), sum(lengths_k)))
    cache = packed_cases.paged_cache(key, value, lengths_k, block_size)
    table, ends = cache.block_table[:, :2].contiguous(), packed_cases.ends(lengths_q, CPU)
    where = {"block_table": table, "seqused_k": torch.tensor(said, dtype=torch.int32)}
    call = make_call(query, cache.key_cache, cache.value_cache, cu_seqlens_q=ends, **where)
    plan = plan_of(call, 9, len_k=2 * block_size)
    assert plan["attention"]["kernel"] == file
    run_plan(call, plan, check=True)
    inputs = (query, cache.key_cache, cache.value_cache, table, torch.tensor(lengths_k), ends)
    reference.assert_matches(call.out, call.lse, reference.paged_attention, *inputs)


#: A GPU family, query and kv heads, and tokens, for which kernels of each kind are chosen.
KINDS = {
    "staged": (7, (2, 1), 17),
    "direct": (9, (2, 1), 17),
    "vector": (9, (2, 1), 2),
    "matrix": (9, (4, 1), 2),
    "staged matrix": (9, (12, 1), 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_sequence_has_no_queries(kind: str) -> None:
    """There is nothing behind the query that it could read."""
    family, heads, tokens = KINDS[kind]
    sequences = ((tokens, 20), (0, 20))
    tensors = packed_cases.packed_tensors(packed_cases.PackedCase(torch.float16, 64, heads, sequences, "thd", ""), CPU)
    ends = [packed_cases.ends(lengths, CPU) for lengths in zip(*sequences, strict=True)]
    call = make_call(*tensors, cu_seqlens_q=ends[0], cu_seqlens_k=ends[1])
    run_plan(call, plan_of(call, family), check=True)
    reference.assert_matches(call.out, call.lse, reference.varlen_attention, *tensors, *ends)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_the_lowest_number_sees_all_keys(kind: str, dtype: torch.dtype) -> None:
    """Its weights are equal. The tolerance rule says nothing here: it allows for errors as large as lse."""
    family, heads, tokens = KINDS[kind]
    tensors = prefill_cases.dense(1, heads, (tokens, 50), (64, 64), torch.float16)
    call = make_call(*tensors, attn_mask=torch.full((tokens, 50), torch.finfo(dtype).min, dtype=dtype))
    run_plan(call, plan_of(call, family), check=True)
    mean = tensors[2].double().mean(dim=2, keepdim=True).expand(call.out.shape)
    torch.testing.assert_close(call.out.double(), mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(call.lse, torch.full_like(call.lse, torch.finfo(dtype).min), rtol=1e-5, atol=0)


def _pairs_of(found: Sequence[Case]) -> set[Any]:
    return {pair for case in found for pair in itertools.combinations(enumerate(case[1:]), 2)}


def test_all_choices_and_pairs_are_covered() -> None:
    assert {(case.choice, case.source) for case in CASES} == set(cells())
    assert {choice for choice, _ in cells()} == set(choices())
    vectors = {(choice.rows, choice.element, source) for choice, source in cells() if choice.form == "vector"}
    rows, elements, sources = (set(levels) for levels in zip(*vectors, strict=True))
    assert {vector[:2] for vector in vectors} == set(itertools.product(rows, elements))
    assert {vector[::2] for vector in vectors} == set(itertools.product(rows, sources))
    assert {vector[1:] for vector in vectors} == set(itertools.product(elements, sources))
    assert _pairs_of(CASES) >= possible_pairs()
    assert {case.form for case in CASES} == {
        "staged", "widened", "direct", "vector", "matrix", "two matrices", "staged matrix"
    }  # fmt: skip


def test_no_kernel_is_left_out() -> None:
    """Those that the cases launch, and those that the module's comment names."""
    declared = {
        name for path in METAL.glob("*.metal") for name in re.findall(r"kernel void\s+(\w+)\(", path.read_text())
    }
    launched = {"prefill", "label_mask_tiles", "decode", "merge_splits"}
    assert declared == launched | {"merge_states", "reshape_and_cache", "copy_blocks"}
