"""Fused attention for PyTorch: ``torch.ops.fused_attn.*``, functions and modules. Forward only.

The docstrings of the functions define the operators; ``docs/operators.md`` says which is which and what is checked where.
"""

from torch_fused_attn._load import is_run_as_program, load_extension
from torch_fused_attn._version import __version__

try:
    _C = load_extension()
except Exception:
    if not is_run_as_program():
        raise
    # `python -m torch_fused_attn doctor` is to say what is wrong, and its own code lies in this package.
    from torch_fused_attn.doctor import command

    command.run_instead_of_import()

from torch_fused_attn import fakes as _fakes  # noqa: F401  (registers the shape-only kernels; needs the extension)
from torch_fused_attn import flash_attn_interface, sdpa
from torch_fused_attn.cache_ops import copy_blocks_, merge_states, reshape_and_cache_
from torch_fused_attn.functional import (
    alibi_slopes,
    fused_attention,
    fused_attention_paged,
    fused_attention_varlen,
)
from torch_fused_attn.kernel_error import KernelError
from torch_fused_attn.modules import FusedAttention
from torch_fused_attn.multihead import FusedMultiheadAttention
from torch_fused_attn.paged_kv_cache import PagedBatch, PagedKVCache, PagedLayer
from torch_fused_attn.swap import SwapReport, swap_attention

__all__ = [
    "FusedAttention",
    "FusedMultiheadAttention",
    "KernelError",
    "PagedBatch",
    "PagedKVCache",
    "PagedLayer",
    "SwapReport",
    "__version__",
    "alibi_slopes",
    "copy_blocks_",
    "flash_attn_interface",
    "fused_attention",
    "fused_attention_paged",
    "fused_attention_varlen",
    "merge_states",
    "reshape_and_cache_",
    "sdpa",
    "swap_attention",
]
