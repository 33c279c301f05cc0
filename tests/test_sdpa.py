"""F.scaled_dot_product_attention through the operators: what goes where, and that nothing else changes."""

from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from cases import DTYPES, LAYOUTS, randn
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import assert_matches, attention
from sdpa_calls import STOCK, fused, qkv, undone  # noqa: F401  (the fixture is for every test)
from torch import Tensor

from torch_fused_attn import sdpa

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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_casts_masks_as_stock_does(dtype: torch.dtype, device: torch.device) -> None:
    """The lowest number of fp32 is -inf then, so that a row of it is hidden, where in fp32 it would see all keys alike."""
    q, k, v = qkv(device)
    mask = torch.randn(7, 11).to(device)
    mask[3] = torch.finfo(torch.float32).min
    with torch.autocast(device.type, dtype):
        out = fused(device, q, k, v, mask)
    assert (out[:, :, 3] == 0).all()
    assert_matches(out, None, attention, *(x.to(dtype) for x in (q, k, v)), attn_mask=mask.to(dtype))


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
    "tensor type": [
        lambda q, k, v: ((q.as_subclass(Subclass), k, v), {}),
        lambda q, k, v: ((q, k, v), {"attn_mask": torch.zeros(7, 11, device=q.device).as_subclass(Subclass)}),
        lambda q, k, v: ((q.cpu().to_sparse(), k, v), {}),
        lambda q, k, v: ((torch.nested.nested_tensor([x.cpu() for x in q]), k, v), {}),
    ],
    "argument type": [
        lambda q, k, v: ((q, k, v), {"is_causal": 1}),
        lambda q, k, v: ((q, k, v), {"enable_gqa": 1}),
        lambda q, k, v: ((q, k, v), {"scale": "0.5"}),
    ],
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


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")  # torch's own
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
    assert {*NOT_FUSED, "device", "transform", "kernel"} == {*sdpa.REASONS}
