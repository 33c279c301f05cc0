"""Which calls of ``F.scaled_dot_product_attention`` the fused operators take over, and how."""

import math

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from torch_fused_attn._tensors import with_unit_stride
from torch_fused_attn.functional import fused_attention

# Why a call goes to the function that was there before. In the order in which they are looked for; "kernel" comes out last,
# when the operator is called.
REASONS = {
    "device": "a tensor is on a device that is not routed, or the tensors are on several",
    "tensor type": "a tensor is nested, sparse, or of a subclass of torch.Tensor",
    "transform": "the call is inside of a transform of torch.func",
    "gradient": "grad mode is on and a tensor requires grad, or forward-mode differentiation is active",
    "dropout": "dropout_p is not 0",
    "argument type": "is_causal or enable_gqa is no bool, or scale no number",
    "dtype": "query, key and value are not all fp32, all fp16 or all bf16",
    "shape": "the tensors are not all 4-dimensional or all 3-dimensional with the same batch, or key and value differ",
    "heads": "query and key differ in their number of heads without enable_gqa, or it is no multiple",
    "head_dim": "a head_dim is 0 or more than 256, or that of query is not that of key",
    "mask": "attn_mask comes with is_causal, does not broadcast, or has a dtype that is not bool, fp32 or query's",
    "scale": "scale is infinite or not a number",
    "kernel": "Metal refused a kernel that the call needs, now or earlier in this process",
}
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_NUMBERS = (float, int, torch.SymFloat, torch.SymInt)
# The last two stand for tensors while torch.export traces.
_TENSOR_TYPES = (Tensor, nn.Parameter, FakeTensor, FunctionalTensor)


def why_stock(
    devices: frozenset[str],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    *,
    scale: float | None,
    enable_gqa: bool,
) -> str | None:
    """Return the reason, a key of ``REASONS``, for which the operators do not take this call; None if they do.

    Whatever stock refuses has a reason, so that stock refuses it in its own words.
    """
    tensors = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
    reason = _why_not_tensors(tensors, devices)
    if reason is not None:
        return reason
    if dropout_p != 0.0:
        return "dropout"
    if not (
        isinstance(is_causal, bool) and isinstance(enable_gqa, bool) and isinstance(scale, (*_NUMBERS, type(None)))
    ):
        return "argument type"
    dtypes = (query.dtype, key.dtype, value.dtype)
    is_cast = torch.is_autocast_enabled(query.device.type)
    if any(dtype not in _DTYPES for dtype in dtypes) or (dtypes != (dtypes[0],) * 3 and not is_cast):
        return "dtype"
    reason = _why_not_shapes(query, key, value, enable_gqa)
    if reason is not None:
        return reason
    if attn_mask is not None and (is_causal or not _mask_fits(attn_mask, query, key)):
        return "mask"
    # Not math.isfinite, which a compiler cannot trace where the scale depends on a size.
    return None if scale is None or abs(scale) < math.inf else "scale"


def fused_sdpa(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """Compute what ``F.scaled_dot_product_attention`` means by these arguments; ``why_stock`` has agreed to them.

    Raises:
        KernelError: Metal refuses a kernel that the call needs.
    """
    device = query.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        query, key, value = (x.to(dtype) for x in (query, key, value))
        if attn_mask is not None and attn_mask.is_floating_point():
            attn_mask = attn_mask.to(dtype)  # fp32's lowest number becomes -inf, and with it a hidden row 0
    without_batch = query.dim() == 3
    if without_batch:
        query, key, value = (x.unsqueeze(0) for x in (query, key, value))
    query, key, value = (with_unit_stride(x) for x in (query, key, value))
    out = fused_attention(
        query,
        key,
        value,
        attn_mask=attn_mask,
        is_causal=is_causal,
        scale=scale,
        causal_alignment="top_left",
        return_lse=False,
    )
    return out.squeeze(0) if without_batch else out


def _why_not_tensors(tensors: tuple[Tensor, ...], devices: frozenset[str]) -> str | None:
    if any(type(x) not in _TENSOR_TYPES or x.layout != torch.strided or x.is_nested for x in tensors):
        return "tensor type"
    device = tensors[0].device
    if device.type not in devices or any(x.device != device for x in tensors):
        return "device"
    # A compiler traces through the transforms of torch.func by itself.
    if not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is not None:
        return "transform"
    if torch.autograd.forward_ad._current_level >= 0:
        return "gradient"
    return "gradient" if torch.is_grad_enabled() and any(x.requires_grad for x in tensors) else None


def _why_not_shapes(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> str | None:
    rank = query.dim()
    if rank not in (3, 4) or key.dim() != rank or value.dim() != rank or key.shape[:-1] != value.shape[:-1]:
        return "shape"
    if rank == 4 and query.shape[0] != key.shape[0]:
        return "shape"
    heads, kv_heads = query.shape[-3], key.shape[-3]
    if heads != kv_heads and not (enable_gqa and kv_heads > 0 and heads % kv_heads == 0):
        return "heads"
    if heads == 0:
        return "heads"
    head_dim, value_dim = query.shape[-1], value.shape[-1]
    fits = key.shape[-1] == head_dim and 1 <= head_dim <= 256 and 1 <= value_dim <= 256
    return None if fits else "head_dim"


def _mask_fits(attn_mask: Tensor, query: Tensor, key: Tensor) -> bool:
    if attn_mask.dtype not in (torch.bool, torch.float32, query.dtype) or attn_mask.dim() > query.dim():
        return False
    full = (*query.shape[:-1], key.shape[-2])
    pairs = zip(reversed(attn_mask.shape), reversed(full), strict=False)
    return all(size in (1, expected) for size, expected in pairs)
