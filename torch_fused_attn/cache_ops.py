"""Functions on paged caches and on partial results: thin, typed wrappers of ``torch.ops.fused_attn``."""

import torch
from torch import Tensor


def reshape_and_cache_(
    key: Tensor, value: Tensor, key_cache: Tensor, value_cache: Tensor, slot_mapping: Tensor
) -> None:
    """Write the keys and values of new tokens to their slots of a paged cache, in place.

    Args:
        key: [T, Hkv, D], the caches' dtype and device; any strides, but 1 in the last dimension.
        value: [T, Hkv, D].
        key_cache: [num_blocks, block_size, Hkv, D], fp32, fp16 or bf16; written.
        value_cache: key_cache's shape; written.
        slot_mapping: int64 [T], ``block * block_size + offset``; a negative entry skips its token. Slots must differ: where
            two tokens name the same one, either may remain.

    Raises:
        RuntimeError: an argument is wrong (the message names it); nothing is written then.
        KernelError: Metal refuses the kernel; nothing is written then either.

    Source: W. Kwon et al., "PagedAttention", SOSP 2023, section 4.2; the slot convention is vLLM's.
    """
    torch.ops.fused_attn.reshape_and_cache_(key, value, key_cache, value_cache, slot_mapping)


def copy_blocks_(key_cache: Tensor, value_cache: Tensor, block_mapping: Tensor) -> None:
    """Copy whole blocks within a paged cache, in place: copy-on-write of shared prefixes, beam search.

    The pairs are independent of each other: a block is the destination of one pair at most, and never also the source of
    another. A cache with layers copies all of them at once when their block dimension is merged with the layers'.

    Args:
        key_cache: [num_blocks, block_size, Hkv, D], fp32, fp16 or bf16; written.
        value_cache: key_cache's shape, dtype and device; written.
        block_mapping: int64 [N, 2], pairs of source and destination.

    Raises:
        RuntimeError: an argument is wrong (the message names it); nothing is written then.
        KernelError: Metal refuses the kernel; nothing is written then either.

    Source: W. Kwon et al., "PagedAttention", SOSP 2023, section 4.4.
    """
    torch.ops.fused_attn.copy_blocks_(key_cache, value_cache, block_mapping)


def merge_states(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the attention over two disjoint sets of keys from the attention over each.

    With ``w = exp(lse_a) / (exp(lse_a) + exp(lse_b))``: ``out = w * out_a + (1 - w) * out_b``, ``lse = log(exp(lse_a) +
    exp(lse_b))``, computed without overflow. A side whose lse is -inf saw no key and counts for nothing; sinks belong to one
    of the sides only.

    Args:
        out_a: [B, H, L, D] as ``fused_attention`` returns it, or [T, H, D] as the packed forms do; fp32, fp16 or bf16.
        lse_a: fp32 [B, H, L], or [H, T].
        out_b: out_a's shape, dtype and device.
        lse_b: lse_a's shape.

    Returns:
        out in out_a's shape and dtype, and lse fp32; 0 and -inf where neither side saw a key.

    Raises:
        RuntimeError: an argument is wrong (the message names it).
        KernelError: Metal refuses the kernel.

    Source: M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax", 2018, section 3.1.
    """
    out, lse = torch.ops.fused_attn.merge_states(out_a, lse_a, out_b, lse_b)
    return out, lse
