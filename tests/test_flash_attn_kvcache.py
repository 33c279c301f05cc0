"""flash_attn_with_kvcache against its definition in float64: what it stores where, and what it attends to."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from cases import DTYPES, randn
from compiling import compiled_once
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_cases import ends
from reference import assert_close, varlen_attention
from torch import Tensor

from torch_fused_attn import alibi_slopes, flash_attn_kvcache
from torch_fused_attn._rotary import apply_rotary
from torch_fused_attn.flash_attn_interface import flash_attn_with_kvcache

HEADS, KV_HEADS, DIM = 4, 2, 32


@dataclass
class Call:
    """The arguments of a call; ``positions[b][p]`` is where (row or block, offset) token p of sequence b belongs."""

    q: Tensor
    k_cache: Tensor
    v_cache: Tensor
    positions: list[list[tuple[int, int]]]
    lengths: list[int]
    keywords: dict[str, Any] = field(default_factory=dict)

    def __call__(self, **more: Any) -> Any:
        return flash_attn_with_kvcache(self.q, self.k_cache, self.v_cache, **{**self.keywords, **more})


def int32(values: list, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.int32, device=device)


def rotation(device: torch.device, dtype: torch.dtype, rows: int, rotary_dim: int) -> dict[str, Tensor]:
    angles = torch.outer(torch.arange(rows), 100.0 ** -(torch.arange(0, rotary_dim, 2) / rotary_dim))
    return {"rotary_cos": angles.cos().to(device, dtype), "rotary_sin": angles.sin().to(device, dtype)}


def make_call(
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    lengths: tuple[int, ...] = (5, 12, 0),
    len_q: int = 3,
    len_new: int | None = 3,
    capacity: int = 16,
    layout: str = "rows",
    rotary_dim: int = 0,
    **keywords: Any,
) -> Call:
    """Build a call; layouts: "rows" [B, S], "shuffled" (cache_batch_idx), "leftpad", "paged" (block_table), "transposed"."""
    batch, options = len(lengths), {"dtype": dtype, "device": device}
    q = randn(batch, len_q, HEADS, DIM, **options)
    if layout == "paged":
        block_size, width = 4, -(-capacity // 4)
        blocks = torch.randperm(batch * width).view(batch, width).tolist()
        caches = [randn(batch * width, block_size, KV_HEADS, DIM, **options) for _ in range(2)]
        positions = [[(row[p // block_size], p % block_size) for p in range(capacity)] for row in blocks]
        reached = [-(-(length + (len_new or 0)) // block_size) for length in lengths]
        table = [row[:n] + [-1] * (width - n) for row, n in zip(blocks, reached, strict=True)]
        keywords["block_table"] = int32(table, device)
    else:
        rows = torch.randperm(batch + 2)[:batch].tolist() if layout == "shuffled" else list(range(batch))
        shape = (batch + 2, KV_HEADS, capacity, DIM)
        caches = [randn(*shape, **options).transpose(1, 2) for _ in range(2)]
        if layout != "transposed":
            caches = [cache.contiguous() for cache in caches]
        positions = [[(row, p) for p in range(capacity)] for row in rows]
        if layout == "shuffled":
            keywords["cache_batch_idx"] = int32(rows, device)
        if layout == "leftpad":
            keywords["cache_leftpad"] = int32([length // 2 for length in lengths], device)
    if len_new is not None:
        keywords["k"], keywords["v"] = (randn(batch, len_new, KV_HEADS, DIM, **options) for _ in range(2))
    if rotary_dim:
        keywords.update(rotation(device, dtype, capacity + max(len_q - len_new, 0), rotary_dim))
    keywords.setdefault("cache_seqlens", int32(list(lengths), device))
    return Call(q, *caches, positions, list(lengths), keywords)


def rotated(tokens: Tensor, cos: Tensor, sin: Tensor, positions: list[int], *, interleaved: bool) -> Tensor:
    """Multiply pairs of a sequence's tokens [L, H, D], as complex numbers in float64, by cos + i sin of their positions."""
    tokens, factor = tokens.cpu().double(), torch.complex(cos.cpu().double(), sin.cpu().double())[positions][:, None]
    n = cos.shape[1]
    pairs = [(2 * i, 2 * i + 1) for i in range(n)] if interleaved else [(i, n + i) for i in range(n)]
    first, second = (torch.tensor(x) for x in zip(*pairs, strict=True))
    turned = torch.complex(tokens[..., first], tokens[..., second]) * factor
    result = tokens.clone()
    result[..., first], result[..., second] = turned.real, turned.imag
    return result


