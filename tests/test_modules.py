"""FusedAttention: fused_attention with its options fixed, and what being a module adds to that."""

import copy

import pytest
import torch
from reference import assert_matches, attention

from torch_fused_attn import FusedAttention, alibi_slopes, fused_attention

NUM_HEADS, NUM_KV_HEADS = 4, 2


def inputs(device, dtype=torch.float32, len_q=7, len_kv=9):
    shapes = [(2, NUM_HEADS, len_q, 16), (2, NUM_KV_HEADS, len_kv, 16), (2, NUM_KV_HEADS, len_kv, 16)]
    return [torch.randn(shape).to(device, dtype) for shape in shapes]


def every_option(device):
    return {
        "is_causal": True,
        "scale": 0.3,
        "alibi_slopes": alibi_slopes(NUM_HEADS, device=device),
        "window_left": 4,
        "window_right": 3,
        "softcap": 5.0,
        "sinks": torch.linspace(-1, 1, NUM_HEADS, device=device),
        "causal_alignment": "top_left",
    }


@pytest.mark.parametrize(
    "names", [[name] for name in every_option("cpu")] + [[], list(every_option("cpu"))], ids="+".join
)
def test_options_reach_the_operator(device, names):
    tensors = inputs(device)
    options = {name: value for name, value in every_option(device).items() if name in names}
    out, lse = FusedAttention(**options)(*tensors, return_lse=True)
    assert_matches(out, lse, attention, *tensors, **options)


def test_mask_composes_with_the_options(device):
    tensors = inputs(device)
    mask = torch.rand(7, 9, device=device) > 0.3
    out = FusedAttention(is_causal=True, softcap=2.0)(*tensors, attn_mask=mask)
    assert_matches(out, None, attention, *tensors, attn_mask=mask, is_causal=True, softcap=2.0)


def test_state_dict_holds_the_sinks_and_nothing_else(device):
    module = FusedAttention(**every_option(device))
    assert list(module.state_dict()) == ["sinks"]
    assert list(FusedAttention(is_causal=True).state_dict()) == []

    options = every_option(device) | {"sinks": torch.zeros(NUM_HEADS, device=device)}
    other = FusedAttention(**options)
    other.load_state_dict(module.state_dict())
    tensors = inputs(device)
    assert torch.equal(other(*tensors), module(*tensors))


def test_tensors_are_copied(device):
    options = every_option(device)
    module = FusedAttention(**options)
    tensors = inputs(device)
    before = module(*tensors)
    options["alibi_slopes"].fill_(100.0)
    options["sinks"].fill_(100.0)
    assert torch.equal(module(*tensors), before)
    assert torch.equal(copy.deepcopy(module)(*tensors), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_slopes_stay_fp32_when_the_module_is_cast(device, dtype):
    slopes = alibi_slopes(12, device=device)
    module = torch.nn.Sequential(FusedAttention(alibi_slopes=slopes, sinks=torch.ones(12, device=device))).to(dtype)
    assert torch.equal(module[0].alibi_slopes, slopes)
    assert module[0].sinks.dtype == dtype
    query, key, value = (torch.randn(1, 12, 5, 8).to(device, dtype) for _ in range(3))
    out = module[0](query, key, value)
    assert_matches(out, None, attention, query, key, value, alibi_slopes=slopes, sinks=torch.ones(12))


def test_slopes_move_with_the_module(device):
    module = FusedAttention(alibi_slopes=alibi_slopes(NUM_HEADS)).to(device)
    assert module.alibi_slopes.device.type == device.type
    assert module.to("meta").alibi_slopes.is_meta


def test_gradients_are_refused_but_sinks_never_ask_for_one(device):
    module = FusedAttention(sinks=torch.zeros(NUM_HEADS, device=device))
    query, key, value = inputs(device)
    with torch.enable_grad():
        module(query, key, value)
        with pytest.raises(RuntimeError, match=r"query requires grad.*torch\.no_grad\(\)"):
            module(query.requires_grad_(), key, value)


def test_compile(device):
    torch.compiler.reset()
    module = FusedAttention(**every_option(device))
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for len_kv in (9, 10, 11):  # the second length makes the graph dynamic
        tensors = inputs(device, len_kv=len_kv)
        torch.testing.assert_close(compiled(*tensors), module(*tensors))


@pytest.mark.parametrize("strict", [False, True])
def test_export(device, strict):
    module = FusedAttention(**every_option(device))
    length = torch.export.Dim("length", min=2, max=64)
    shapes = {"query": None, "key": {2: length}, "value": {2: length}}
    exported = torch.export.export(module, tuple(inputs(device)), dynamic_shapes=shapes, strict=strict)
    operators = {node.target for node in exported.graph.nodes if node.op == "call_function"}
    assert torch.ops.fused_attn.forward.default in operators
    tensors = inputs(device, len_kv=21)
    torch.testing.assert_close(exported.module()(*tensors), module(*tensors))


def test_repr_names_what_is_not_default(device):
    assert repr(FusedAttention()) == "FusedAttention()"
    assert repr(FusedAttention(**every_option(device))) == (
        "FusedAttention(is_causal=True, causal_alignment='top_left', scale=0.3, window_left=4, window_right=3, "
        "softcap=5.0, alibi_slopes=[4], sinks=[4])"
    )


@pytest.mark.parametrize("name", ["alibi_slopes", "sinks"])
def test_options_that_are_no_tensors(name):
    with pytest.raises(
        TypeError, match=rf"FusedAttention: {name} must be a Tensor or None, but was a list: .*torch\.tensor"
    ):
        FusedAttention(**{name: [0.5, 0.25]})


def test_wrong_option_is_the_operators_error(device):
    with pytest.raises(RuntimeError, match="softcap"):
        fused_attention(*inputs(device), softcap=-1.0)
    with pytest.raises(RuntimeError, match="softcap"):
        FusedAttention(softcap=-1.0)(*inputs(device))
