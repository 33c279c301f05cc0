"""swap_attention: models of nn.MultiheadAttention compute the same afterwards, with the same parameters."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import DTYPES, randn
from compiling import compiled_once
from torch import Tensor, nn

from torch_fused_attn import FusedMultiheadAttention, swap_attention
from torch_fused_attn.swap import SwappedMultiheadAttention

WIDTH, HEADS = 32, 4


def assert_same(out: Tensor, model: nn.Module, *inputs: Tensor, visible: Tensor | None = None, **options: Any) -> None:
    """Compare with the original model in float64: the error is at most twice that of the original, plus a floor."""
    double = copy.deepcopy(model).cpu().double()
    moved = {
        name: (x.cpu() if x.dtype == torch.bool else x.cpu().double()) if isinstance(x, Tensor) else x
        for name, x in options.items()
    }
    exact = double(*(x.cpu().double() for x in inputs), **moved)
    eager = model(*inputs, **options)
    exact, eager, out = (x[0] if isinstance(x, tuple) else x for x in (exact, eager, out))
    error, eager_error = ((x.cpu().double() - exact).abs() for x in (out, eager))
    if visible is not None:
        error, eager_error = error[visible], eager_error[visible]
    assert out.shape == exact.shape
    assert out.dtype == eager.dtype
    assert eager_error.max().isfinite()
    assert error.max() <= 2 * eager_error.max() + 8 * torch.finfo(out.dtype).eps * exact.abs().max()


def swapped(model: nn.Module) -> nn.Module:
    """Return a copy of the model with its attention swapped, all of it."""
    twin = copy.deepcopy(model)
    assert swap_attention(twin, strict=True).kept == {}
    assert not any(isinstance(module, nn.MultiheadAttention) for module in twin.modules())
    return twin


def encoder_layer(device: torch.device, **options: Any) -> nn.TransformerEncoderLayer:
    options = {"batch_first": True, "device": device} | options
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 64, **options).eval()


def causal_mask(length: int, device: torch.device) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).triu(1).to(device)


def padding(device: torch.device, batch: int, length: int) -> Tensor:
    """Hide a different number of tokens at the end of each sequence."""
    return (torch.arange(length) >= length - torch.arange(batch)[:, None]).to(device)


# ----- outputs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_encoder_layer(dtype: torch.dtype, batch_first: bool, device: torch.device) -> None:
    model = encoder_layer(device, batch_first=batch_first, dtype=dtype)
    x = randn(3, 7, WIDTH, dtype=dtype, device=device)
    assert_same(swapped(model)(x), model, x)


ENCODERS: dict[str, Callable[[torch.device], nn.TransformerEncoder]] = {
    "nested": lambda device: nn.TransformerEncoder(encoder_layer(device), 2).eval(),
    "norm_first": lambda device: nn.TransformerEncoder(
        encoder_layer(device, norm_first=True, activation="gelu"), 2, enable_nested_tensor=False
    ).eval(),
    "sequence_first": lambda device: nn.TransformerEncoder(
        encoder_layer(device, batch_first=False, bias=False), 2, enable_nested_tensor=False
    ).eval(),
}


@pytest.mark.parametrize("masks", ["none", "padding", "causal", "causal+padding", "float"])
@pytest.mark.parametrize("name", ENCODERS)
def test_encoder(name: str, masks: str, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ENCODERS[name](device)
    is_batch_first = name != "sequence_first"
    x = randn(*((3, 7) if is_batch_first else (7, 3)), WIDTH, dtype=torch.float32, device=device)
    options: dict[str, Any] = {}
    hidden = padding(device, 3, 7)
    if "padding" in masks:
        options["src_key_padding_mask"] = hidden
    if "causal" in masks:
        options["mask"] = causal_mask(7, device)
        options["is_causal"] = True
    if masks == "float":
        options["mask"] = torch.randn(7, 7).to(device)
        monkeypatch.setattr(
            torch.backends.mha, "get_fastpath_enabled", lambda: False
        )  # it takes such masks for bool ones
    visible = ~(hidden if is_batch_first else hidden.T).cpu() if "padding" in masks else None
    out = swapped(model)(x, **options)
    if device.type == "mps":
        model.use_nested_tensor = False  # which torch has no kernels for there, so that the original raises
    assert_same(out, model, x, visible=visible, **options)


def test_the_layers_own_fused_path_is_not_taken(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """In eval mode without grad it would compute attention without ever calling the module."""
    calls = []
    forward = SwappedMultiheadAttention.forward
    monkeypatch.setattr(
        SwappedMultiheadAttention, "forward", lambda self, *x, **y: (calls.append(1), forward(self, *x, **y))[1]
    )
    model = swapped(nn.TransformerEncoder(encoder_layer(device), 3).eval())
    x = randn(2, 5, WIDTH, dtype=torch.float32, device=device)
    model(x, src_key_padding_mask=padding(device, 2, 5))
    assert len(calls) == 3


@pytest.mark.parametrize("hints", [False, True])
@pytest.mark.parametrize("lengths", [(5, 5), (5, 9), (9, 5)])
def test_decoder(lengths: tuple[int, int], hints: bool, device: torch.device) -> None:
    """Both of its attentions; with hints memory_is_causal, too, whose mask is aligned at the top left."""
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 64, batch_first=True, device=device)
    model = nn.TransformerDecoder(layer, 2).eval()
    target, memory = (randn(2, n, WIDTH, dtype=torch.float32, device=device) for n in lengths)
    options: dict[str, Any] = {"tgt_mask": causal_mask(lengths[0], device), "tgt_is_causal": True}
    if hints:
        memory_mask = torch.ones(lengths, dtype=torch.bool).triu(1).to(device)
        options |= {"memory_mask": memory_mask, "memory_is_causal": True}
    else:
        options["memory_key_padding_mask"] = padding(device, 2, lengths[1])
    assert_same(swapped(model)(target, memory, **options), model, target, memory, **options)


def test_transformer(device: torch.device) -> None:
    model = nn.Transformer(WIDTH, HEADS, 1, 2, 64, batch_first=True, device=device).eval()
    source, target = (randn(2, n, WIDTH, dtype=torch.float32, device=device) for n in (8, 5))
    mask = causal_mask(5, device)
    assert_same(swapped(model)(source, target, tgt_mask=mask), model, source, target, tgt_mask=mask)


class CrossAttention(nn.Module):
    """What a user's model may look like: sizes of its own, and weights that it does not ask for."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.MultiheadAttention(WIDTH, HEADS, kdim=8, vdim=24, **options) for _ in range(2)])

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        for block in self.blocks:
            query = query + block(query, key, value)[0]
        return query


