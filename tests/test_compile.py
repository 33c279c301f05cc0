"""The operators under ``torch.library.opcheck``, fake tensors, ``torch.compile``, ``torch.export`` and AOTInductor."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from cases import make_keywords, make_mask, randn
from packed_cases import ends, paged_cache
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from torch_fused_attn import (
    FusedAttention,
    FusedMultiheadAttention,
    alibi_slopes,
    fused_attention,
    fused_attention_paged,
    fused_attention_varlen,
)

# torch's own, neither about these operators.
pytestmark = [
    pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
]

OPERATORS = torch.ops.fused_attn
EVERYTHING = "causal+left+batch_alibi+softcap+sinks+scale"


class Call(NamedTuple):
    """An operator and what to call it with."""

    operator: Callable
    args: tuple
    keywords: dict


def forward_call(
    device: torch.device, keywords: str = "", mask: str = "none", lengths: tuple = (5, 9), **how: str
) -> Call:
    dtype, (queries, keys) = torch.float32, lengths
    query, key, value = (
        randn(2, h, n, d, dtype=dtype, device=device) for h, n, d in ((4, queries, 16), (2, keys, 16), (2, keys, 24))
    )
    if how.get("layout") == "blhd":
        query, key, value = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in (query, key, value))
    if how.get("layout") == "hlbd":
        query, key, value = (x.permute(1, 2, 0, 3).contiguous().permute(2, 0, 1, 3) for x in (query, key, value))
    options = make_keywords(keywords, 2, 4, dtype, device)
    options["attn_mask"] = make_mask(mask, (2, 4, queries, keys), dtype, device)
    return Call(OPERATORS.forward.default, (query, key, value), options)


def varlen_call(device: torch.device, keywords: str = "") -> Call:
    query, key, value = (randn(t, h, 16, dtype=torch.float32, device=device) for t, h in ((6, 4), (12, 2), (12, 2)))
    args = query, key, value, ends((1, 5), device), ends((7, 5), device), 5, 7
    return Call(OPERATORS.varlen_forward.default, args, make_keywords(keywords, 2, 4, torch.float32, device))


def paged_call(device: torch.device, keywords: str = "") -> Call:
    query, key, value = (randn(t, h, 16, dtype=torch.float32, device=device) for t, h in ((6, 4), (12, 2), (12, 2)))
    cache = [x.nan_to_num(0.0) for x in paged_cache(key, value, (7, 5), 4)]  # opcheck compares caches, and NaN != NaN
    args = query, *cache, ends((1, 5), device), 5
    return Call(OPERATORS.paged_forward.default, args, make_keywords(keywords, 2, 4, torch.float32, device))


def cache_call(device: torch.device) -> Call:
    key, value = (randn(3, 2, 16, dtype=torch.float32, device=device) for _ in range(2))
    caches = [randn(4, 8, 2, 16, dtype=torch.float32, device=device) for _ in range(2)]
    slots = torch.tensor([30, -1, 4], device=device)
    return Call(OPERATORS.reshape_and_cache_.default, (key, value, *caches, slots), {})


def copy_call(device: torch.device) -> Call:
    caches = [randn(4, 8, 2, 16, dtype=torch.float32, device=device) for _ in range(2)]
    return Call(OPERATORS.copy_blocks_.default, (*caches, torch.tensor([[0, 3], [2, 1]], device=device)), {})


def merge_call(device: torch.device, *, is_packed: bool, layout: str = "blhd") -> Call:
    order = (0, 2, 1, 3) if layout == "blhd" else (0, 1, 2, 3)
    outs = [randn(2, 3, 3, 16, dtype=torch.float32, device=device).permute(order) for _ in range(2)]
    lses = [randn(2, 3, 3, dtype=torch.float32, device=device) for _ in range(2)]
    if is_packed:
        outs, lses = ([x[0].transpose(0, 1) for x in outs], [x[0] for x in lses])
    return Call(OPERATORS.merge_states.default, (outs[0], lses[0], outs[1], lses[1]), {})


CALLS: dict[str, Callable[[torch.device], Call]] = {
    "forward": forward_call,
    "forward-everything": lambda device: forward_call(device, EVERYTHING, "bool_LS"),
    "forward-float_mask": lambda device: forward_call(device, "causal", "float_B11S"),
    "forward-blhd": lambda device: forward_call(device, "alibi", layout="blhd"),
    "forward-hlbd": lambda device: forward_call(device, layout="hlbd"),
    "forward-one_query": lambda device: forward_call(device, "causal", lengths=(1, 40)),
    "forward-long": lambda device: forward_call(device, "causal", lengths=(300, 300)),
    "forward-no_keys": lambda device: forward_call(device, lengths=(3, 0)),
    "varlen_forward": varlen_call,
    "varlen_forward-everything": lambda device: varlen_call(device, EVERYTHING),
    "paged_forward": paged_call,
    "paged_forward-everything": lambda device: paged_call(device, EVERYTHING),
    "reshape_and_cache_": cache_call,
    "copy_blocks_": copy_call,
    "merge_states-dense": lambda device: merge_call(device, is_packed=False),
    "merge_states-bhld": lambda device: merge_call(device, is_packed=False, layout="bhld"),
    "merge_states-packed": lambda device: merge_call(device, is_packed=True),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest, device: torch.device) -> Call:
    return CALLS[request.param](device)


@pytest.fixture
def _one_graph() -> Iterator[None]:
    """Compile once, or raise if new sizes ask for more; and anew, since inductor's caches outlive a rebuilt operator."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True), torch.compiler.config.patch(force_disable_caches=True):
        yield
    torch._dynamo.reset()


