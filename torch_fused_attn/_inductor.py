"""What inductor has to be told so that compiled code calls the operators right."""

import functools
from importlib import import_module
from typing import Any

import torch
from torch import Tensor


def prepare_for_written_views(*tensors: Tensor) -> None:
    """Let inductor keep where written tensors begin in those that they are views of, where that depends on a size.

    Inductor (torch 2.13) has no lowering for ``aten.sym_storage_offset`` and takes 0 for it: with dynamic shapes one layer of
    a cache, ``key_cache[layer]``, would be written over layer 0. Source: pytorch issue 198068.

    Args:
        *tensors: what an operator writes, as seen while a graph is traced.
    """
    if any(isinstance(tensor.storage_offset(), torch.SymInt) for tensor in tensors):
        _keep_storage_offsets()


@functools.cache
def _keep_storage_offsets() -> None:
    """Register the lowering, unless torch has it; not before it is needed, since importing inductor takes seconds."""
    lowering = import_module("torch._inductor.lowering")
    virtualized = import_module("torch._inductor.virtualized").V
    operator = torch.ops.aten.sym_storage_offset

    def sym_storage_offset(_: Any) -> Any:
        offset = virtualized.graph.current_node.meta["val"]
        return offset.node.expr if isinstance(offset, torch.SymInt) else int(offset)

    if operator.default not in lowering.lowerings:
        lowering.register_lowering(operator, type_promotion_kind=None)(sym_storage_offset)
