"""``torch.mps.compile_shader``: torch's ``_mps_ShaderLibrary`` and ``_mps_MetalKernel``, which exist in macOS builds only."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import torch

#: How ``arg_casts`` names the type of a scalar, as struct.pack has it; bfloat16 is not among struct's.
_CASTS = {"fp16": "e", "int32": "i", "int16": "h", "int8": "b", "uint8": "B"}
_INT64, _FLOAT = "q", "f"

Threads = int | Sequence[int] | None
ArgumentCasts = str | Mapping[int, str] | None


class ShaderLibrary:
    """Metal source, compiled; its kernels are attributes.

    Raises:
        SyntaxError: the source does not compile.
    """

    def __init__(self, source: str) -> None:
        self._library = torch.classes.metalsim.ShaderLibrary(source)

    def __getattr__(self, name: str) -> "MetalKernel":
        if name == "_library":
            raise AttributeError(name)
        return MetalKernel(self._library.kernel(name))

    def __dir__(self) -> list[str]:
        return list(self._library.names())


class MetalKernel:
    """One kernel of a library, to be called with its arguments."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    @property
    def max_threads_per_threadgroup(self) -> int:
        """The most threads that a threadgroup of this kernel may have."""
        return int(self._kernel.max_threads_per_threadgroup())

    @property
    def thread_execution_width(self) -> int:
        """The threads of a simdgroup."""
        return int(self._kernel.thread_execution_width())

    @property
    def static_thread_group_memory_length(self) -> int:
        """Bytes of the threadgroup variables in the kernel."""
        return int(self._kernel.static_thread_group_memory_length())

    def __call__(
        self,
        *args: Any,
        threads: Threads = None,
        group_size: Threads = None,
        arg_casts: ArgumentCasts = None,
        error_buf_idx: int | None = None,
    ) -> None:
        """Encode a dispatch on torch's stream.

        Args:
            args: for the buffers 0, 1, ...: tensors, numbers, and lists of numbers or of tensors (whose addresses the kernel
                gets). A float becomes Metal's float and an int its long, unless cast.
            threads: of the grid, for up to three axes; by default as many as the first tensor has elements.
            group_size: threads of a threadgroup; by default as many as fit.
            arg_casts: the type of the numbers, for all or by index: "fp16", "bf16", "int32", "int16", "int8" or "uint8".
            error_buf_idx: the buffer in which the kernel reports errors (c10/metal/error.h).
        """
        cast_of = _cast_reader(arg_casts)
        tensors = [_argument(value, cast_of(index)) for index, value in enumerate(args)]
        if threads is None:
            first = next((value for value in args if isinstance(value, torch.Tensor)), None)
            threads = None if first is None else first.numel()
        grid, group = _axes(threads), _axes(group_size)
        if not grid:
            raise RuntimeError("Number of threads is undefined or has wrong dimension")
        if group and len(group) != len(grid):
            raise RuntimeError(
                f"threads has {len(grid)} axes and group_size has {len(group)}; they must have the same number."
            )
        self._kernel.run(tensors, grid, group, -1 if error_buf_idx is None else error_buf_idx)


def _axes(value: Threads) -> list[int]:
    if value is None:
        return []
    axes = [value] if isinstance(value, int) else [int(length) for length in value]
    if not 1 <= len(axes) <= 3:
        raise RuntimeError(f"threads and group_size have one to three axes: got {len(axes)}.")
    return axes


def _cast_reader(casts: ArgumentCasts) -> Any:
    if casts is None or isinstance(casts, str):
        return lambda index: casts
    if isinstance(casts, Mapping):
        return casts.get
    raise RuntimeError(f"Unexpected caster arg type {type(casts).__name__}")


def _argument(value: Any, cast: str | None) -> torch.Tensor:
    """Return a tensor argument itself, anything else as a vector of bytes."""
    if isinstance(value, torch.Tensor):
        if value.device.type == "cpu" and value.dim() != 0:
            raise RuntimeError("Passed CPU tensor to MPS op")
        return value
    if isinstance(value, list | tuple):
        if not value:
            raise RuntimeError("Empty list/tuple can not be an argument to metal kernel")
        if isinstance(value[0], torch.Tensor):
            return _bytes("q", [torch.ops.metalsim.gpu_address(tensor) for tensor in value])
        if not isinstance(value[0], int | float):
            raise RuntimeError("Unexpected argument types")
        return _numbers(value, cast)
    if isinstance(value, int | float):
        return _numbers([value], cast)
    raise RuntimeError("Unsupported argument type")


def _numbers(values: Sequence[int | float], cast: str | None) -> torch.Tensor:
    is_float = isinstance(values[0], float)
    if cast is None:
        return _bytes(_FLOAT if is_float else _INT64, values)
    if cast == "bf16":
        return torch.tensor(values, dtype=torch.float32).to(torch.bfloat16).view(torch.uint8)
    if cast not in _CASTS:
        raise RuntimeError(f"Unsupported cast instruction {cast}")
    code = _CASTS[cast]
    if code == "e":
        return _bytes(code, values)
    bits = 8 * struct.calcsize(code)
    return _bytes(code, [_wrapped(int(value), bits, is_signed=code != "B") for value in values])


def _wrapped(value: int, bits: int, *, is_signed: bool) -> int:
    """Return the integer that C++'s conversion leaves of a value."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if is_signed and value >> (bits - 1) else value


def _bytes(code: str, values: Sequence[int | float]) -> torch.Tensor:
    return torch.frombuffer(bytearray(struct.pack(f"<{len(values)}{code}", *values)), dtype=torch.uint8)
