"""What the drop-in interfaces do to tensors before the operators see them."""

import torch
from torch import Tensor


def with_unit_stride(tensor: Tensor) -> Tensor:
    """Return the tensor as the operators take it: itself, or a copy if its last dimension is strided."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def is_readable(tensor: Tensor) -> bool:
    """Return whether the contents may be looked at without waiting for a device, or guessing in a traced graph."""
    return type(tensor) is Tensor and tensor.device.type == "cpu" and not torch.compiler.is_compiling()
