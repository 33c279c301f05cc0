"""Good arguments of every operator, and the wrong ones that each must refuse: a table, one line a case."""

# ruff: noqa: E501  (a case is one line)

import math

import torch


def dense(device):
    """Arguments of a good call of ``forward``."""
    shapes = {"query": (2, 4, 5, 16), "key": (2, 2, 7, 16), "value": (2, 2, 7, 16)}
    return {name: torch.randn(shape, device=device) for name, shape in shapes.items()}


def varlen(device):
    """Arguments of a good call of ``varlen_forward``: lengths 2 and 3 of queries, 4 and 3 of keys."""
    return {
        "query": torch.randn(5, 4, 16, device=device),
        "key": torch.randn(7, 2, 16, device=device),
        "value": torch.randn(7, 2, 16, device=device),
        "cu_seqlens_q": torch.tensor([0, 2, 5], dtype=torch.int32, device=device),
        "cu_seqlens_k": torch.tensor([0, 4, 7], dtype=torch.int32, device=device),
        "max_seqlen_q": 3,
        "max_seqlen_k": 4,
    }


def paged(device):
    """Arguments of a good call of ``paged_forward``: 6 blocks of 4 keys, two sequences of 6 and 3 keys."""
    return {
        "query": torch.randn(3, 4, 16, device=device),
        "key_cache": torch.randn(6, 4, 2, 16, device=device),
        "value_cache": torch.randn(6, 4, 2, 16, device=device),
        "block_table": torch.tensor([[5, 2, -1], [0, -1, -1]], dtype=torch.int32, device=device),
        "seqused_k": torch.tensor([6, 3], dtype=torch.int32, device=device),
        "cu_seqlens_q": torch.tensor([0, 2, 3], dtype=torch.int32, device=device),
        "max_seqlen_q": 2,
    }


def cache_write(device):
    """Arguments of a good call of ``reshape_and_cache_``."""
    return {
        "key": torch.randn(3, 2, 16, device=device),
        "value": torch.randn(3, 2, 16, device=device),
        "key_cache": torch.zeros(6, 4, 2, 16, device=device),
        "value_cache": torch.zeros(6, 4, 2, 16, device=device),
        "slot_mapping": torch.tensor([0, -1, 23], device=device),
    }


def block_copy(device):
    """Arguments of a good call of ``copy_blocks_``."""
    return {
        "key_cache": torch.zeros(6, 4, 2, 16, device=device),
        "value_cache": torch.zeros(6, 4, 2, 16, device=device),
        "block_mapping": torch.tensor([[0, 1], [0, 2]], device=device),
    }


def merge(device):
    """Arguments of a good call of ``merge_states``."""
    return {
        "out_a": torch.randn(2, 4, 5, 16, device=device),
        "lse_a": torch.randn(2, 4, 5, device=device),
        "out_b": torch.randn(2, 4, 5, 16, device=device),
        "lse_b": torch.randn(2, 4, 5, device=device),
    }


GOOD = {
    "forward": dense,
    "varlen_forward": varlen,
    "paged_forward": paged,
    "reshape_and_cache_": cache_write,
    "copy_blocks_": block_copy,
    "merge_states": merge,
}


def int32(*entries):
    return lambda device: torch.tensor(entries, dtype=torch.int32, device=device)


def int64(*entries):
    return lambda device: torch.tensor(entries, device=device)


def randn(*shape, dtype=torch.float32):
    return lambda device: torch.randn(shape, device=device).to(dtype)


def strided(*shape):
    """Stride 2 in the last dimension."""
    return lambda device: torch.randn(*shape[:-1], 2 * shape[-1], device=device)[..., ::2]


def other_device(*shape, dtype=torch.float32):
    return lambda device: torch.empty(shape, dtype=dtype, device="meta")


def sparse(*shape):
    return lambda device: torch.randn(shape, device=device).to_sparse()


def plain(value):
    return lambda device: value


