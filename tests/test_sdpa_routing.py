"""The routing of F.scaled_dot_product_attention: who is reached, how it is undone, and what compilers make of it."""

import math
import threading
import types
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import randn
from compiling import compiled_once
from sdpa_calls import STOCK, fused, qkv, undone  # noqa: F401  (the fixture is for every test)
from torch import Tensor, nn

from torch_fused_attn import sdpa

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


def test_disable_undoes_the_latest_enable() -> None:
    sdpa.enable("cpu")
    sdpa.enable("mps")
    sdpa.disable()
    F.scaled_dot_product_attention(*qkv(torch.device("cpu")))
    sdpa.disable()
    assert sdpa.counts() == (1, {})


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


def test_a_scale_computed_from_a_size_compiles(device: torch.device) -> None:
    """``dynamic=True`` makes a symbol of the head_dim, too."""

    def layer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, scale=2 / math.sqrt(q.shape[-1]))

    with compiled_once(layer) as compiled, sdpa.enabled(device.type):
        for lengths in ((7, 11), (20, 9)):
            inputs = qkv(device, lengths=lengths)
            torch.testing.assert_close(compiled(*inputs), layer(*inputs))


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
    with sdpa.enabled("cpu" if device.type == "mps" else "mps"):
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
