"""Puts fused attention into an existing model of ``nn.MultiheadAttention`` modules, in place."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from torch_fused_attn._stock import attention, fused_or_stock
from torch_fused_attn.functional import fused_attention
from torch_fused_attn.multihead import FusedMultiheadAttention
from torch_fused_attn.paged_kv_cache import PagedLayer


@dataclass(frozen=True)
class SwapReport:
    """What :func:`swap_attention` did, by the modules' names in the model.

    Attributes:
        swapped: the modules that are fused now.
        kept: those left as they were, and why.
    """

    swapped: tuple[str, ...]
    kept: dict[str, str]


_STATE = {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}
_STATE |= {"q_proj_weight", "k_proj_weight", "v_proj_weight", "bias_k", "bias_v"}


class SwappedMultiheadAttention(FusedMultiheadAttention):
    """:class:`FusedMultiheadAttention` that takes ``is_causal`` as ``nn.MultiheadAttention`` does: as a hint on attn_mask."""

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        kv_cache: PagedLayer | None = None,
    ) -> tuple[Tensor, None]:
        """Attend as :meth:`FusedMultiheadAttention.forward` does, but with the hint's meaning of ``is_causal``.

        ``is_causal`` says that ``attn_mask`` is the causal mask, aligned at the top left, and must come with it. Where
        query and key are equally long, the mask is then not read at all; otherwise the hint is of no use.

        Args:
            query: [L, B, E], with ``batch_first`` [B, L, E], or without a batch [L, E]; the parameters' dtype.
            key: [S, B, kdim], [B, S, kdim] or [S, kdim]; default: query.
            value: [S, B, vdim], [B, S, vdim] or [S, vdim]; given if and only if key is; default: query.
            key_padding_mask: [B, S], without a batch [S], True = hidden; default: none.
            need_weights: must be False, which is the default here.
            attn_mask: [L, S] or [B * num_heads, L, S], bool (True = hidden) or floating point (added); default: none.
            average_attn_weights: without effect, there for the signature's sake.
            is_causal: ``attn_mask`` is the causal mask; default False.
            kv_cache: as for :meth:`FusedMultiheadAttention.forward`; default: none.

        Returns:
            out, shaped as query, and None in the place of the attention weights.

        Raises:
            RuntimeError: ``is_causal`` without ``attn_mask``, or as :class:`FusedMultiheadAttention`.
            KernelError: Metal refuses a kernel that a call with ``kv_cache`` needs; others are computed by stock attention.
            ValueError: as :class:`FusedMultiheadAttention`.
        """
        if is_causal:
            if attn_mask is None:
                raise RuntimeError(
                    "SwappedMultiheadAttention: attn_mask must be given with is_causal, which is a hint about it, but was "
                    "None: nn.Transformer.generate_square_subsequent_mask makes one"
                )
            length = 1 if self.batch_first and query.dim() == 3 else 0
            is_causal = key is None or query.shape[length] == key.shape[length]
            attn_mask = None if is_causal else attn_mask
        return super().forward(
            query,
            key,
            value,
            key_padding_mask,
            need_weights,
            attn_mask,
            average_attn_weights,
            is_causal,
            kv_cache=kv_cache,
        )

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor:
        options = {"attn_mask": mask, "is_causal": is_causal, **self.options()}
        return fused_or_stock(fused_attention, attention, query, key, value, **options)


def swap_attention(model: nn.Module, *, strict: bool = False) -> SwapReport:
    """Replace each ``nn.MultiheadAttention`` in a model, also inside of ``nn.Transformer*`` layers, by a fused one.

    The new modules hold the very parameters of the old ones: names, values, ``requires_grad``, ties and what optimizers refer
    to stay, ``state_dict()`` has the same keys, and checkpoints of the original model load. From then on the model is for
    inference: with grad mode on and parameters that require grad, or in training mode with dropout, attention raises.

    Three results differ. Attention weights are not returned: ``need_weights=True`` raises, and a call that relies on its
    default, True, gets None for them. A query whose keys are all hidden gives the output projection's bias, not NaN. And
    ``nn.TransformerEncoder``'s detour over nested tensors, which zeroes the outputs of padded tokens, is switched off.

    If Metal refuses a kernel (:class:`torch_fused_attn.KernelError`), the calls that need it are computed by
    ``F.scaled_dot_product_attention``, with a warning once. Compiled code raises instead.

    Args:
        model: any module that contains others; changed in place. One attention module at several places stays one.
        strict: raise, and change nothing, if there is an ``nn.MultiheadAttention`` that cannot be swapped; default False.

    Returns:
        The names of the swapped modules, and of those that were kept with the reason: a subclass, ``add_bias_kv``,
        ``add_zero_attn``, hooks, parameters of its own, a head_dim above 256, or a dtype other than fp32, fp16 and bf16.

    Raises:
        TypeError: model is no module, or is itself an ``nn.MultiheadAttention``, which cannot be replaced in place.
        ValueError: strict, and a module cannot be swapped; the message names it and the reason.
    """
    if not isinstance(model, nn.Module) or isinstance(model, nn.MultiheadAttention):
        raise TypeError(
            f"swap_attention: model must be a module that contains attention, but was a {type(model).__name__}: "
            "FusedMultiheadAttention.from_torch() converts a single nn.MultiheadAttention"
        )
    found = {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.MultiheadAttention)
    }
    converted = {module: _converted(module) for module in set(found.values())}
    kept = {name: reason for name, module in found.items() if isinstance(reason := converted[module], str)}
    if strict and kept:
        first = next(iter(kept))
        raise ValueError(
            f"swap_attention: every nn.MultiheadAttention must be swappable, but {', '.join(kept)} cannot be, {first} for "
            f"this reason: {kept[first]} (strict=False keeps what cannot be swapped)"
        )
    for name, module in found.items():
        if name not in kept:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, converted[module])
    _avoid_nested_tensors(model)
    return SwapReport(tuple(name for name in found if name not in kept), kept)


def _converted(mha: nn.MultiheadAttention) -> SwappedMultiheadAttention | str:
    """Return a module with the parameters of this one, or why there cannot be one."""
    reason = _why_kept(mha)
    if reason is not None:
        return reason
    try:
        fused = cast(SwappedMultiheadAttention, SwappedMultiheadAttention.from_torch(mha))
    except ValueError as error:
        return str(error)
    for name, parameter in mha.named_parameters():
        owner, _, leaf = name.rpartition(".")
        setattr(fused.get_submodule(owner), leaf, parameter)
    return fused


def _why_kept(mha: nn.MultiheadAttention) -> str | None:
    """Return why this module cannot be swapped, as far as ``from_torch`` would not notice; or None."""
    if type(mha) is not nn.MultiheadAttention:
        return f"it is a {type(mha).__name__}, a subclass whose own behaviour would be lost"
    if type(mha.out_proj) is not NonDynamicallyQuantizableLinear:
        return f"its out_proj is a {type(mha.out_proj).__name__}, which nn.MultiheadAttention reads but never calls"
    for module in (mha, mha.out_proj):
        if any(hooks for name, hooks in vars(module).items() if name.endswith("_hooks")):
            return "it has hooks, which would be lost"
    own = mha.state_dict().keys() - _STATE
    if own:
        return f"it has {', '.join(sorted(own))}, which nn.MultiheadAttention has not"
    if mha.head_dim > 256:
        return f"its head_dim is {mha.head_dim}, and must be at most 256"
    dtype = mha.out_proj.weight.dtype
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return f"its parameters are {dtype}, and must be float32, float16 or bfloat16"
    return None


def _avoid_nested_tensors(model: nn.Module) -> None:
    """Switch nn.TransformerEncoder's nested tensors off: only the layers' own fused path, now out of use, takes them."""
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoder) and any(
            isinstance(layer, SwappedMultiheadAttention) for layer in module.modules()
        ):
            module.use_nested_tensor = False
