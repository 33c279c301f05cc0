"""The tensors of one step over a paged key/value cache, and what a layer of a model does with them.

Source: W. Kwon et al., "PagedAttention", SOSP 2023, section 4; the layout of the tensors is FlashAttention's.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from torch_fused_attn.functional import fused_attention_paged


@dataclass(eq=False)
class PagedBatch:
    """The sequences of one step, in order, with room for their new tokens. :meth:`PagedKVCache.reserve` makes it.

    A batch is stale once one of its sequences was freed, truncated, or had a block replaced by copy-on-write or
    defragmentation; its layers then raise instead of touching blocks that may belong to others.

    Attributes:
        key_cache: [num_layers, num_blocks, block_size, Hkv, D], the cache's own tensor.
        value_cache: as key_cache.
        slot_mapping: int64 [T], the new tokens' slots: block * block_size + offset.
        block_table: int32 [B, max_blocks], padded with -1.
        seqused_k: int32 [B], lengths of the sequences, new tokens included.
        cu_seqlens_q: int32 [B + 1], cumulative numbers of new tokens, from 0 to T.
        max_seqlen_q: the largest number of new tokens of a sequence.
    """

    key_cache: Tensor = field(repr=False)
    value_cache: Tensor = field(repr=False)
    slot_mapping: Tensor
    block_table: Tensor
    seqused_k: Tensor
    cu_seqlens_q: Tensor
    max_seqlen_q: int
    _sequence_ids: frozenset[int] = field(default=frozenset(), repr=False)
    _stale_because: str | None = field(default=None, repr=False)

    def layer(self, index: int) -> "PagedLayer":
        """Return this batch's view of one layer's cache.

        Args:
            index: from 0 to num_layers - 1.

        Returns:
            The layer, whose tensors are views of the cache.

        Raises:
            IndexError: there is no such layer.
            RuntimeError: the batch is stale.
        """
        if not 0 <= index < self.key_cache.shape[0]:
            raise IndexError(
                f"PagedBatch.layer: index must be from 0 to {self.key_cache.shape[0] - 1}, but was {index}: "
                "num_layers of PagedKVCache sets the number of layers"
            )
        self.check_not_stale()
        return PagedLayer(self, self.key_cache[index], self.value_cache[index])

    def check_not_stale(self) -> None:
        """Raise a RuntimeError if the batch's blocks may belong to others by now."""
        if self._stale_because is not None:
            raise RuntimeError(f"PagedBatch: it is stale, because {self._stale_because}: reserve() a new one")


@dataclass(eq=False, frozen=True)
class PagedLayer:
    """One layer of a :class:`PagedBatch`. Usable inside ``torch.compile(fullgraph=True)``.

    Attributes:
        batch: the batch that the layer belongs to.
        key_cache: [num_blocks, block_size, Hkv, D], a view of the cache.
        value_cache: as key_cache.
    """

    batch: PagedBatch
    key_cache: Tensor
    value_cache: Tensor

    def write(self, key: Tensor, value: Tensor) -> None:
        """Store the new tokens' keys and values; to be called before :meth:`attend`, and before a sequence is forked.

        Args:
            key: [T, Hkv, D], the cache's dtype and device, the new tokens of one sequence after another.
            value: as key.

        Raises:
            RuntimeError: an argument is wrong (the message names it), the batch is stale, or grad mode is on and an
                input requires grad; nothing was written.
        """
        self.batch.check_not_stale()
        torch.ops.fused_attn.reshape_and_cache_(key, value, self.key_cache, self.value_cache, self.batch.slot_mapping)

    def attend(self, query: Tensor, *, is_causal: bool = True, **options: Any) -> Tensor:
        """Attend from the new tokens to all tokens of their sequences.

        Args:
            query: [T, Hq, D], packed as in :meth:`write`; Hq a multiple of Hkv.
            is_causal: hide the keys after each query's position; default True.
            **options: ``scale``, ``alibi_slopes``, ``window_left``, ``window_right``, ``softcap`` and ``sinks`` of
                :func:`torch_fused_attn.fused_attention_paged`, which also offers the lse.

        Returns:
            out [T, Hq, D] in query's dtype.

        Raises:
            RuntimeError: an argument is wrong (the message names it), the batch is stale, or grad mode is on and an
                input requires grad.
        """
        self.batch.check_not_stale()
        out = fused_attention_paged(
            query,
            self.key_cache,
            self.value_cache,
            self.batch.block_table,
            self.batch.seqused_k,
            self.batch.cu_seqlens_q,
            self.batch.max_seqlen_q,
            is_causal=is_causal,
            return_lse=False,
            **options,
        )
        return cast(Tensor, out)
