"""The operators under ``torch.library.opcheck``, fake tensors, ``torch.compile`` and ``torch.export``."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch
from cases import make_keywords, make_mask, randn
from packed_cases import ends, paged_cache
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from torch_fused_attn import fused_attention, fused_attention_paged, fused_attention_varlen

# torch's own, neither about these operators.
pytestmark = [
    pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
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
