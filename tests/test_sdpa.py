"""F.scaled_dot_product_attention through the operators: what goes where, that nothing else changes, and that it is undone."""

import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from cases import DTYPES, LAYOUTS, randn
from compiling import compiled_once
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import assert_matches, attention
from torch import Tensor, nn

from torch_fused_attn import sdpa

STOCK = F.scaled_dot_product_attention


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    sdpa.reset_counts()
    yield
    assert F.scaled_dot_product_attention is STOCK
    assert torch.backends.mha.get_fastpath_enabled()


def qkv(
    device: torch.device,
    heads: tuple[int, int] = (4, 4),
    lengths: tuple[int, int] = (7, 11),
    dtype: Any = torch.float32,
) -> list[Tensor]:
    shapes = ((heads[0], lengths[0]), (heads[1], lengths[1]), (heads[1], lengths[1]))
    return [randn(2, h, n, 16, dtype=dtype, device=device) for h, n in shapes]


def fused(device: torch.device, *args: Any, **keywords: Any) -> Tensor:
    """Call the routed function, and assert that the operators took the call."""
    before = sdpa.counts()
    with sdpa.enabled(device.type):
        out = F.scaled_dot_product_attention(*args, **keywords)
    assert sdpa.counts() == (before.fused + 1, before.stock)
    return out


# ----- what is fused


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lengths", [(7, 11), (11, 7), (1, 9)])
def test_causal_is_aligned_at_the_top_left(dtype: torch.dtype, lengths: tuple[int, int], device: torch.device) -> None:
    q, k, v = qkv(device, lengths=lengths, dtype=dtype)
    out = fused(device, q, k, v, is_causal=True, scale=0.4)
    assert_matches(out, None, attention, q, k, v, is_causal=True, scale=0.4, causal_alignment="top_left")


@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.float16])
@pytest.mark.parametrize("shape", [(7, 11), (11,), (1, 11), (2, 1, 1, 11), (2, 4, 7, 11), (4, 1, 1)])
def test_masks(kind: torch.dtype, shape: tuple[int, ...], device: torch.device) -> None:
    q, k, v = qkv(device, dtype=torch.float16)
    mask = (torch.rand(shape) > 0.3 if kind == torch.bool else torch.randn(shape)).to(device, kind)
    assert_matches(fused(device, q, k, v, mask), None, attention, q, k, v, attn_mask=mask)


def test_grouped_query_attention(device: torch.device) -> None:
    q, k, v = qkv(device, heads=(6, 2))
    assert_matches(fused(device, q, k, v, enable_gqa=True), None, attention, q, k, v)


def test_without_a_batch(device: torch.device) -> None:
    q, k, v = (x[0] for x in qkv(device))
    mask = torch.rand(4, 7, 11).to(device) > 0.4
    out = fused(device, q, k, v, mask)
    assert_matches(out[None], None, attention, q[None], k[None], v[None], attn_mask=mask)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, device: torch.device) -> None:
    q, k, v = LAYOUTS[layout]([(2, 4, 5, 16)] * 3, dtype=torch.float32, device=device)
    assert_matches(fused(device, q, k, v), None, attention, q, k, v)


def test_strided_heads_are_copied(device: torch.device) -> None:
    q, k, v = (x.mT.contiguous().mT for x in qkv(device))
    assert q.stride(-1) != 1
    assert_matches(fused(device, q, k, v), None, attention, q, k, v)


def test_hidden_rows_are_0_as_in_stock(device: torch.device) -> None:
    q, k, v = qkv(device)
    mask = torch.zeros(7, 11, dtype=torch.bool, device=device)
    for hidden in (mask, mask.float() - torch.inf):
        assert torch.equal(fused(device, q, k, v, hidden), torch.zeros_like(q))
        assert torch.equal(STOCK(q, k, v, hidden), torch.zeros_like(q))


@pytest.mark.parametrize("lengths", [(0, 5), (5, 0)])
def test_nothing_to_attend_to_gives_what_stock_gives(lengths: tuple[int, int], device: torch.device) -> None:
    q, k, v = qkv(device, lengths=lengths)
    torch.testing.assert_close(fused(device, q, k, v), STOCK(q.cpu(), k.cpu(), v.cpu()).to(device))


