"""Models with ``attn_implementation="fused_attn"`` under ``torch.compile``: one graph, for all lengths."""

from collections.abc import Iterator

import pytest
import torch
import transformers
from transformers_models import build, padded, token_ids

# torch's own, neither about these operators.
pytestmark = [
    pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
    pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`"),
]


@pytest.fixture(autouse=True)
def _one_graph() -> Iterator[None]:
    """Compile once, or raise if another length asks for more."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True), torch.compiler.config.patch(force_disable_caches=True):
        yield
    torch._dynamo.reset()


class CountingBackend:
    """Runs graphs as they are, and counts them and the attention operators in them."""

    def __init__(self) -> None:
        self.graphs: list[int] = []

    def __call__(self, graph: torch.fx.GraphModule, inputs: list) -> torch.fx.GraphModule:
        self.graphs.append(sum("fused_attn.forward" in str(node.target) for node in graph.graph.nodes))
        return graph


@pytest.mark.parametrize("name", ["Llama", "Mistral", "Gemma 2", "gpt-oss", "BLOOM"])
@pytest.mark.parametrize("is_padded", [False, True])
def test_one_graph_serves_all_lengths(name: str, is_padded: bool, device: torch.device) -> None:
    """Shorter and longer than the window, with a cache that the model makes, and whether or not there is padding."""
    model = build(name, experts="batched_mm").to(device)
    backend = CountingBackend()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=backend)
    for length in (7, 9, 4, 23):
        ids, mask = (x.to(device) for x in padded((length, length - 2), "left"))
        inputs = {"input_ids": ids, "attention_mask": mask} if is_padded else {"input_ids": ids}
        real = mask.bool() if is_padded else torch.ones_like(mask, dtype=torch.bool)
        actual, expected = (run(**inputs).logits[real] for run in (compiled, model))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert backend.graphs == [2]


@pytest.mark.parametrize(
    ("name", "layers", "num_attentions"), [("BERT", "num_hidden_layers", 1), ("T5", "num_layers", 3)]
)
def test_one_graph_serves_all_lengths_of_encoders_and_cross_attention(
    name: str, layers: str, num_attentions: int, device: torch.device
) -> None:
    model = build(name, **{layers: 1}).to(device)
    backend = CountingBackend()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=backend)
    for length in (7, 23):
        ids, mask = (x.to(device) for x in padded((length, length - 2), "right"))
        inputs = {"input_ids": ids, "attention_mask": mask}
        counted = mask.bool()
        if name == "T5":
            inputs["decoder_input_ids"] = token_ids(2, length + 4).to(device)
            counted = torch.ones_like(inputs["decoder_input_ids"], dtype=torch.bool)
        actual, expected = (run(**inputs)[0][counted] for run in (compiled, model))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert backend.graphs == [num_attentions]


def test_one_graph_decodes_with_a_static_cache(device: torch.device) -> None:
    """Not so with a window: transformers counts the tokens of its cache in a Python number, for which it compiles anew."""
    model = build("Llama").to(device)
    ids = token_ids(2, 12).to(device)
    cache = transformers.StaticCache(config=model.config, max_cache_len=16)
    model(ids[:, :6], cache=cache)
    backend = CountingBackend()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    logits = [compiled(ids[:, i : i + 1], cache=cache).logits for i in range(6, 12)]
    torch.testing.assert_close(torch.cat(logits, 1), model(ids).logits[:, 6:], rtol=1e-4, atol=1e-4)
    assert backend.graphs == [2]


def test_packed_sequences_compile(device: torch.device) -> None:
    model = build("Llama").to(device)
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    for lengths in ((5, 8, 3), (2, 9, 30)):
        offsets = torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)
        ids = token_ids(1, sum(lengths)).to(device)
        positions = torch.cat([torch.arange(length) for length in lengths])[None].to(device)
        packing = {
            "cu_seq_lens_q": offsets,
            "cu_seq_lens_k": offsets,
            "max_length_q": max(lengths),
            "max_length_k": max(lengths),
        }
        actual, expected = (run(ids, position_ids=positions, **packing).logits for run in (compiled, model))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