def test_opcheck(call: Call) -> None:
    """Schema, mutation, fake tensors, and tracing with dynamic shapes: torch's own check of a custom operator."""
    torch.library.opcheck(call.operator, call.args, call.keywords)


def described(results: tuple[Tensor, ...] | None) -> list[tuple]:
    return [(tuple(x.shape), x.stride(), x.dtype) for x in results or ()]


def test_fake_results_are_shaped_and_laid_out_as_real_ones(call: Call) -> None:
    """Compiled code is generated for the fake result's strides, so other strides in the real one are wrong memory reads."""
    mode = FakeTensorMode()
    fake = [mode.from_tensor(x) if isinstance(x, Tensor) else x for x in call.args]
    keywords = {k: mode.from_tensor(x) if isinstance(x, Tensor) else x for k, x in call.keywords.items()}
    with mode:
        expected = described(call.operator(*fake, **keywords))
    assert described(call.operator(*call.args, **call.keywords)) == expected


def test_the_meta_device_needs_no_memory() -> None:
    """A score matrix of these would be 2 PiB, and the inputs 1 TiB."""
    query = torch.empty(1, 64, 2**22, 128, device="meta", dtype=torch.float16)
    out, lse = fused_attention(query, query, query, is_causal=True, return_lse=True)
    assert out.device.type == lse.device.type == "meta"
    assert out.shape == query.shape
    assert lse.shape == query.shape[:3]


@pytest.mark.usefixtures("_one_graph")
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_breaks(backend: str, device: torch.device) -> None:
    """With pointwise operations on both sides, which inductor fuses around the operators' strides."""

    def layer(query: Tensor, key: Tensor, value: Tensor, slopes: Tensor) -> Tensor:
        out, lse = fused_attention(query * 2, key, value + 1, is_causal=True, alibi_slopes=slopes, return_lse=True)
        return (out * lse.exp()[..., None]).transpose(1, 2).flatten(2) + 1

    query, key, value = forward_call(device, layout="hlbd").args
    slopes = torch.tensor([0.5, 0.25, 0.125, 0.1], device=device)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(query, key, value, slopes), layer(query, key, value, slopes))