def test_autocast_casts_as_stock_does(device: torch.device) -> None:
    q, k, v = qkv(device)
    with torch.autocast(device.type, torch.bfloat16):
        out = fused(device, q, k.half(), v)
    assert out.dtype == torch.bfloat16
    inputs = [x.bfloat16() for x in (q, k.half(), v)]
    assert_matches(out, None, attention, *inputs)


def test_inputs_that_require_grad_are_fused_without_grad_mode(device: torch.device) -> None:
    q, k, v = (x.requires_grad_() for x in qkv(device))
    assert_matches(fused(device, q, k, v), None, attention, q, k, v)


@settings(max_examples=60)
@given(data=st.data())
def test_routed_or_not_the_result_is_stocks(data: st.DataObject, device: torch.device) -> None:
    """Any mixture of shapes and options: stock's result on the same device, or its error."""
    size = st.integers(1, 5)
    heads, kv_heads = data.draw(size), data.draw(size)
    len_q, len_k, dim, value_dim = (data.draw(size) for _ in range(4))
    has_batch = data.draw(st.booleans())
    shapes = [(heads, len_q, dim), (kv_heads, len_k, dim), (kv_heads, len_k, value_dim)]
    q, k, v = (randn(*((2, *s) if has_batch else s), dtype=torch.float32, device=device) for s in shapes)
    mask_shape = data.draw(st.none() | st.tuples(st.sampled_from([1, len_q, 7]), st.sampled_from([1, len_k])))
    mask = None if mask_shape is None else torch.randn(mask_shape).to(device)
    options = {
        "attn_mask": mask,
        "is_causal": data.draw(st.booleans()),
        "enable_gqa": data.draw(st.booleans()),
        "scale": data.draw(st.sampled_from([None, 0.5])),
    }
    try:
        expected = STOCK(q, k, v, **options)
    except RuntimeError:
        with sdpa.enabled(device.type), pytest.raises(RuntimeError):
            F.scaled_dot_product_attention(q, k, v, **options)
    else:
        with sdpa.enabled(device.type):
            out = F.scaled_dot_product_attention(q, k, v, **options)
        torch.testing.assert_close(out, expected)


# ----- what is not fused, and why


class Subclass(Tensor):
    pass


def with_grad(x: Tensor) -> Tensor:
    return x.clone().requires_grad_()


# Each changes (q, k, v) and the keywords of a call that would be fused.
NOT_FUSED: dict[str, list[Any]] = {
    "tensor type": [lambda q, k, v: ((q.as_subclass(Subclass), k, v), {})],
    "gradient": [
        lambda q, k, v: ((q, with_grad(k), v), {}),
        lambda q, k, v: ((q, k, v), {"attn_mask": with_grad(torch.zeros(7, 11, device=q.device))}),
    ],
    "dropout": [lambda q, k, v: ((q, k, v), {"dropout_p": 0.5})],
    "dtype": [lambda q, k, v: ((q, k.half(), v), {}), lambda q, k, v: ((q.int(), k.int(), v.int()), {})],
    "shape": [
        lambda q, k, v: ((q[0], k, v), {}),
        lambda q, k, v: ((q[None], k[None], v[None]), {}),
        lambda q, k, v: ((q[:1], k, v), {}),
        lambda q, k, v: ((q, k, v[:, :, :5]), {}),
    ],
    "heads": [
        lambda q, k, v: ((q, k[:, :2], v[:, :2]), {}),
        lambda q, k, v: ((q, k[:, :3], v[:, :3]), {"enable_gqa": True}),
        lambda q, k, v: ((q[:, :0], k[:, :0], v[:, :0]), {}),
    ],
    "head_dim": [
        lambda q, k, v: ((q, k[..., :8], v), {}),
        lambda q, k, v: ((q.repeat(1, 1, 1, 17), k.repeat(1, 1, 1, 17), v), {}),
        lambda q, k, v: ((q, k, v.repeat(1, 1, 1, 17)), {}),
        lambda q, k, v: ((q, k, v[..., :0]), {}),
    ],
    "mask": [
        lambda q, k, v: ((q, k, v), {"attn_mask": torch.zeros(7, 11, device=q.device), "is_causal": True}),
        lambda q, k, v: ((q, k, v), {"attn_mask": torch.zeros(6, 11, device=q.device)}),
        lambda q, k, v: ((q, k, v), {"attn_mask": torch.zeros(1, 2, 4, 7, 11, device=q.device)}),
        lambda q, k, v: ((q, k, v), {"attn_mask": torch.zeros(7, 11, device=q.device, dtype=torch.float16)}),
    ],
    "scale": [lambda q, k, v: ((q, k, v), {"scale": float("nan")})],
}