def assert_stored(actual: Tensor, exact: Tensor) -> None:
    """Rounding to the cache's dtype is the one error above fp32's: half an ulp, and what fp32 loses by cancellation."""
    noise = torch.finfo(torch.float32).eps
    tolerance = {"rtol": 0.51 * torch.finfo(actual.dtype).eps + noise, "atol": 4 * noise * float(exact.abs().max())}
    torch.testing.assert_close(actual.double(), exact, **tolerance)


def assert_is_its_definition(call: Call) -> None:
    given_, device, dtype = call.keywords, call.q.device, call.q.dtype
    caches = [x.cpu().clone() for x in (call.k_cache, call.v_cache)]
    out, lse = call(return_softmax_lse=True)

    causal, window = given_.get("causal", False), given_.get("window_size", (-1, -1))
    interleaved = given_.get("rotary_interleaved", True)
    leftpad = given_["cache_leftpad"].tolist() if "cache_leftpad" in given_ else [0] * len(call.lengths)
    stays = torch.ones(caches[0].shape[:2], dtype=torch.bool)
    sequences = []
    for b, length in enumerate(call.lengths):
        q, end = call.q[b].cpu().double(), length
        old = [
            torch.stack([cache[i] for i in call.positions[b][:length]]) if length else cache[0, :0] for cache in caches
        ]
        k, v = (x.double() for x in old)
        if "k" in given_:
            new_k, new_v = (given_[name][b].cpu().double() for name in "kv")
            end += new_k.shape[0]
            if "rotary_cos" in given_:
                table = given_["rotary_cos"], given_["rotary_sin"]
                is_local = any(0 <= width < len(call.positions[b]) for width in window)
                steps = range(q.shape[0]) if causal or is_local else [0] * q.shape[0]
                q = rotated(q, *table, [length + i for i in steps], interleaved=interleaved)
                new_k = rotated(new_k, *table, list(range(length, end)), interleaved=interleaved)
            k, v = torch.cat([k, new_k]), torch.cat([v, new_v])
            for new, cache in ((new_k, call.k_cache), (new_v, call.v_cache)):
                for i, position in enumerate(call.positions[b][length:end]):
                    assert_stored(cache[position].cpu(), new[i])
                    stays[position] = False
        sequences.append((q, k[leftpad[b] :], v[leftpad[b] :]))
    for before, after in zip(caches, (call.k_cache, call.v_cache), strict=True):
        assert torch.equal(before[stays], after.cpu()[stays]), "other tokens of the cache were written"

    packed = [torch.cat(tensors) for tensors in zip(*sequences, strict=True)]
    cu_seqlens = [ends([s[i].shape[0] for s in sequences], torch.device("cpu")) for i in range(2)]
    options = {
        "is_causal": causal,
        "window_left": window[0],
        "window_right": window[1],
        "softcap": given_.get("softcap", 0.0),
        "scale": given_.get("softmax_scale"),
        "alibi_slopes": given_.get("alibi_slopes"),
    }
    exact = varlen_attention(*packed, *cu_seqlens, **options)
    eager = varlen_attention(*(x.to(dtype) for x in packed), *cu_seqlens, **options, dtype=dtype)
    assert out.shape == call.q.shape
    assert out.dtype == dtype
    assert out.device == device
    assert lse.shape == (len(call.lengths), HEADS, call.q.shape[1])
    assert lse.is_contiguous()
    assert_close(out.flatten(0, 1), lse.transpose(0, 1).flatten(1), exact, eager, packed[2])