# fmt: off
# operator, argument, its wrong value, what the message says after "fused_attn.<operator>: "
CASES = [
    # shapes
    ("forward", "query", randn(4, 5, 16), r"query must have 4 dimensions, \[B, Hq, Lq, D\], but its shape is \[4, 5, 16\]"),
    ("forward", "key", randn(7, 16), r"key must have 4 dimensions, .* its shape is \[7, 16\]"),
    ("forward", "value", randn(1, 2, 2, 7, 16), r"value must have 4 dimensions"),
    ("forward", "key", randn(3, 2, 7, 16), r"key must have batch size 2 as query has, but its shape is \[3, 2, 7, 16\]"),
    ("forward", "value", randn(3, 2, 7, 16), r"value must have batch size 2 as query has"),
    ("forward", "key", randn(2, 2, 7, 8), r"key must have head_dim 16 as query has"),
    ("forward", "value", randn(2, 4, 7, 16), r"value must have number of heads 2 as key has"),
    ("forward", "value", randn(2, 2, 6, 16), r"value must have length 7 as key has"),
    ("forward", "query", randn(2, 3, 5, 16), r"query's number of heads must be a multiple of key's, but they are 3 and 2"),
    ("forward", "query", randn(2, 0, 5, 16), r"query must have at least 1 head, but has 0"),
    ("forward", "query", randn(2, 4, 5, 257), r"query's head_dim .* must be from 1 to 256, but is 257; use F\.scaled"),
    ("forward", "query", randn(2, 4, 5, 0), r"query's head_dim .* must be from 1 to 256, but is 0"),
    ("forward", "value", randn(2, 2, 7, 300), r"value's head_dim .* must be from 1 to 256, but is 300"),
    ("varlen_forward", "query", randn(1, 5, 4, 16), r"query must have 3 dimensions, \[total tokens, Hq, D\]"),
    ("varlen_forward", "key", randn(7, 2, 8), r"key must have head_dim 16 as query has"),
    ("varlen_forward", "value", randn(7, 2, 8), r"value must have head_dim 16 as query has"),
    ("varlen_forward", "value", randn(6, 2, 16), r"value must have number of tokens 7 as key has"),
    ("varlen_forward", "value", randn(7, 4, 16), r"value must have number of heads 2 as key has"),
    ("varlen_forward", "query", randn(5, 3, 16), r"query's number of heads must be a multiple of key's"),
    ("varlen_forward", "query", randn(5, 4, 257), r"query's head_dim .* must be from 1 to 256"),
    ("paged_forward", "query", randn(3, 1, 4, 16), r"query must have 3 dimensions"),
    ("paged_forward", "key_cache", randn(24, 2, 16), r"key_cache must have 4 dimensions, \[num_blocks, block_size, Hkv, D\]"),
    ("paged_forward", "key_cache", randn(6, 4, 2, 8), r"key_cache must have head_dim 16 as query has"),
    ("paged_forward", "value_cache", randn(5, 4, 2, 16), r"value_cache must have number of blocks 6 as key_cache has"),
    ("paged_forward", "value_cache", randn(6, 8, 2, 16), r"value_cache must have block_size 4 as key_cache has"),
    ("paged_forward", "value_cache", randn(6, 4, 1, 16), r"value_cache must have number of heads 2 as key_cache has"),
    ("paged_forward", "value_cache", randn(6, 4, 2, 8), r"value_cache must have head_dim 16 as query has"),
    ("paged_forward", "query", randn(3, 5, 16), r"query's number of heads must be a multiple of key_cache's"),
    ("reshape_and_cache_", "key", randn(3, 32), r"key must have 3 dimensions, \[T, Hkv, D\]"),
    ("reshape_and_cache_", "key", randn(3, 1, 16), r"key must have as many heads as the cache, 2, but"),
    ("reshape_and_cache_", "value", randn(3, 2, 8), r"value must have the cache's head_dim, 16, but"),
    ("reshape_and_cache_", "value", randn(2, 2, 16), r"value must have as many tokens as key, 3, but"),
    ("reshape_and_cache_", "value_cache", randn(6, 4, 1, 16), r"value_cache must have the shape of key_cache"),
    ("reshape_and_cache_", "key_cache", randn(6, 8, 16), r"key_cache must have 4 dimensions"),
    ("reshape_and_cache_", "slot_mapping", int64(0, 1), r"slot_mapping must have one entry for each token of key, 3"),
    ("copy_blocks_", "value_cache", randn(5, 4, 2, 16), r"value_cache must have the shape of key_cache"),
    ("copy_blocks_", "block_mapping", int64(0, 1), r"block_mapping must have 2 dimensions, \[N, 2\]"),
    ("copy_blocks_", "block_mapping", int64([0, 1, 2]), r"block_mapping must be \[N, 2\], pairs of source and destination"),
    ("merge_states", "out_a", randn(4, 16), r"out_a must be \[B, H, L, D\] .* or \[T, H, D\]"),
    ("merge_states", "out_b", randn(2, 4, 6, 16), r"out_b must have the shape of out_a"),
    ("merge_states", "out_b", randn(4, 5, 16), r"out_b must have 4 dimensions"),
    ("merge_states", "lse_a", randn(2, 5, 4), r"lse_a must be \[B, H, L\] for out_a's shape"),
    ("merge_states", "lse_b", randn(2, 4), r"lse_b must have 3 dimensions"),
    # dtypes
    ("forward", "query", randn(2, 4, 5, 16, dtype=torch.float64), r"query must be float32, float16 or bfloat16, but is Double"),
    ("forward", "key", randn(2, 2, 7, 16, dtype=torch.float16), r"key must have the dtype of query, Float, but is Half"),
    ("forward", "value", randn(2, 2, 7, 16, dtype=torch.bfloat16), r"value must have the dtype of query, Float"),
    ("varlen_forward", "query", randn(5, 4, 16, dtype=torch.int64), r"query must be float32, float16 or bfloat16"),
    ("varlen_forward", "key", randn(7, 2, 16, dtype=torch.float16), r"key must have the dtype of query"),
    ("varlen_forward", "cu_seqlens_q", int64(0, 2, 5), r"cu_seqlens_q must be Int, but is Long; .*\.to\(torch\.int32\)"),
    ("varlen_forward", "cu_seqlens_k", int64(0, 4, 7), r"cu_seqlens_k must be Int, but is Long"),
    ("paged_forward", "key_cache", randn(6, 4, 2, 16, dtype=torch.float16), r"key_cache must have the dtype of query"),
    ("paged_forward", "block_table", int64([5, 2, -1], [0, -1, -1]), r"block_table must be Int, but is Long"),
    ("paged_forward", "seqused_k", int64(6, 3), r"seqused_k must be Int, but is Long"),
    ("paged_forward", "cu_seqlens_q", int64(0, 2, 3), r"cu_seqlens_q must be Int, but is Long"),
    ("reshape_and_cache_", "key", randn(3, 2, 16, dtype=torch.float16), r"key must have the dtype of key_cache, Float"),
    ("reshape_and_cache_", "slot_mapping", int32(0, 1, 2), r"slot_mapping must be Long, but is Int; .*torch\.int64"),
    ("reshape_and_cache_", "key_cache", randn(6, 4, 2, 16, dtype=torch.float64), r"key_cache must be float32, float16 or"),
    ("copy_blocks_", "value_cache", randn(6, 4, 2, 16, dtype=torch.float16), r"value_cache must have the dtype of key_cache"),
    ("copy_blocks_", "block_mapping", int32([0, 1]), r"block_mapping must be Long, but is Int"),
    ("merge_states", "out_b", randn(2, 4, 5, 16, dtype=torch.float16), r"out_b must have the dtype of out_a"),
    ("merge_states", "out_a", randn(2, 4, 5, 16, dtype=torch.float64), r"out_a must be float32, float16 or bfloat16"),
    ("merge_states", "lse_b", randn(2, 4, 5, dtype=torch.float16), r"lse_b must be float32"),
    # devices and memory
    ("forward", "key", other_device(2, 2, 7, 16), r"key must be on the device of query, \S+, but is on meta; move it with"),
    ("forward", "attn_mask", other_device(5, 7), r"attn_mask must be on the device of query"),
    ("forward", "alibi_slopes", other_device(4), r"alibi_slopes must be on the device of query"),
    ("forward", "sinks", other_device(4), r"sinks must be on the device of query"),
    ("varlen_forward", "cu_seqlens_q", other_device(3, dtype=torch.int32), r"cu_seqlens_q must be on the device of query"),
    ("paged_forward", "value_cache", other_device(6, 4, 2, 16), r"value_cache must be on the device of query"),
    ("paged_forward", "block_table", other_device(2, 3, dtype=torch.int32), r"block_table must be on the device of query"),
    ("reshape_and_cache_", "value", other_device(3, 2, 16), r"value must be on the device of key_cache"),
    ("copy_blocks_", "block_mapping", other_device(1, 2, dtype=torch.int64), r"block_mapping must be on the device of key_cache"),
    ("merge_states", "lse_a", other_device(2, 4, 5), r"lse_a must be on the device of out_a"),
    ("forward", "query", strided(2, 4, 5, 16), r"query must have stride 1 in its last dimension, but its strides are .*contiguous"),
    ("forward", "value", strided(2, 2, 7, 16), r"value must have stride 1 in its last dimension"),
    ("varlen_forward", "key", strided(7, 2, 16), r"key must have stride 1 in its last dimension"),
    ("paged_forward", "key_cache", strided(6, 4, 2, 16), r"key_cache must have stride 1 in its last dimension"),
    ("reshape_and_cache_", "key", strided(3, 2, 16), r"key must have stride 1 in its last dimension"),
    ("reshape_and_cache_", "value_cache", strided(6, 4, 2, 16), r"value_cache must have stride 1 in its last dimension"),
    ("varlen_forward", "cu_seqlens_q", lambda d: int32(0, 9, 2, 9, 5, 9)(d)[::2], r"cu_seqlens_q must be contiguous"),
    ("paged_forward", "block_table", lambda d: int32([0, 1], [1, 0], [2, 0])(d).t(), r"block_table must be contiguous"),
    ("reshape_and_cache_", "key_cache", lambda d: torch.zeros(1, 4, 2, 16, device=d).expand(6, 4, 2, 16),
     r"key_cache must not share memory between its elements, because it is written"),
    ("copy_blocks_", "value_cache", lambda d: torch.zeros(6, 4, 1, 16, device=d).expand(6, 4, 2, 16),
     r"value_cache must not share memory between its elements"),
    ("forward", "query", sparse(2, 4, 5, 16), r"query must be a dense \(strided\) tensor"),
    ("forward", "attn_mask", sparse(5, 7), r"attn_mask must be a dense \(strided\) tensor"),
    # options
    ("forward", "scale", plain(math.nan), r"scale must be a finite number, but is nan"),
    ("forward", "scale", plain(math.inf), r"scale must be a finite number, but is inf"),
    ("varlen_forward", "scale", plain(math.nan), r"scale must be a finite number"),
    ("paged_forward", "scale", plain(math.nan), r"scale must be a finite number"),
    ("forward", "softcap", plain(-1.0), r"softcap must be a finite number >= 0, but is -1; 0 turns it off"),
    ("varlen_forward", "softcap", plain(math.nan), r"softcap must be a finite number >= 0, but is nan"),
    ("paged_forward", "softcap", plain(math.inf), r"softcap must be a finite number >= 0, but is inf"),
    ("forward", "window_left", plain(-2), r"window_left must be -1 \(unlimited\) or a number of keys >= 0, but is -2"),
    ("varlen_forward", "window_right", plain(-7), r"window_right must be -1 \(unlimited\) .* but is -7"),
    ("paged_forward", "window_left", plain(-3), r"window_left must be -1"),
    ("forward", "causal_alignment", plain("left"), r'causal_alignment must be "bottom_right" or "top_left", but is "left"'),
    ("forward", "attn_mask", randn(5, 6), r"attn_mask must be broadcastable to .* here \[2, 4, 5, 7\], but its shape is \[5, 6\]"),
    ("forward", "attn_mask", randn(3, 1, 5, 7), r"attn_mask must be broadcastable to"),
    ("forward", "attn_mask", randn(1, 2, 4, 5, 7), r"attn_mask must be broadcastable to"),
    ("forward", "attn_mask", randn(5, 7, dtype=torch.float64), r"attn_mask must be bool .* but is Double"),
    ("forward", "attn_mask", randn(5, 7, dtype=torch.int32), r"attn_mask must be bool .* but is Int"),
    ("forward", "alibi_slopes", randn(4, dtype=torch.float16), r"alibi_slopes must be float32, but is Half"),
    ("forward", "alibi_slopes", randn(2), r"alibi_slopes must be \[Hq\] or \[B, Hq\], here \[4\] or \[2, 4\], but its shape is \[2\]"),
    ("forward", "alibi_slopes", randn(3, 4), r"alibi_slopes must be \[Hq\] or \[B, Hq\]"),
    ("varlen_forward", "alibi_slopes", randn(3, 4), r"alibi_slopes must be .* here \[4\] or \[2, 4\]"),
    ("paged_forward", "alibi_slopes", randn(1, 2, 4), r"alibi_slopes must be \[Hq\] or \[B, Hq\]"),
    ("forward", "sinks", randn(2), r"sinks must be \[Hq\], here \[4\], one logit for each query head, but its shape is \[2\]"),
    ("forward", "sinks", randn(4, dtype=torch.float16), r"sinks must be float32 or have query's dtype, Float, but is Half"),
    ("paged_forward", "sinks", randn(2, 4), r"sinks must be \[Hq\]"),
    ("varlen_forward", "max_seqlen_q", plain(-1), r"max_seqlen_q must be at least 0, the longest sequence's length, but is -1"),
    ("varlen_forward", "max_seqlen_k", plain(-1), r"max_seqlen_k must be at least 0"),
    ("paged_forward", "max_seqlen_q", plain(-5), r"max_seqlen_q must be at least 0"),
    ("varlen_forward", "cu_seqlens_q", lambda d: int32()(d), r"cu_seqlens_q must have B \+ 1 entries, at least 1, but is empty"),
    ("varlen_forward", "cu_seqlens_k", int32(0, 3, 4, 7), r"cu_seqlens_k must have length 3 as cu_seqlens_q has"),
    ("paged_forward", "seqused_k", int32(6), r"seqused_k must have length 2 as block_table has"),
    ("paged_forward", "cu_seqlens_q", int32(0, 3), r"cu_seqlens_q must have length \(B \+ 1\) 3 as block_table has"),
]