@pytest.mark.parametrize(
    ("reason", "change"), [(reason, change) for reason, all_ in NOT_FUSED.items() for change in all_]
)
def test_what_goes_to_stock(reason: str, change: Any, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the very arguments, and what it returns is returned."""
    received = []

    def stock(*args: Any, **keywords: Any) -> str:
        received.append((args, keywords))
        return "stock's result"

    tensors, options = change(*qkv(device))
    monkeypatch.setattr(F, "scaled_dot_product_attention", stock)
    with sdpa.enabled(device.type), torch.enable_grad():
        assert F.scaled_dot_product_attention(*tensors, **options) == "stock's result"
    assert sdpa.counts() == (0, {reason: 1})
    monkeypatch.undo()
    [(args, keywords)] = received
    filled = {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False} | options
    assert all(given is sent for given, sent in zip(tensors, args[:3], strict=True))
    assert [args[3], args[4], args[5]] == [filled["attn_mask"], filled["dropout_p"], filled["is_causal"]]
    assert keywords == {"scale": filled["scale"], "enable_gqa": filled["enable_gqa"]}


def test_other_devices_go_to_stock(device: torch.device) -> None:
    q, k, v = qkv(device)
    other = "mps" if device.type == "cpu" else "cpu"
    with sdpa.enabled(other):
        F.scaled_dot_product_attention(q, k, v)
        F.scaled_dot_product_attention(*(torch.empty_like(x, device="meta") for x in (q, k, v)))
    with sdpa.enabled(device.type), pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(q, torch.empty_like(k, device="meta"), v)
    assert sdpa.counts() == (0, {"device": 3})


def test_a_device_that_this_build_has_no_kernels_for_goes_to_stock(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch._C, "_dispatch_has_kernel_for_dispatch_key", lambda operator, key: False)
    with sdpa.enabled(device.type):
        F.scaled_dot_product_attention(*qkv(device))
    assert sdpa.counts() == (0, {"device": 1})


def test_derivatives_go_to_stock(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward mode has no requires_grad, and torch.func hides it; a stub stands for stock, which not every device derives."""
    q, k, v = qkv(device)
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, *rest, **options: q * 2)
    with sdpa.enabled(device.type):
        with forward_ad.dual_level():
            out = F.scaled_dot_product_attention(forward_ad.make_dual(q, torch.ones_like(q)), k, v)
            assert forward_ad.unpack_dual(out).tangent is not None
        torch.func.jvp(lambda x: F.scaled_dot_product_attention(x, k, v), (q,), (q,))
        torch.func.vmap(lambda q, k, v: F.scaled_dot_product_attention(q, k, v))(q, k, v)
        torch.func.grad(lambda x: F.scaled_dot_product_attention(x, k, v).sum())(q)
    monkeypatch.undo()
    assert sdpa.counts() == (0, {"gradient": 1, "transform": 3})


def test_training_goes_to_stock(device: torch.device) -> None:
    q, k, v = (with_grad(x) for x in qkv(device))
    with torch.enable_grad(), sdpa.enabled(device.type):
        F.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
    assert all(x.grad is not None for x in (q, k, v))


def test_every_reason_is_tested_and_none_other_is_given() -> None:
    assert {*NOT_FUSED, "device", "transform"} == {*sdpa.REASONS}


# ----- who is reached


