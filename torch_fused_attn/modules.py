"""Attention as a module: the options are fixed once, query, key and value come with every call."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from torch_fused_attn.functional import fused_attention


class ScoreOptions(nn.Module):
    """Base of the modules here: holds what changes the scores, and hands it on as keyword arguments.

    The options' meaning is defined by :func:`torch_fused_attn.fused_attention`. ``alibi_slopes`` is a non-persistent
    buffer, because it is computed, not learned; ``sinks`` are learned and therefore a parameter, part of the
    ``state_dict``. Both are copied. ``sinks`` never ask for a gradient: the operators have none.
    """

    alibi_slopes: Tensor | None
    sinks: nn.Parameter | None

    def __init__(
        self,
        *,
        scale: float | None,
        alibi_slopes: Tensor | None,
        window_left: int,
        window_right: int,
        softcap: float,
        sinks: Tensor | None,
    ) -> None:
        super().__init__()
        for name, tensor in (("alibi_slopes", alibi_slopes), ("sinks", sinks)):
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{type(self).__name__}: {name} must be a Tensor or None, but was a {type(tensor).__name__}: "
                    "wrap it in torch.tensor(...)"
                )
        self.scale = scale
        self.window_left = window_left
        self.window_right = window_right
        self.softcap = softcap
        slopes = None if alibi_slopes is None else alibi_slopes.detach().clone()
        self.register_buffer("alibi_slopes", slopes, persistent=False)
        self.sinks = None if sinks is None else nn.Parameter(sinks.detach().clone(), requires_grad=False)

    def options(self) -> dict[str, Any]:
        """Return the options as keyword arguments of the functional interface."""
        return {
            "scale": self.scale,
            "alibi_slopes": self.alibi_slopes,
            "window_left": self.window_left,
            "window_right": self.window_right,
            "softcap": self.softcap,
            "sinks": self.sinks,
        }

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        # .half() and .to(dtype) cast every floating buffer, but the operators take the slopes in fp32 only: multiplied
        # by a long distance, a rounded slope is far off.
        before = self.alibi_slopes
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        after = self.alibi_slopes
        if before is not None and after is not None and before.dtype != after.dtype:
            self.alibi_slopes = before.to(after.device)
        return self

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults, tensors as their shapes."""
        defaults = {"scale": None, "window_left": -1, "window_right": -1, "softcap": 0.0}
        changed = [name for name, default in defaults.items() if getattr(self, name) != default]
        parts = [f"{name}={getattr(self, name)}" for name in changed]
        for name in ("alibi_slopes", "sinks"):
            tensor = getattr(self, name)
            if tensor is not None:
                parts.append(f"{name}={list(tensor.shape)}")
        return ", ".join(parts)


class FusedAttention(ScoreOptions):
    """:func:`torch_fused_attn.fused_attention` with its options fixed, for models that compute their own projections.

    Args:
        is_causal: hide the keys after each query's position; default False.
        scale: factor on query·key; default 1/sqrt(D).
        alibi_slopes: fp32 [Hq] or [B, Hq], copied into a non-persistent buffer, which stays fp32 under ``.half()`` and
            ``.to(dtype)``; default: none.
        window_left: number of keys before its position that a query sees; -1 (default) = all.
        window_right: number of keys after it; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        sinks: [Hq], fp32 or query's dtype, copied into a parameter that asks for no gradient; in the ``state_dict``;
            default: none.
        causal_alignment: "bottom_right" (default) or "top_left".

    Raises:
        TypeError: ``alibi_slopes`` or ``sinks`` is neither a Tensor nor None.

    Source: as :func:`torch_fused_attn.fused_attention`.
    """

    def __init__(
        self,
        *,
        is_causal: bool = False,
        scale: float | None = None,
        alibi_slopes: Tensor | None = None,
        window_left: int = -1,
        window_right: int = -1,
        softcap: float = 0.0,
        sinks: Tensor | None = None,
        causal_alignment: str = "bottom_right",
    ) -> None:
        super().__init__(
            scale=scale,
            alibi_slopes=alibi_slopes,
            window_left=window_left,
            window_right=window_right,
            softcap=softcap,
            sinks=sinks,
        )
        self.is_causal = is_causal
        self.causal_alignment = causal_alignment

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        return_lse: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend.

        Args:
            query: [B, Hq, Lq, D], fp32, fp16 or bf16.
            key: [B, Hkv, Lkv, D], query's dtype and device; Hq a multiple of Hkv.
            value: [B, Hkv, Lkv, Dv].
            attn_mask: bool (True where a key takes part) or floating point (added); broadcastable to [B, Hq, Lq, Lkv];
                default: none.
            return_lse: also return the logarithm of the softmax's denominator; default False.

        Returns:
            out [B, Hq, Lq, Dv]; with ``return_lse`` also lse fp32 [B, Hq, Lq].

        Raises:
            RuntimeError: an argument is wrong (the message names it), or grad mode is on and an input requires grad.
        """
        return fused_attention(
            query,
            key,
            value,
            attn_mask=attn_mask,
            is_causal=self.is_causal,
            causal_alignment=self.causal_alignment,
            return_lse=return_lse,
            **self.options(),
        )

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        own = ["is_causal=True"] if self.is_causal else []
        if self.causal_alignment != "bottom_right":
            own.append(f"causal_alignment={self.causal_alignment!r}")
        shared = super().extra_repr()
        return ", ".join([*own, shared] if shared else own)