LAYOUTS = ["rows", "shuffled", "leftpad", "paged", "transposed"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("len_new", [None, 1, 3])
def test_layouts(layout: str, len_new: int | None, device: torch.device) -> None:
    assert_is_its_definition(make_call(device, layout=layout, len_new=len_new, causal=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_decoding(dtype: torch.dtype, device: torch.device) -> None:
    call = make_call(device, dtype, (100, 1, 0, 63), len_q=1, len_new=1, capacity=128, rotary_dim=DIM, causal=True)
    assert_is_its_definition(call)


ROTARIES = {
    "interleaved": {"rotary_dim": 32, "causal": True},
    "halves": {"rotary_dim": 32, "causal": True, "rotary_interleaved": False},
    "partial": {"rotary_dim": 16, "causal": True},
    "partial halves": {"rotary_dim": 16, "causal": True, "rotary_interleaved": False},
    "all queries at one position": {"rotary_dim": 32},
    "window": {"rotary_dim": 32, "window_size": (6, 3)},
    "window on the right": {"rotary_dim": 32, "window_size": (-1, 0)},
    "window of all but one": {"rotary_dim": 32, "window_size": (15, -1)},
    "window as long as the cache": {"rotary_dim": 32, "window_size": (16, 20)},
    "more keys than queries": {"rotary_dim": 16, "causal": True, "len_new": 4, "len_q": 2},
    "more queries than keys": {"rotary_dim": 16, "causal": True, "len_new": 1, "len_q": 4},
    "leftpad": {"rotary_dim": 16, "causal": True, "layout": "leftpad"},
    "paged": {"rotary_dim": 16, "causal": True, "layout": "paged"},
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", ROTARIES)
def test_rotary(name: str, dtype: torch.dtype, device: torch.device) -> None:
    assert_is_its_definition(make_call(device, dtype, **ROTARIES[name]))


def test_positions_beyond_the_tables_of_angles_take_the_last_row(device: torch.device) -> None:
    """On a device nobody looks at lengths, and no table may be read outside of."""
    tokens = randn(1, 2, HEADS, DIM, dtype=torch.float32, device=device)
    tables = rotation(device, torch.float32, 4, DIM).values()
    beyond, last = (
        apply_rotary(tokens, *tables, torch.tensor([[2, p]], device=device), interleaved=True) for p in (9, 3)
    )
    assert torch.equal(beyond, last)
    assert not torch.equal(last, tokens)


OPTIONS = {
    "softcap": {"softcap": 1.5},
    "scale": {"softmax_scale": 0.3},
    "window": {"window_size": (4, 1)},
    "causal window": {"window_size": (4, -1), "causal": True, "len_q": 5, "len_new": 5, "lengths": (5, 11, 0)},
    "alibi": {"alibi_slopes": alibi_slopes(HEADS), "causal": True},
    "alibi for each sequence": {"alibi_slopes": alibi_slopes(HEADS) * torch.tensor([[1.0], [2.0], [0.5]])},
    "num_splits": {"num_splits": 3},
    "queries before the first key": {"lengths": (0, 2, 1), "len_q": 6, "len_new": 1, "causal": True},
}


@pytest.mark.parametrize("layout", ["rows", "paged", "leftpad"])
@pytest.mark.parametrize("name", OPTIONS)
def test_options(name: str, layout: str, device: torch.device) -> None:
    options = {k: x.to(device) if isinstance(x, Tensor) else x for k, x in OPTIONS[name].items()}
    assert_is_its_definition(make_call(device, layout=layout, **options))


def test_cache_seqlens_may_be_an_int_or_left_out(device: torch.device) -> None:
    assert_is_its_definition(make_call(device, lengths=(7, 7, 7), cache_seqlens=7, causal=True))
    assert_is_its_definition(make_call(device, lengths=(16, 16), len_new=None, cache_seqlens=None))


def test_rows_may_be_shared_where_nothing_is_appended(device: torch.device) -> None:
    call = make_call(device, lengths=(9, 4, 16), len_new=None, layout="shuffled")
    call.keywords["cache_batch_idx"] = int32([2, 2, 0], device)
    call.positions = [[(row, p) for p in range(16)] for row in (2, 2, 0)]
    assert_is_its_definition(call)


def test_without_lse_the_result_is_one_tensor(device: torch.device) -> None:
    call = make_call(device, len_new=None)
    assert torch.equal(call(), call(return_softmax_lse=True)[0])


def test_queries_of_a_packed_projection_and_strided_ones(device: torch.device) -> None:
    """q, k and v as slices of one tensor, and with a strided last dimension."""
    call = make_call(device)
    packed = randn(3, 3, HEADS + 2 * KV_HEADS, DIM, dtype=torch.float32, device=device)
    call.q, call.keywords["k"], call.keywords["v"] = packed.split([HEADS, KV_HEADS, KV_HEADS], dim=2)
    assert_is_its_definition(call)
    call.lengths, call.keywords["cache_seqlens"] = [1, 2, 3], int32([1, 2, 3], device)
    call.q, call.keywords["k"] = (x.mT.contiguous().mT for x in (call.q, call.keywords["k"]))
    assert call.q.stride(-1) != 1
    assert_is_its_definition(call)


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the keywords of make_call, such that everything fits into the cache."""
    capacity = draw(st.integers(2, 40))
    len_new = draw(st.none() | st.integers(1, min(6, capacity)))
    lengths = draw(st.lists(st.integers(0, capacity - (len_new or 0)), min_size=1, max_size=4))
    keywords = {
        "capacity": capacity,
        "len_new": len_new,
        "lengths": tuple(lengths),
        "len_q": draw(st.integers(1, 6)),
        "layout": draw(st.sampled_from(LAYOUTS)),
        "rotary_interleaved": draw(st.booleans()),
        "causal": draw(st.booleans()),
        "window_size": (draw(st.integers(-1, 12)), draw(st.integers(-1, 4))),
        "softcap": draw(st.sampled_from([0.0, 2.0])),
    }
    if len_new:
        keywords["rotary_dim"] = draw(st.sampled_from([0, 16, 32]))
    return keywords


@settings(max_examples=60)
@given(keywords=calls())
def test_any_call(keywords: dict[str, Any], device: torch.device) -> None:
    if keywords["layout"] == "paged":  # its capacity is that of whole blocks
        keywords["capacity"] += -keywords["capacity"] % 4
    if keywords["causal"]:
        keywords["window_size"] = (keywords["window_size"][0], -1)
    assert_is_its_definition(make_call(device, **keywords))


# ----- errors: each leaves the cache as it was

ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "k alone": ({"v": None}, "k and v must be given both or not at all, but k was alone"),
    "v alone": ({"k": None}, "k and v must be given both or not at all, but v was alone"),
    "no cache_seqlens": ({"cache_seqlens": None}, "cache_seqlens must be given with k, but was None"),
    "cos alone": (
        {"rotary_cos": torch.ones(16, 4)},
        "rotary_cos and rotary_sin must be given both .* rotary_cos was alone",
    ),
    "sin alone": (
        {"rotary_sin": torch.ones(16, 4)},
        "rotary_cos and rotary_sin must be given both .* rotary_sin was alone",
    ),
    "rotary without k": (
        {"k": None, "v": None, "rotary_cos": torch.ones(16, 4), "rotary_sin": torch.ones(16, 4)},
        "k and v must be given with rotary_cos",
    ),
    "short rotary": (
        {"rotary_cos": torch.ones(15, 4), "rotary_sin": torch.ones(15, 4)},
        r"num_positions at least 16, .* but their shapes are \[15, 4\]",
    ),
    "wide rotary": (
        {"rotary_cos": torch.ones(16, 17), "rotary_sin": torch.ones(16, 17)},
        r"rotary_dim at most 32, but their shapes are \[16, 17\]",
    ),
    "differing rotary": (
        {"rotary_cos": torch.ones(16, 4), "rotary_sin": torch.ones(16, 8)},
        r"but their shapes are \[16, 4\] and \[16, 8\]",
    ),
    "leftpad and blocks": (
        {"cache_leftpad": torch.zeros(3, dtype=torch.int32), "block_table": torch.zeros(3, 1, dtype=torch.int32)},
        "cache_leftpad must be None with block_table",
    ),
    "rows and blocks": (
        {"cache_batch_idx": torch.zeros(3, dtype=torch.int32), "block_table": torch.zeros(3, 1, dtype=torch.int32)},
        "cache_batch_idx must be None with block_table",
    ),
    "int64 lengths": (
        {"cache_seqlens": torch.zeros(3, dtype=torch.int64)},
        "cache_seqlens must be int32 .*torch.int64",
    ),
    "wrong lengths": (
        {"cache_seqlens": torch.zeros(2, dtype=torch.int32)},
        r"cache_seqlens must be int32 \[3\] .*\[2\]",
    ),
    "long int": ({"cache_seqlens": 14}, "cache_seqlens must be from 0 to 13, .* but was 14"),
    "negative int": ({"cache_seqlens": -1}, "cache_seqlens must be from 0 to 13, .* but was -1"),
    "wrong rows": ({"cache_batch_idx": torch.zeros(4, dtype=torch.int32)}, r"cache_batch_idx must be int32 \[3\]"),
    "wrong leftpad": ({"cache_leftpad": torch.zeros(3)}, r"cache_leftpad must be int32 \[3\] .*float32"),
    "k of another batch": (
        {"k": torch.zeros(2, 3, 2, 32), "v": torch.zeros(2, 3, 2, 32)},
        "k and v must have the same shape, and q's batch size 3",
    ),
    "k with other heads": (
        {"k": torch.zeros(3, 3, 4, 32), "v": torch.zeros(3, 3, 4, 32)},
        "as many heads as the cache",
    ),
    "k without heads": ({"k": torch.zeros(3, 3, 32)}, r"k must be \[B, Lnew, Hkv, D\], but its shape is \[3, 3, 32\]"),
    "softcap": ({"softcap": -1.0}, "softcap must be a finite number >= 0"),
    "window": ({"window_size": (-2, 0)}, "window_left must be -1"),
}
CPU_ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "long lengths": (
        {"cache_seqlens": torch.tensor([0, 14, 2], dtype=torch.int32)},
        "cache_seqlens's entries must be from 0 to 13, but are from 0 to 14",
    ),
    "negative lengths": (
        {"cache_seqlens": torch.tensor([0, -1, 2], dtype=torch.int32)},
        "cache_seqlens's entries must be from 0 to 13, but are from -1 to 2",
    ),
    "rows outside": (
        {"cache_batch_idx": torch.tensor([0, 5, 2], dtype=torch.int32)},
        "cache_batch_idx's entries must be from 0 to 4, but are from 0 to 5",
    ),
    "much padding": (
        {"cache_leftpad": torch.tensor([0, 0, 4], dtype=torch.int32)},
        r"cache_leftpad's entries must be from 0 to the sequences' lengths \[8, 15, 3\], .* but are \[0, 0, 4\]",
    ),
    "unset block": (
        {"block_table": torch.tensor([[0], [-1], [1]], dtype=torch.int32), "cache_seqlens": 0},
        "block_table must name a block for every new token",
    ),
}


def assert_refused(changes: dict[str, Any], message: str, device: torch.device) -> None:
    call = make_call(device)
    before = [x.clone() for x in (call.k_cache, call.v_cache)]
    moved = {name: x.to(device) if isinstance(x, Tensor) else x for name, x in changes.items()}
    with pytest.raises((ValueError, RuntimeError), match=message):
        call(**moved)
    assert all(map(torch.equal, before, (call.k_cache, call.v_cache)))


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str, device: torch.device) -> None:
    assert_refused(*ERRORS[name], device)


@pytest.mark.parametrize("name", CPU_ERRORS)
def test_contents_are_checked_in_host_memory(name: str) -> None:
    assert_refused(*CPU_ERRORS[name], torch.device("cpu"))


def test_few_rows_are_refused(device: torch.device) -> None:
    call = make_call(device)
    call.k_cache, call.v_cache = call.k_cache[:2], call.v_cache[:2]
    with pytest.raises(ValueError, match="at least one row for each of q's 3 sequences, but its shape is"):
        call()


@pytest.mark.parametrize("name", ["q", "k", "v", "k_cache"])
def test_gradients_are_refused_before_anything_is_written(name: str, device: torch.device) -> None:
    call = make_call(device)
    before = call.k_cache.clone()
    tensor = call.keywords[name] if name in call.keywords else getattr(call, name)
    tensor.requires_grad_()
    with torch.enable_grad(), pytest.raises(RuntimeError, match=rf"{name} requires grad, .* torch\.no_grad\(\)"):
        call()
    assert torch.equal(call.k_cache, before)


@pytest.mark.parametrize("layout", ["rows", "paged"])
def test_what_does_not_fit_overwrites_nobody(
    layout: str, device: torch.device, looks_at_indices: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device lengths are not looked at: tokens beyond the capacity are dropped. On the CPU, attention then raises."""
    call = make_call(device, lengths=(14, 3, 0), layout=layout)
    if layout == "paged":
        call.keywords["block_table"] = int32([[block for block, _ in row[::4]] for row in call.positions], device)
    before = call.k_cache.clone()
    monkeypatch.setattr(flash_attn_kvcache, "is_readable", lambda tensor: False)
    refused = pytest.raises(RuntimeError, match=r"seqused_k\[0\] must be from 0 to 16")
    with refused if looks_at_indices else contextlib.nullcontext():
        call(cache_seqlens=int32([15, 3, 0], device))
    for b, length in enumerate((15, 3, 0)):
        for p, position in enumerate(call.positions[b]):
            is_unchanged = torch.equal(call.k_cache[position], before[position])
            assert is_unchanged != (length <= p < length + 3)


# ----- torch.compile


@pytest.mark.parametrize("layout", ["rows", "shuffled", "paged", "leftpad"])
def test_one_graph_serves_all_decoding_steps(layout: str, device: torch.device) -> None:
    """One new token of each sequence, with rotary embedding, in caches of any batch and capacity; the cache is written."""

    def step(q: Tensor, k_cache: Tensor, v_cache: Tensor, keywords: dict[str, Any]) -> Tensor:
        return flash_attn_with_kvcache(q * 2, k_cache, v_cache, causal=True, **keywords) + 1

    with compiled_once(step) as compiled:
        for lengths, capacity in (((5, 9, 2), 16), ((15, 19), 20), ((30, 0, 7, 60), 64)):
            call = make_call(
                device, lengths=lengths, capacity=capacity, layout=layout, len_q=1, len_new=1, rotary_dim=16
            )
            copies = [x.clone() for x in (call.k_cache, call.v_cache)]
            expected = step(call.q, *copies, call.keywords)
            torch.testing.assert_close(compiled(call.q, call.k_cache, call.v_cache, call.keywords), expected)
            torch.testing.assert_close([call.k_cache, call.v_cache], copies)


def test_one_graph_serves_all_prefills(device: torch.device) -> None:
    def step(q: Tensor, k: Tensor, v: Tensor, cache: tuple[Tensor, Tensor], length: int) -> Tensor:
        return flash_attn_with_kvcache(q, *cache, k, v, cache_seqlens=length, causal=True)

    with compiled_once(step) as compiled:
        for len_new, length in ((5, 3), (9, 7), (16, 30)):
            call = make_call(device, lengths=(length,) * 3, len_q=len_new, len_new=len_new, capacity=48)
            cache = (call.k_cache, call.v_cache)
            args = call.q, call.keywords["k"], call.keywords["v"]
            expected = step(*args, tuple(x.clone() for x in cache), length)
            torch.testing.assert_close(compiled(*args, cache, length), expected)
