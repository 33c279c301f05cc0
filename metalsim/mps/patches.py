"""What torch's build for Linux lacks on the Python side of MPS, put in its place."""

import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from metalsim.mps import operators, shaders

_library: ctypes.CDLL | None = None


def apply(library: Path) -> None:
    """Complete torch's Python side.

    Args:
        library: libmetalsim_mps.so, loaded.
    """
    global _library
    _library = ctypes.CDLL(str(library))
    _library.metalsim_set_strict_operators.argtypes = [ctypes.c_char_p]
    _library.metalsim_track_operators.argtypes = [ctypes.c_bool]

    # torch.backends.mps.is_built() and torch.mps.device_count() read it.
    torch._C._has_mps = True
    # Its answer from before the device was loaded is cached.
    torch.backends.mps.is_available.cache_clear()
    _fill_module()
    _patch_storage()
    refuse_missing_operators(os.environ.get("METALSIM_STRICT_OPERATORS") == "1")


def refuse_missing_operators(on: bool) -> None:
    """Switch strict mode on or off: operators for which torch has no MPS kernel raise NotImplementedError, as on a Mac."""
    _loaded().metalsim_set_strict_operators("\n".join(operators.native_operators()).encode() if on else None)


def track_operators(on: bool) -> None:
    """Switch on or off that the device knows which operator encodes a dispatch; it costs each operator a microsecond."""
    _loaded().metalsim_track_operators(on)


def _loaded() -> ctypes.CDLL:
    if _library is None:
        raise RuntimeError("metalsim's mps device is not loaded: start the process with METALSIM=1.")
    return _library


# ---- torch._C ------------------------------------------------------------------------------------------------------


def _fill_module() -> None:
    """Set the functions of torch/csrc/mps that are compiled only for macOS."""
    functions: dict[str, Callable[..., Any]] = {
        # torch.backends.mps.get_name and get_core_count
        "_mps_get_name": torch.ops.metalsim.device_name,
        "_mps_get_core_count": torch.ops.metalsim.device_core_count,
        # torch.mps.compile_shader and load_metallib
        "_mps_compileShader": shaders.ShaderLibrary,
        "_mps_loadMetalllib": _refuse_metallib,
        "_mps_loadMetallibFromPath": _refuse_metallib,
        # torch.mps.profiler: there are no GPU traces
        "_mps_isCaptureEnabled": lambda: False,
        "_mps_isCapturing": lambda: False,
        "_mps_startCapture": _refuse_capture,
        "_mps_stopCapture": lambda: None,
        # torch.mps._host_alias_storage
        "_mps_host_alias_storage": _host_alias_storage,
        # Types that programs ask isinstance about
        "_mps_ShaderLibrary": shaders.ShaderLibrary,
        "_mps_MetalKernel": shaders.MetalKernel,
    }
    for name, function in functions.items():
        if not hasattr(torch._C, name):
            setattr(torch._C, name, function)


def _refuse_metallib(source: bytes | str) -> None:
    raise NotImplementedError(
        "torch.mps.load_metallib: a metallib holds code for Apple's GPUs, which metalsim cannot run; pass the kernels' "
        "source to torch.mps.compile_shader."
    )


def _refuse_capture(name: str) -> None:
    raise NotImplementedError(
        f"torch.mps.profiler.metal_capture({name!r}): metalsim's device writes no GPU traces; metalsim counts what "
        "kernels do."
    )


# ---- storages ------------------------------------------------------------------------------------------------------


def _tensor_over(storage: torch.UntypedStorage) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8, device="mps").set_(storage)


def _host_alias_storage(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    if storage.device.type != "mps":
        raise RuntimeError(f"_host_alias_storage: the storage is on {storage.device}; it must be on mps.")
    alias: torch.Tensor = torch.ops.metalsim.host_alias(_tensor_over(storage))
    return alias.untyped_storage()


def _is_mps(device: Any) -> bool:
    return device is not None and torch.device(device).type == "mps"


def _patch_storage() -> None:
    """Let UntypedStorage be made, and resized, on mps: torch has both behind ``#ifdef USE_MPS``."""
    original_new = torch.UntypedStorage.__new__
    original_resize = torch.UntypedStorage.resize_

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        if not _is_mps(kwargs.get("device")):
            return original_new(cls, *args, **kwargs)
        size = args[0] if args else kwargs.get("size", 0)
        if isinstance(size, int):
            return torch.empty(size, dtype=torch.uint8, device="mps").untyped_storage()
        return torch.tensor(list(size), dtype=torch.uint8).to("mps").untyped_storage()

    @functools.wraps(original_resize)
    def resize_(self: torch.UntypedStorage, size: int) -> torch.UntypedStorage:
        if self.device.type != "mps":
            original_resize(self, size)
            return self
        torch.ops.metalsim.resize_storage(_tensor_over(self), size)
        return self

    torch.UntypedStorage.__new__ = staticmethod(new)  # type: ignore[method-assign]
    torch.UntypedStorage.resize_ = resize_  # type: ignore[assignment, method-assign]
