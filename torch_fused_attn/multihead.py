"""Multi-head attention with its projections: ``nn.MultiheadAttention``'s parameters, fused attention inside."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torch_fused_attn.functional import fused_attention
from torch_fused_attn.modules import ScoreOptions
from torch_fused_attn.paged_kv_cache import PagedLayer


class FusedMultiheadAttention(ScoreOptions):
    """``nn.MultiheadAttention`` for inference, without a score matrix; with grouped-query attention and a paged cache.

    Parameters have the names and shapes of ``nn.MultiheadAttention``, so that its ``state_dict`` loads as it is when
    ``num_kv_heads`` is ``num_heads``. With fewer key/value heads, ``in_proj_weight`` is
    [(num_heads + 2 * num_kv_heads) * head_dim, embed_dim]: all query heads, then the key heads, then the value heads.

    **Boolean masks follow nn.MultiheadAttention here: True = HIDDEN**, the opposite of ``fused_attention``. A query
    whose keys are all hidden gives the output projection's bias, where ``nn.MultiheadAttention`` gives NaN.

    Args:
        embed_dim: elements of a token in query and output, E; a multiple of ``num_heads``.
        num_heads: number of query heads.
        num_kv_heads: number of key/value heads, a divisor of ``num_heads``, which is the default.
        bias: add biases to all projections; default True.
        kdim: elements of a token in key; default ``embed_dim``.
        vdim: elements of a token in value; default ``embed_dim``.
        batch_first: tensors are [B, L, E]; default False: [L, B, E].
        alibi_slopes: fp32 [num_heads] or [B, num_heads], see :func:`torch_fused_attn.alibi_slopes`; stays fp32;
            default: none.
        window_left: number of keys before its position that a query sees; -1 (default) = all.
        window_right: number of keys after it; -1 (default) = all.
        softcap: soft limit of the scores' magnitude; 0 (default) = none.
        sinks: [num_heads], one extra logit a head in the softmax's denominator; part of the ``state_dict``;
            default: none.
        dropout: what the weights were trained with. Nothing is dropped in eval mode, as in ``nn.MultiheadAttention``;
            in training mode a value other than 0 (default) makes ``forward`` raise.
        device: where the parameters live; default: torch's current default device.
        dtype: the parameters' dtype; default: torch's current default dtype.

    Raises:
        TypeError: ``alibi_slopes`` or ``sinks`` is neither a Tensor nor None.
        ValueError: the sizes do not fit each other.

    Source: A. Vaswani et al., "Attention Is All You Need", 2017, section 3.2.2, as ``nn.MultiheadAttention`` has it;
    grouped-query attention: J. Ainslie et al., "GQA", 2023, section 2.
    """

    # nn.TransformerEncoderLayer asks for it. False is what keeps the layer's own fused inference path from taking the
    # weights and leaving this module, with its window and slopes, out.
    _qkv_same_embed_dim = False

    in_proj_weight: nn.Parameter | None
    in_proj_bias: nn.Parameter | None
    q_proj_weight: nn.Parameter | None
    k_proj_weight: nn.Parameter | None
    v_proj_weight: nn.Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        alibi_slopes: Tensor | None = None,
        window_left: int = -1,
        window_right: int = -1,
        softcap: float = 0.0,
        sinks: Tensor | None = None,
        dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            scale=None,
            alibi_slopes=None if alibi_slopes is None else alibi_slopes.to(device),
            window_left=window_left,
            window_right=window_right,
            softcap=softcap,
            sinks=None if sinks is None else sinks.to(device),
        )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.batch_first = batch_first
        self.dropout = dropout
        self._check_sizes()
        self.head_dim = embed_dim // num_heads
        kv_dim = self.num_kv_heads * self.head_dim
        self._projected_sizes = [embed_dim, kv_dim, kv_dim]

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        separate = self.kdim != embed_dim or self.vdim != embed_dim
        self.in_proj_weight = None if separate else parameter(sum(self._projected_sizes), embed_dim)
        self.q_proj_weight = parameter(embed_dim, embed_dim) if separate else None
        self.k_proj_weight = parameter(kv_dim, self.kdim) if separate else None
        self.v_proj_weight = parameter(kv_dim, self.vdim) if separate else None
        self.in_proj_bias = parameter(sum(self._projected_sizes)) if bias else None
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.reset_parameters()

    @classmethod
    def from_torch(cls, mha: nn.MultiheadAttention) -> "FusedMultiheadAttention":
        """Return a module that computes what ``mha`` computes, with copies of its weights, and in its mode.

        Args:
            mha: the module to convert; it is left as it is.

        Returns:
            The module, on the device and with the dtype of ``mha``.

        Raises:
            TypeError: ``mha`` is no ``nn.MultiheadAttention``.
            ValueError: ``mha`` was made with ``add_bias_kv`` or ``add_zero_attn``.
        """
        if not isinstance(mha, nn.MultiheadAttention):
            raise TypeError(
                "FusedMultiheadAttention.from_torch: mha must be an nn.MultiheadAttention, but was a "
                f"{type(mha).__name__}: copy another module's weights into FusedMultiheadAttention's parameters"
            )
        if mha.bias_k is not None or mha.bias_v is not None:
            raise ValueError(
                "FusedMultiheadAttention.from_torch: mha has add_bias_kv=True, a learned extra key and value that this "
                "module does not have: keep nn.MultiheadAttention for these weights, or train them without"
            )
        if mha.add_zero_attn:
            raise ValueError(
                "FusedMultiheadAttention.from_torch: mha has add_zero_attn=True, an extra key and value of zeros that "
                "this module does not have: FusedMultiheadAttention(..., sinks=torch.zeros(num_heads)) computes the "
                "same, after load_state_dict(mha.state_dict(), strict=False)"
            )
        weight = mha.out_proj.weight
        module = cls(
            mha.embed_dim,
            mha.num_heads,
            bias=mha.in_proj_bias is not None,
            kdim=mha.kdim,
            vdim=mha.vdim,
            batch_first=mha.batch_first,
            dropout=mha.dropout,
            device=weight.device,
            dtype=weight.dtype,
        )
        module.load_state_dict(mha.state_dict())
        frozen = {name for name, parameter in mha.named_parameters() if not parameter.requires_grad}
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
        return module.train(mha.training)

    def reset_parameters(self) -> None:
        """Draw the input projections anew and zero the biases, with the distributions of ``nn.MultiheadAttention``."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                nn.init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            nn.init.zeros_(self.in_proj_bias)
            nn.init.zeros_(self.out_proj.bias)

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
        """Project, attend, project back. The arguments are those of ``nn.MultiheadAttention``, and ``kv_cache``.

        Masks are as in ``nn.MultiheadAttention``: **in a bool mask True = HIDDEN**; a floating-point mask is added to
        the scores. Give ``key_padding_mask``, ``attn_mask``, or both.

        Args:
            query: [L, B, E], with ``batch_first`` [B, L, E], or without a batch [L, E]; the parameters' dtype.
            key: [S, B, kdim], [B, S, kdim] or [S, kdim]; default: query. When query, key and value are the same tensor,
                one matrix product projects all three.
            value: [S, B, vdim], [B, S, vdim] or [S, vdim]; given if and only if key is; default: query.
            key_padding_mask: [B, S], without a batch [S]; default: none.
            need_weights: must be False, which is the default here, unlike in ``nn.MultiheadAttention``.
            attn_mask: [L, S] or [B * num_heads, L, S]; default: none.
            average_attn_weights: without effect, there for the signature's sake.
            is_causal: hide the keys after each query's position, with or without ``attn_mask``; default False. When L and
                S differ, positions are bottom-right aligned, as in :func:`torch_fused_attn.fused_attention`.
            kv_cache: one layer of a :class:`torch_fused_attn.PagedBatch`. Query's keys and values are stored there,
                then query attends, causally, to all tokens of its sequences. Query is packed, [T, E], the sequences in
                the batch's order, or [B, L, E] ([L, B, E] without ``batch_first``) if every sequence gains L tokens.
                Key, value and masks must be None. Default: none.

        Returns:
            out, shaped as query, and None in the place of the attention weights.

        Raises:
            ValueError: an argument is wrong; the message names it.
            RuntimeError: grad mode is on and an input or a parameter requires grad, ``dropout`` is not 0 in training
                mode, or an operator refuses an argument.
            KernelError: Metal refuses a kernel that the call needs.
        """
        self._check_mode(need_weights)
        if kv_cache is not None:
            self._check_cached(query, key, value, key_padding_mask, attn_mask, kv_cache)
            return self._forward_cached(query, kv_cache), None
        if (key is None) != (value is None):
            raise ValueError(
                "FusedMultiheadAttention: key and value must be given both or not at all, but "
                f"{'value' if key is None else 'key'} was given alone: give the same tensor twice to use it for both"
            )
        key = query if key is None else key
        value = query if value is None else value
        self._check_inputs(query, key, value)
        batch, len_q = self._batch_and_length(query)
        _, len_k = self._batch_and_length(key)
        if query.dim() == 2 and key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
        mask = _merge_masks(attn_mask, key_padding_mask, batch, self.num_heads, len_q, len_k)

        q, k, v = (self._heads_second(tokens) for tokens in self._project(query, key, value))
        out = self._attend(q, k, v, mask, is_causal)
        out = out.transpose(1, 2) if self.batch_first else out.permute(2, 0, 1, 3)
        return self.out_proj(out.reshape(query.shape)), None

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor:
        """Attend with [B, heads, L, head_dim]."""
        options = self.options()
        return cast(Tensor, fused_attention(query, key, value, attn_mask=mask, is_causal=is_causal, **options))

    def _batch_and_length(self, tokens: Tensor) -> tuple[int, int]:
        if tokens.dim() == 2:
            return 1, tokens.shape[0]
        return (tokens.shape[0], tokens.shape[1]) if self.batch_first else (tokens.shape[1], tokens.shape[0])

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Return the projected query, key and value, the last dimension split into [heads, head_dim]."""
        projected: tuple[Tensor, ...]
        if self.in_proj_weight is not None and query is key and query is value:
            together = F.linear(query, self.in_proj_weight, self.in_proj_bias)
            projected = torch.split(together, self._projected_sizes, dim=-1)
        else:
            weights: tuple[Tensor | None, ...] = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            if self.in_proj_weight is not None:
                weights = torch.split(self.in_proj_weight, self._projected_sizes)
            biases: tuple[Tensor | None, ...] = (None, None, None)
            if self.in_proj_bias is not None:
                biases = torch.split(self.in_proj_bias, self._projected_sizes)
            inputs = zip((query, key, value), weights, biases, strict=True)
            projected = tuple(F.linear(tokens, cast(Tensor, weight), bias) for tokens, weight, bias in inputs)
        return tuple(tokens.view(*tokens.shape[:-1], -1, self.head_dim) for tokens in projected)

    def _heads_second(self, tokens: Tensor) -> Tensor:
        """Return projected tokens as [B, heads, L, head_dim], a view."""
        if tokens.dim() == 3:
            return tokens.transpose(0, 1).unsqueeze(0)
        return tokens.transpose(1, 2) if self.batch_first else tokens.permute(1, 2, 0, 3)

    def _forward_cached(self, query: Tensor, kv_cache: PagedLayer) -> Tensor:
        # The cache wants [T, ...], one sequence after another, which for [L, B, E] means to swap there and back.
        sequence_first = query.dim() == 3 and not self.batch_first
        tokens = query.transpose(0, 1) if sequence_first else query
        batch_shape = tokens.shape[:-1]
        tokens = tokens.reshape(-1, self.embed_dim)
        q, k, v = self._project(tokens, tokens, tokens)
        kv_cache.write(k, v)
        out = kv_cache.attend(q, **self.options()).reshape(*batch_shape, self.embed_dim)
        return cast(Tensor, self.out_proj(out.transpose(0, 1) if sequence_first else out))

    def _check_sizes(self) -> None:
        where = "FusedMultiheadAttention"
        if self.num_heads < 1 or self.embed_dim < 1 or self.embed_dim % self.num_heads:
            raise ValueError(
                f"{where}: embed_dim must be a positive multiple of num_heads, but embed_dim was {self.embed_dim} and "
                f"num_heads {self.num_heads}"
            )
        if self.num_kv_heads < 1 or self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"{where}: num_kv_heads must be a positive divisor of num_heads, {self.num_heads}, but was "
                f"{self.num_kv_heads}"
            )
        for name, tensor in (("alibi_slopes", self.alibi_slopes), ("sinks", self.sinks)):
            ranks = (1, 2) if name == "alibi_slopes" else (1,)
            if tensor is not None and (tensor.dim() not in ranks or tensor.shape[-1] != self.num_heads):
                raise ValueError(
                    f"{where}: {name} must have one element for each of the {self.num_heads} query heads, but has "
                    f"shape {list(tensor.shape)}"
                )

    def _check_mode(self, need_weights: bool) -> None:
        if need_weights:
            raise ValueError(
                "FusedMultiheadAttention: need_weights must be False, because the weights are never in memory: use "
                "nn.MultiheadAttention where you need them"
            )
        if self.training and self.dropout != 0.0:
            raise RuntimeError(
                f"FusedMultiheadAttention: dropout is {self.dropout}, but this module never drops anything: call "
                "eval(), or train with nn.MultiheadAttention"
            )

    def _check_inputs(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        where = "FusedMultiheadAttention"
        for name, tensor, size in (
            ("query", query, self.embed_dim),
            ("key", key, self.kdim),
            ("value", value, self.vdim),
        ):
            if tensor.dim() not in (2, 3) or tensor.dim() != query.dim() or tensor.shape[-1] != size:
                batched = "[B, length" if self.batch_first else "[length, B"
                raise ValueError(
                    f"{where}: {name} must be {batched}, {size}], or [length, {size}] if query has no batch, but has "
                    f"shape {list(tensor.shape)}, and query {list(query.shape)}"
                )
        if key.shape[:-1] != value.shape[:-1]:
            raise ValueError(
                f"{where}: key and value must have the same batch and length, but have shapes {list(key.shape)} and "
                f"{list(value.shape)}"
            )
        batch_dim = 0 if self.batch_first else 1
        if query.dim() == 3 and query.shape[batch_dim] != key.shape[batch_dim]:
            raise ValueError(
                f"{where}: query and key must agree in the batch, dimension {batch_dim}, since batch_first is "
                f"{self.batch_first}, but have shapes {list(query.shape)} and {list(key.shape)}"
            )

    def _check_cached(
        self,
        query: Tensor,
        key: Tensor | None,
        value: Tensor | None,
        key_padding_mask: Tensor | None,
        attn_mask: Tensor | None,
        kv_cache: PagedLayer,
    ) -> None:
        where = "FusedMultiheadAttention"
        refused = {"key": key, "value": value, "key_padding_mask": key_padding_mask, "attn_mask": attn_mask}
        for name, tensor in refused.items():
            if tensor is not None:
                raise ValueError(
                    f"{where}: {name} must be None with kv_cache, which holds the keys, the values and how many there "
                    "are: pass query alone"
                )
        if self.in_proj_weight is None:
            raise ValueError(
                f"{where}: kdim and vdim must be embed_dim, {self.embed_dim}, with kv_cache, which is self-attention, "
                f"but are {self.kdim} and {self.vdim}: project key and value yourself and call PagedLayer.write"
            )
        num_tokens = kv_cache.batch.slot_mapping.shape[0]
        num_sequences, longest = kv_cache.batch.block_table.shape[0], kv_cache.batch.max_seqlen_q
        packed = (num_tokens, self.embed_dim)
        even = (num_sequences, longest) if self.batch_first else (longest, num_sequences)
        if query.shape != packed and (query.shape != (*even, self.embed_dim) or num_sequences * longest != num_tokens):
            raise ValueError(
                f"{where}: query must be {list(packed)}, kv_cache's new tokens packed, or, if each of its "
                f"{num_sequences} sequences has {longest}, {[*even, self.embed_dim]}, but has shape {list(query.shape)}"
            )

    def extra_repr(self) -> str:
        """Return the sizes, and the options that differ from their defaults."""
        own = f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, num_kv_heads={self.num_kv_heads}"
        own += f", batch_first={self.batch_first}"
        shared = super().extra_repr()
        return f"{own}, {shared}" if shared else own


def _merge_masks(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, batch: int, num_heads: int, len_q: int, len_k: int
) -> Tensor | None:
    """Turn ``nn.MultiheadAttention``'s two masks into ``fused_attention``'s one, in which True = takes part.

    Returns:
        None, or [B or 1, num_heads or 1, L or 1, S]: a dimension that neither mask varies over is never expanded.
    """
    for name, mask in (("attn_mask", attn_mask), ("key_padding_mask", key_padding_mask)):
        if mask is not None and mask.dtype != torch.bool and not mask.is_floating_point():
            raise ValueError(
                f"FusedMultiheadAttention: {name} must be bool (True = hidden) or floating point (added), but was "
                f"{mask.dtype}: convert it with .bool()"
            )
    if attn_mask is not None:
        flat, per_head = (len_q, len_k), (batch * num_heads, len_q, len_k)
        if attn_mask.shape != flat and attn_mask.shape != per_head:
            raise ValueError(
                f"FusedMultiheadAttention: attn_mask must be [L, S] = {list(flat)} or [B * num_heads, L, S] = "
                f"{list(per_head)}, but has shape {list(attn_mask.shape)}"
            )
        attn_mask = attn_mask[None, None] if attn_mask.dim() == 2 else attn_mask.view(batch, num_heads, len_q, len_k)
    if key_padding_mask is not None:
        if key_padding_mask.shape != (batch, len_k):
            raise ValueError(
                f"FusedMultiheadAttention: key_padding_mask must be [B, S] = {[batch, len_k]}, or [S] without a batch, "
                f"but has shape {list(key_padding_mask.shape)}"
            )
        key_padding_mask = key_padding_mask[:, None, None]
    if attn_mask is None or key_padding_mask is None:
        mask = key_padding_mask if attn_mask is None else attn_mask
        return mask.logical_not() if mask is not None and mask.dtype == torch.bool else mask
    if attn_mask.dtype == torch.bool and key_padding_mask.dtype == torch.bool:
        return torch.logical_not(attn_mask | key_padding_mask)
    if attn_mask.dtype == torch.bool:
        return key_padding_mask.masked_fill(attn_mask, -math.inf)
    if key_padding_mask.dtype == torch.bool:
        return attn_mask.masked_fill(key_padding_mask, -math.inf)
    return attn_mask + key_padding_mask