def test_modules_are_reached(device: torch.device) -> None:
    """nn.MultiheadAttention, which finds the function in its file, and others' that find it in torch.nn.functional."""
    library = types.ModuleType("library")
    exec(
        "import torch\nfrom torch.nn import functional as F\n"
        "def first(*x): return torch.nn.functional.scaled_dot_product_attention(*x)\n"
        "def second(*x): return F.scaled_dot_product_attention(*x)\n",
        vars(library),
    )
    q, k, v = qkv(device)
    mha = nn.MultiheadAttention(16, 2, batch_first=True, device=device).eval()
    tokens = randn(2, 5, 16, dtype=torch.float32, device=device)
    expected = mha(tokens, tokens, tokens, need_weights=False)[0]
    with sdpa.enabled(device.type):
        library.first(q, k, v)
        library.second(q, k, v)
        out = mha(tokens, tokens, tokens, need_weights=False)[0]
    assert sdpa.counts() == (3, {})
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_transformer_is_reached(is_causal: bool, device: torch.device) -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, device=device)
    encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
    tokens = randn(2, 5, 16, dtype=torch.float32, device=device)
    mask = nn.Transformer.generate_square_subsequent_mask(5, device=device) if is_causal else None
    expected = encoder(tokens, mask=mask, is_causal=is_causal)
    with sdpa.enabled(device.type):
        out = encoder(tokens, mask=mask, is_causal=is_causal)
    assert sdpa.counts() == (3, {})
    torch.testing.assert_close(out, expected)


