"""The runtime library seen from Python: native/runtime/request.h, field by field."""

import ctypes
import functools
import json
from typing import Any

from metalsim import toolchain

MAX_BINDINGS = 31
SIMD_WIDTH = 32
THREADGROUP_MEMORY = 32768

CHECK, COUNT, LINES = 1, 2, 4

#: abi::ArgumentKind
BUFFER, THREADGROUP_MEMORY_ARGUMENT = 0, 1


class Argument(ctypes.Structure):
    """abi::Argument."""

    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("alignment", ctypes.c_uint32),
        ("is_reference", ctypes.c_bool),
        ("is_writable", ctypes.c_bool),
        ("is_enabled", ctypes.c_bool),
        ("name", ctypes.c_char_p),
    )


class Kernel(ctypes.Structure):
    """abi::Kernel, the symbol ``metalsim_kernel`` of a pipeline's library."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("run", ctypes.c_void_p),
        ("arguments", ctypes.POINTER(Argument)),
        ("argument_count", ctypes.c_uint32),
        ("max_threads_per_threadgroup", ctypes.c_uint32),
        ("used_buffers", ctypes.POINTER(ctypes.c_uint32)),
        ("threadgroup_bytes", ctypes.POINTER(ctypes.c_uint32)),
    )


class Binding(ctypes.Structure):
    """metalsim::Binding."""

    _fields_ = (("address", ctypes.c_void_p), ("memory", ctypes.c_void_p), ("memory_size", ctypes.c_uint64))


class Request(ctypes.Structure):
    """metalsim::Request."""

    _fields_ = (
        ("kernel", ctypes.POINTER(Kernel)),
        ("threads_per_grid", ctypes.c_uint32 * 3),
        ("threads_per_threadgroup", ctypes.c_uint32 * 3),
        ("buffers", Binding * MAX_BINDINGS),
        ("threadgroup_memory", ctypes.c_uint64 * MAX_BINDINGS),
        ("workers", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("schedule", ctypes.c_uint32),
        ("seed", ctypes.c_uint64),
    )


@functools.cache
def library() -> ctypes.CDLL:
    """Return the runtime, loaded so that kernels' libraries find its functions."""
    loaded = ctypes.CDLL(str(toolchain.runtime_library()), mode=ctypes.RTLD_GLOBAL)
    loaded.metalsim_dispatch.argtypes = [ctypes.POINTER(Request)]
    loaded.metalsim_dispatch.restype = ctypes.c_char_p
    loaded.metalsim_allocate_guarded.argtypes = [ctypes.c_uint64]
    loaded.metalsim_allocate_guarded.restype = ctypes.c_void_p
    loaded.metalsim_release_guarded.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    loaded.metalsim_release_guarded.restype = None
    return loaded


def dispatch(request: Request) -> dict[str, Any]:
    """Run a dispatch and return what the runtime says about it."""
    answer: dict[str, Any] = json.loads(library().metalsim_dispatch(ctypes.byref(request)))
    return answer


class GuardedMemory:
    """Memory of the process that ends right before a page that may not be touched."""

    def __init__(self, size: int) -> None:
        self.size = size
        address = library().metalsim_allocate_guarded(size)
        if not address:
            raise MemoryError(f"metalsim could not allocate {size} bytes for a copy of the buffers")
        self.address: int = address

    def release(self) -> None:
        """Give the memory back."""
        library().metalsim_release_guarded(self.address, self.size)