def test_a_users_model(device: torch.device) -> None:
    model = CrossAttention(device=device).eval()
    query, key, value = (randn(n, 3, w, dtype=torch.float32, device=device) for n, w in ((5, WIDTH), (7, 8), (7, 24)))
    assert_same(swapped(model)(query, key, value), model, query, key, value)


def test_is_causal_needs_its_mask(device: torch.device) -> None:
    model = swapped(CrossAttention(device=device)).eval()
    query, key, value = (randn(5, 3, w, dtype=torch.float32, device=device) for w in (WIDTH, 8, 24))
    with pytest.raises(
        RuntimeError, match=r"attn_mask must be given with is_causal, .*generate_square_subsequent_mask"
    ):
        model.blocks[0](query, key, value, is_causal=True)
    mask = causal_mask(5, device)
    hinted = model.blocks[0](query, key, value, attn_mask=mask, is_causal=True)[0]
    torch.testing.assert_close(hinted, model.blocks[0](query, key, value, attn_mask=mask)[0])


def test_a_hidden_mask_is_not_materialised(device: torch.device) -> None:
    """The hint's mask is not read: its contents do not matter where the lengths are equal."""
    block = swapped(nn.Sequential(nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, device=device))).eval()[0]
    x = randn(2, 5, WIDTH, dtype=torch.float32, device=device)
    mask = torch.full((5, 5), math.nan, device=device)
    assert block(x, x, x, attn_mask=mask, is_causal=True)[0].isfinite().all()


# ----- parameters