def test_transformers_is_reached(device: torch.device) -> None:
    """A tiny Llama with grouped-query heads and padding on the left: prefill and decoding."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    config = transformers.LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval().to(device)
    tokens = torch.tensor([[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]], device=device)
    how = {"attention_mask": (tokens != 0).long(), "do_sample": False, "max_new_tokens": 4, "min_new_tokens": 4}
    expected = model.generate(tokens, **how, pad_token_id=0)
    with sdpa.enabled(device.type):
        generated = model.generate(tokens, **how, pad_token_id=0)
    assert sdpa.counts() == (8, {})
    assert torch.equal(generated, expected)


# ----- enable, disable


def test_enable_nests() -> None:
    sdpa.enable("cpu")
    ours = F.scaled_dot_product_attention
    sdpa.enable()
    with sdpa.enabled("cpu"):
        sdpa.disable()
        assert F.scaled_dot_product_attention is ours is not STOCK
        assert not torch.backends.mha.get_fastpath_enabled()
    sdpa.disable()
    assert F.scaled_dot_product_attention is STOCK
    with pytest.raises(RuntimeError, match=r"sdpa\.disable: there is no enable\(\) to undo"):
        sdpa.disable()
    with sdpa.enabled("cpu"), pytest.raises(RuntimeError, match="there is no enable"):
        sdpa.disable()


def test_an_error_inside_undoes_it_too() -> None:
    with pytest.raises(KeyError), sdpa.enabled("cpu"):
        raise KeyError


def test_devices_of_nested_requests_add_up(device: torch.device) -> None:
    x = qkv(torch.device("cpu"))
    with sdpa.enabled("mps"):
        F.scaled_dot_product_attention(*x)
        with sdpa.enabled(("mps", "cpu")):
            F.scaled_dot_product_attention(*x)
        F.scaled_dot_product_attention(*x)
    assert sdpa.counts() == (1, {"device": 2})


@pytest.mark.parametrize("devices", ["cuda", (), ("cpu", "meta")])
def test_unknown_devices_are_refused(devices: Any) -> None:
    with pytest.raises(ValueError, match=r'sdpa\.enable: devices must be "mps", "cpu" or both, but was'):
        sdpa.enable(devices)
    with pytest.raises(ValueError, match=r"sdpa\.enabled: devices"), sdpa.enabled(devices):
        pass


def test_the_fast_path_is_left_as_somebody_set_it() -> None:
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa.enabled("cpu"):
            pass
        assert not torch.backends.mha.get_fastpath_enabled()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_somebody_elses_replacement_stays(device: torch.device) -> None:
    """It wraps ours, which does nothing any more; when it is taken back, so is ours, at the next occasion."""
    q, k, v = qkv(device)
    calls = []
    sdpa.enable(device.type)
    ours = F.scaled_dot_product_attention

    def theirs(*args: Any, **keywords: Any) -> Tensor:
        calls.append(args)
        return ours(*args, **keywords)

    F.scaled_dot_product_attention = theirs
    with pytest.warns(UserWarning, match="was replaced while torch_fused_attn.sdpa was enabled, and is left as it is"):
        sdpa.disable()
    assert F.scaled_dot_product_attention is theirs
    torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v), STOCK(q, k, v))
    assert sdpa.counts() == (0, {})
    with sdpa.enabled(device.type):
        F.scaled_dot_product_attention(q, k, v)
        F.scaled_dot_product_attention(q, k, v, dropout_p=0.1)
    assert F.scaled_dot_product_attention is theirs
    assert sdpa.counts() == (1, {"dropout": 1})
    assert len(calls) == 2
    F.scaled_dot_product_attention = ours
    with sdpa.enabled(device.type):
        F.scaled_dot_product_attention(q, k, v)
    assert F.scaled_dot_product_attention is STOCK


def test_threads(device: torch.device) -> None:
    """Requests end in any order, and no call is lost from the counts."""
    q, k, v = qkv(torch.device("cpu"), lengths=(2, 2))
    start = threading.Barrier(8)
    failures = []

    def work(number: int) -> None:
        start.wait()
        try:
            with torch.no_grad():
                for _ in range(50):
                    with sdpa.enabled("cpu"):
                        F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 * (number % 2))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sdpa.counts() == (200, {"dropout": 200})


def test_counts_are_a_snapshot(device: torch.device) -> None:
    q, k, v = qkv(device)
    fused(device, q, k, v)
    before = sdpa.counts()
    fused(device, q, k, v)
    assert before == (1, {})
    sdpa.reset_counts()
    assert sdpa.counts() == (0, {})


# ----- torch.compile and torch.export


def targets(graph: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_one_graph_serves_all_lengths(backend: str, device: torch.device) -> None:
    if device.type == "mps" and backend == "inductor":
        pytest.skip("inductor's MPS backend writes Metal shaders, which needs a Mac")

    def layer(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        out = F.scaled_dot_product_attention(q * 2, k, v, mask, enable_gqa=True)
        return out + F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    with compiled_once(layer, backend) as compiled, sdpa.enabled(device.type):
        for lengths in ((7, 11), (20, 9), (64, 64), (5, 130)):
            q, k, v = qkv(device, (4, 2), lengths)
            mask = torch.rand(2, 1, *lengths).to(device) > 0.2
            torch.testing.assert_close(compiled(q, k, v, mask), layer(q, k, v, mask))


def test_compiled_code_follows_enable_and_disable(device: torch.device) -> None:
    graphs = []

    def layer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    def backend(graph: torch.fx.GraphModule, inputs: list) -> Any:
        graphs.append(targets(graph))
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    q, k, v = qkv(device)
    compiled(q, k, v)
    with sdpa.enabled(device.type):
        compiled(q, k, v)
    compiled(q, k, v)
    torch._dynamo.reset()
    assert not any("fused_attn" in target for target in graphs[0])
    assert any("fused_attn.forward" in target for target in graphs[-1])
    assert sdpa.counts() == (0, {})


@pytest.mark.parametrize("strict", [False, True])
def test_export_holds_the_operator(strict: bool, device: torch.device) -> None:
    class Attention(nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    queries, keys = torch.export.Dim("queries", min=2), torch.export.Dim("keys", min=2)
    shapes = {"q": {2: queries}, "k": {2: keys}, "v": {2: keys}}
    with sdpa.enabled(device.type):
        program = torch.export.export(Attention(), tuple(qkv(device)), dynamic_shapes=shapes, strict=strict)
    assert any("fused_attn.forward" in target for target in targets(program.graph_module))
    inputs = qkv(device, lengths=(30, 50))
    torch.testing.assert_close(program.module()(*inputs), Attention()(*inputs))