# What lengths and tables contain: refused where they are in host memory, made safe by the kernels elsewhere.
CONTENTS = [
    ("varlen_forward", "cu_seqlens_q", int32(1, 2, 5), r"cu_seqlens_q must start with 0, but starts with 1"),
    ("varlen_forward", "cu_seqlens_q", int32(0, -2, 5), r"cu_seqlens_q must never fall, but entry 1 is -2 after 0"),
    ("varlen_forward", "cu_seqlens_k", int32(0, 8, 7), r"max_seqlen_k must be at least .* but is 4 while cu_seqlens_k gives sequence 0 a length of 8"),
    ("varlen_forward", "cu_seqlens_q", int32(0, 2, 4), r"cu_seqlens_q must end with 5, the number of tokens in query, but ends with 4"),
    ("varlen_forward", "cu_seqlens_k", int32(0, 4, 8), r"cu_seqlens_k must end with 7, the number of tokens in key, but ends with 8"),
    ("varlen_forward", "max_seqlen_q", plain(2), r"max_seqlen_q must be at least .* but is 2 while cu_seqlens_q gives sequence 1 a length of 3"),
    ("paged_forward", "cu_seqlens_q", int32(0, 2, 4), r"cu_seqlens_q must end with 3, the number of tokens in query"),
    ("paged_forward", "max_seqlen_q", plain(1), r"max_seqlen_q must be at least"),
    ("paged_forward", "seqused_k", int32(-1, 3), r"seqused_k\[0\] must be from 0 to 12 \(block_table's 3 blocks of 4 keys\), but is -1"),
    ("paged_forward", "seqused_k", int32(6, 13), r"seqused_k\[1\] must be from 0 to 12"),
    ("paged_forward", "seqused_k", int32(6, 5), r"block_table\[1, 1\] must be from 0 to 5 because seqused_k\[1\] = 5 keys reach it, but is -1"),
    ("paged_forward", "block_table", int32([5, 6, -1], [0, -1, -1]), r"block_table\[0, 1\] must be from 0 to 5 .* but is 6"),
    ("paged_forward", "block_table", int32([-1, 2, -1], [0, -1, -1]), r"block_table\[0, 0\] must be from 0 to 5 .* but is -1"),
    ("reshape_and_cache_", "slot_mapping", int64(0, 1, 24), r"slot_mapping\[2\] must be less than 24 \(6 blocks of 4\), or negative to skip"),
    ("copy_blocks_", "block_mapping", int64([0, 6]), r"block_mapping\[0, 1\] must be from 0 to 5, but is 6"),
    ("copy_blocks_", "block_mapping", int64([0, 1], [-1, 2]), r"block_mapping\[1, 0\] must be from 0 to 5, but is -1"),
    ("copy_blocks_", "block_mapping", int64([0, 1], [2, 1]), r"block_mapping must name each destination once, but 1 is named again by pair 1"),
    ("copy_blocks_", "block_mapping", int64([0, 1], [1, 2]), r"block_mapping must not use a block both as a destination and as a source, but pair 0 writes block 1"),
]