def test_parameters_are_the_very_same(device: torch.device) -> None:
    model = nn.TransformerEncoder(encoder_layer(device), 2)
    model.layers[0].self_attn.in_proj_weight.requires_grad_(False)
    before = dict(model.named_parameters())
    state = {name: x.clone() for name, x in model.state_dict().items()}
    assert swap_attention(model).swapped == ("layers.0.self_attn", "layers.1.self_attn")
    after = dict(model.named_parameters())
    assert [*before] == [*after]
    assert all(before[name] is after[name] for name in before)
    assert [*state] == [*model.state_dict()]
    assert all(torch.equal(state[name], x) for name, x in model.state_dict().items())
    assert not after["layers.0.self_attn.in_proj_weight"].requires_grad
    assert after["layers.1.self_attn.in_proj_weight"].requires_grad


@pytest.mark.parametrize("make", [encoder_layer, lambda device: CrossAttention(bias=False, device=device)])
def test_old_checkpoints_load(make: Callable[[torch.device], nn.Module], device: torch.device) -> None:
    trained, model = make(device).eval(), make(device).eval()
    swap_attention(model)
    assert str(model.load_state_dict(trained.state_dict())) == "<All keys matched successfully>"
    if isinstance(model, CrossAttention):
        inputs = [randn(5, 3, w, dtype=torch.float32, device=device) for w in (WIDTH, 8, 24)]
    else:
        inputs = [randn(3, 5, WIDTH, dtype=torch.float32, device=device)]
    assert_same(model(*inputs), trained, *inputs)


def test_new_checkpoints_load_into_the_original(device: torch.device) -> None:
    trained, original = (nn.TransformerEncoder(encoder_layer(device), 2).eval() for _ in range(2))
    fused = swapped(trained)
    assert str(original.load_state_dict(fused.state_dict())) == "<All keys matched successfully>"
    x = randn(2, 5, WIDTH, dtype=torch.float32, device=device)
    assert_same(fused(x), original, x)


def test_weights_are_never_returned(device: torch.device) -> None:
    """Asking for them raises; not asking, whose default in nn.MultiheadAttention is to get them, gives None."""
    block = swapped(nn.Sequential(nn.MultiheadAttention(WIDTH, HEADS, device=device))).eval()[0]
    x = randn(5, 2, WIDTH, dtype=torch.float32, device=device)
    assert block(x, x, x)[1] is None
    assert block(x, x, x, None, False)[1] is None
    with pytest.raises(ValueError, match=r"need_weights must be False, .*: use nn\.MultiheadAttention"):
        block(x, x, x, need_weights=True)


def test_the_mode_stays(device: torch.device) -> None:
    for training in (False, True):
        layer = swapped(encoder_layer(device).train(training))
        assert layer.self_attn.training is training
    with pytest.raises(RuntimeError, match=r"dropout is 0\.1, but this module never drops"):
        layer(randn(2, 3, WIDTH, dtype=torch.float32, device=device))


def test_a_module_at_two_places_stays_one(device: torch.device) -> None:
    block = nn.MultiheadAttention(WIDTH, HEADS, device=device)
    model = nn.ModuleDict({"first": block, "second": nn.ModuleList([block])})
    assert swap_attention(model).swapped == ("first", "second.0")
    assert model["first"] is model["second"][0]
    assert isinstance(model["first"], FusedMultiheadAttention)


def test_swapping_twice_finds_nothing(device: torch.device) -> None:
    model = swapped(encoder_layer(device))
    report = swap_attention(model, strict=True)
    assert report.swapped == ()
    assert report.kept == {}


def test_a_swapped_model_copies_and_pickles(device: torch.device, tmp_path: Any) -> None:
    model = swapped(encoder_layer(device))
    torch.save(model, tmp_path / "model.pt")
    x = randn(2, 3, WIDTH, dtype=torch.float32, device=device)
    for twin in (copy.deepcopy(model), torch.load(tmp_path / "model.pt", weights_only=False)):
        assert torch.equal(twin(x), model(x))


# ----- what is kept


class Subclass(nn.MultiheadAttention):
    pass


def changed(change: Callable[[nn.MultiheadAttention], Any], **options: Any) -> nn.MultiheadAttention:
    mha = nn.MultiheadAttention(WIDTH, HEADS, **options)
    change(mha)
    return mha