@pytest.mark.usefixtures("_one_graph")
def test_one_graph_serves_all_lengths(device: torch.device) -> None:
    def layer(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return fused_attention(query, key, value, is_causal=True, window_left=key.shape[2] - 2) * 2

    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for lengths in ((5, 9), (6, 30), (40, 40), (129, 70)):
        inputs = forward_call(device, lengths=lengths).args
        torch.testing.assert_close(compiled(*inputs), layer(*inputs))


@pytest.mark.usefixtures("_one_graph")
def test_a_decoding_step_compiles(device: torch.device) -> None:
    """Write the new token, attend to the cache, merge: the mutated caches are graph inputs."""

    def step(query: Tensor, key: Tensor, value: Tensor, slots: Tensor, cache: tuple, offsets: Tensor) -> Tensor:
        OPERATORS.reshape_and_cache_(key, value, cache[0], cache[1], slots)
        out, lse = fused_attention_paged(query, *cache, offsets, 1, is_causal=True, return_lse=True)
        return OPERATORS.merge_states(out, lse, out * 0.5, lse)[0]

    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
    # In the first call no two sizes are equal by chance, which would tie them to each other in the graph.
    for lengths in ((50, 5, 6, 1, 2, 3), (3, 20, 11)):
        key, value = (randn(sum(lengths), 2, 16, dtype=torch.float32, device=device) for _ in range(2))
        cache = paged_cache(key, value, lengths, 8)
        last = cache.seqused_k - 1
        rows = torch.arange(len(lengths), device=device)
        slots = cache.block_table[rows, last // 8].long() * 8 + last % 8
        query, key, value = (randn(len(lengths), h, 16, dtype=torch.float32, device=device) for h in (4, 2, 2))
        offsets, twin = ends([1] * len(lengths), device), type(cache)(*(x.clone() for x in cache))
        actual = compiled(query, key, value, slots, tuple(cache), offsets)
        torch.testing.assert_close(actual, step(query, key, value, slots, tuple(twin), offsets))
        torch.testing.assert_close(cache.key_cache, twin.key_cache, rtol=0.0, atol=0.0, equal_nan=True)
        torch.testing.assert_close(cache.value_cache, twin.value_cache, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.usefixtures("_one_graph")
def test_each_layer_of_a_cache_is_written_where_it_is(device: torch.device) -> None:
    """By inductor, too, which loses where a written view begins if that depends on a size: here on the number of blocks."""
    if device.type == "mps":
        pytest.skip("inductor's MPS backend writes Metal shaders, which needs a Mac")

    def step(tokens: Tensor, key_cache: Tensor, value_cache: Tensor, slots: Tensor, mapping: Tensor) -> None:
        for layer in range(3):
            OPERATORS.reshape_and_cache_(tokens + layer, tokens - layer, key_cache[layer], value_cache[layer], slots)
        OPERATORS.copy_blocks_(key_cache[1], value_cache[1], mapping)

    compiled = torch.compile(step, fullgraph=True, dynamic=True)
    for num_blocks, num_tokens in ((9, 5), (31, 7)):
        tokens = randn(num_tokens, 2, 16, dtype=torch.float32, device=device)
        caches, twins = ([torch.zeros(3, num_blocks, 4, 2, 16, device=device) for _ in "kv"] for _ in range(2))
        where = torch.randperm(num_blocks * 4, device=device)[:num_tokens], torch.tensor([[0, 3]], device=device)
        compiled(tokens, *caches, *where)
        step(tokens, *twins, *where)
        assert all(map(torch.equal, caches, twins))


@pytest.mark.usefixtures("_one_graph")
def test_packed_attention_compiles(device: torch.device) -> None:
    def layer(*args: Tensor | int) -> Tensor:
        return fused_attention_varlen(*args, is_causal=True) + 1

    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    args = varlen_call(device).args
    torch.testing.assert_close(compiled(*args), layer(*args))


class Attention(torch.nn.Module):
    def forward(self, query: Tensor, key: Tensor, value: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
        return fused_attention(query, key, value, is_causal=True, alibi_slopes=slopes, softcap=9.0, return_lse=True)


def test_exports_with_dynamic_lengths(device: torch.device) -> None:
    slopes = torch.tensor([0.5, 0.25, 0.125, 0.1], device=device)
    queries, keys = torch.export.Dim("queries", min=2, max=4096), torch.export.Dim("keys", min=2, max=4096)
    shapes = {"query": {2: queries}, "key": {2: keys}, "value": {2: keys}, "slopes": None}
    program = torch.export.export(Attention(), (*forward_call(device).args, slopes), dynamic_shapes=shapes)
    inputs = (*forward_call(device, lengths=(50, 77)).args, slopes)
    for actual, expected in zip(program.module()(*inputs), Attention()(*inputs), strict=True):
        torch.testing.assert_close(actual, expected)


# ----- AOTInductor


class Everything(torch.nn.Module):
    """Both modules, and a step that writes a cache and reads it: each kind of argument that the operators have."""

    def __init__(self) -> None:
        super().__init__()
        options = {"alibi_slopes": alibi_slopes(4), "sinks": torch.randn(4), "softcap": 5.0, "window_left": 9}
        self.attention = FusedAttention(is_causal=True, causal_alignment="top_left", scale=0.3, **options)
        self.multihead = FusedMultiheadAttention(64, 4, num_kv_heads=2, batch_first=True, window_right=2)

    def forward(
        self, tokens: Tensor, key: Tensor, mask: Tensor, hidden: Tensor, cache: list[Tensor], table: Tensor
    ) -> tuple[Tensor, ...]:
        batch, length, _ = tokens.shape
        query, value = tokens.unflatten(2, (4, 16)).transpose(1, 2), key * 2
        out, lse = self.attention(query, key, value, mask, return_lse=True)
        attended, _ = self.multihead(tokens, key_padding_mask=hidden)
        new_keys, new_values, queries = (x.transpose(1, 2).flatten(0, 1) for x in (key, value, query))
        OPERATORS.reshape_and_cache_(new_keys, new_values, *cache, torch.arange(batch * length))
        offsets = torch.arange(batch + 1, dtype=torch.int32) * length
        packed = fused_attention_varlen(
            queries, new_keys, new_values, offsets, offsets, length, length, window_left=length - 2
        )
        paged = fused_attention_paged(queries, *cache, table, offsets.diff(), offsets, length, is_causal=True)
        return out, lse, attended, packed, paged


def everything_call(length: int) -> tuple[Tensor | list[Tensor], ...]:
    tokens, key = (randn(2, *shape, dtype=torch.float32, device="cpu") for shape in ((length, 64), (2, length, 16)))
    mask, hidden = torch.rand(length, length) > 0.2, torch.arange(length) >= torch.tensor([[length], [length - 2]])
    cache = [torch.zeros(4, length, 2, 16) for _ in range(2)]  # so that a sequence is a block
    return tokens, key, mask, hidden, cache, torch.tensor([[0], [1]], dtype=torch.int32)


def test_aot_inductor_runs_the_modules_in_another_process(device: torch.device, tmp_path: Path) -> None:
    """At other lengths than that of the export: with results, and a cache written, as by the modules themselves."""
    if device.type != "cpu":
        pytest.skip("AOTInductor's MPS backend compiles Metal shaders, which needs a Mac")
    model = Everything().eval()
    length = torch.export.Dim("length", min=4, max=100)
    shapes = ({1: length}, {2: length}, {0: length, 1: length}, {1: length}, [{1: length}, {1: length}], None)
    program = torch.export.export(model, everything_call(9), dynamic_shapes=shapes)
    package = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "everything.pt2"))
    calls = [everything_call(n) for n in (5, 64)]
    torch.save(calls, tmp_path / "calls.pt")
    code = """
import sys, torch, torch_fused_attn
package, calls, results = sys.argv[1:]
model = torch._inductor.aoti_load_package(package)
torch.save([(model(*call), call[4]) for call in torch.load(calls)], results)
"""
    subprocess.run([sys.executable, "-c", code, package, tmp_path / "calls.pt", tmp_path / "results.pt"], check=True)
    for call, (actual, cache) in zip(calls, torch.load(tmp_path / "results.pt"), strict=True):
        torch.testing.assert_close(tuple(actual), model(*call))
        assert all(map(torch.equal, cache, call[4]))
        assert all(x[:2].all() for x in cache)