KEPT: dict[str, tuple[Callable[[], nn.MultiheadAttention], str]] = {
    "subclass": (lambda: Subclass(WIDTH, HEADS), "it is a Subclass, a subclass whose own behaviour would be lost"),
    "bias_kv": (lambda: nn.MultiheadAttention(WIDTH, HEADS, add_bias_kv=True), "mha has add_bias_kv=True"),
    "zero_attn": (lambda: nn.MultiheadAttention(WIDTH, HEADS, add_zero_attn=True), "mha has add_zero_attn=True"),
    "head_dim": (lambda: nn.MultiheadAttention(514, 2), "its head_dim is 257, and must be at most 256"),
    "dtype": (lambda: nn.MultiheadAttention(WIDTH, HEADS, dtype=torch.float64), "its parameters are torch.float64"),
    "hook": (lambda: changed(lambda m: m.register_forward_hook(print)), "it has hooks"),
    "state hook": (lambda: changed(lambda m: m.register_state_dict_pre_hook(print)), "it has hooks"),
    "hook of out_proj": (lambda: changed(lambda m: m.out_proj.register_forward_pre_hook(print)), "it has hooks"),
    "out_proj": (
        lambda: changed(lambda m: setattr(m, "out_proj", nn.Linear(WIDTH, WIDTH))),
        "its out_proj is a Linear",
    ),
    "adapter": (
        lambda: changed(lambda m: setattr(m, "adapter", nn.Linear(2, 2))),
        "it has adapter.bias, adapter.weight",
    ),
    "parametrized": (
        lambda: changed(lambda m: nn.utils.parametrizations.weight_norm(m, "in_proj_weight")),
        "it is a ParametrizedMultiheadAttention",
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept(name: str) -> None:
    make, reason = KEPT[name]
    kept, good = make(), nn.MultiheadAttention(WIDTH, HEADS)
    model = nn.ModuleDict({"good": good, "odd": kept})
    with pytest.raises(ValueError, match=r"every nn\.MultiheadAttention must be swappable, but odd cannot be, odd for"):
        swap_attention(model, strict=True)
    assert model["good"] is good
    report = swap_attention(model)
    assert model["odd"] is kept
    assert report.swapped == ("good",)
    assert [*report.kept] == ["odd"]
    assert reason in report.kept["odd"]


def test_an_encoder_whose_layers_are_kept_keeps_nested_tensors() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True), 1)
    model.layers[0].self_attn.register_forward_hook(print)
    swap_attention(model)
    assert model.use_nested_tensor


@pytest.mark.parametrize("model", [nn.MultiheadAttention(WIDTH, HEADS), "model"])
def test_only_models_can_be_changed_in_place(model: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"must be a module that contains attention, but was a {type(model).__name__}: "
    ):
        swap_attention(model)


# ----- torch.compile and torch.export


def test_one_graph_serves_all_lengths(device: torch.device) -> None:
    model = swapped(nn.TransformerEncoder(encoder_layer(device), 2).eval())

    def run(x: Tensor, hidden: Tensor) -> Tensor:
        return model(x, src_key_padding_mask=hidden)

    with compiled_once(run) as compiled:
        for batch, length in ((3, 7), (2, 20), (5, 64)):
            x, hidden = randn(batch, length, WIDTH, dtype=torch.float32, device=device), padding(device, batch, length)
            torch.testing.assert_close(compiled(x, hidden), run(x, hidden))


def test_one_graph_serves_all_causal_lengths(device: torch.device) -> None:
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 64, batch_first=True, device=device).eval()
    model = swapped(nn.ModuleList([layer]))[0]

    def run(target: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        return model(target, memory, tgt_mask=mask, tgt_is_causal=True)

    with compiled_once(run) as compiled:
        for lengths in ((7, 9), (20, 5), (64, 64)):
            target, memory = (randn(2, n, WIDTH, dtype=torch.float32, device=device) for n in lengths)
            mask = causal_mask(lengths[0], device)
            torch.testing.assert_close(compiled(target, memory, mask), run(target, memory, mask))


def test_exports_with_dynamic_lengths(device: torch.device) -> None:
    model = swapped(encoder_layer(device))
    x = randn(2, 9, WIDTH, dtype=torch.float32, device=device)
    program = torch.export.export(model, (x,), dynamic_shapes={"src": {1: torch.export.Dim("length", min=2)}})
    longer = randn(2, 30, WIDTH, dtype=torch.float32, device=device)
    torch.testing.assert_close(program.module()(longer), model(longer))
