"""NVIDIA's driver, through NVIDIA's own bindings, on the stream and in the context that torch uses."""

import ctypes
import functools
import importlib
from types import ModuleType
from typing import Any

from metalsim.errors import ToolchainError, ValidationError


@functools.cache
def bindings() -> ModuleType:
    """Return the module of the bindings, with torch's context current.

    Raises:
        ValidationError: if there is no GPU.
        ToolchainError: if the bindings are missing.
    """
    import torch

    if not torch.cuda.is_available():
        raise ValidationError(
            "metalsim.cuda runs kernels on an NVIDIA GPU, and torch sees none here: write pipelines with "
            "metalsim.cuda.save() and run them where there is one, or run the source by metalsim.compile()"
        )
    try:
        driver = importlib.import_module("cuda.bindings.driver")
    except ImportError as error:
        raise ToolchainError(
            "metalsim.cuda needs NVIDIA's cuda-bindings, which are not installed: pip install cuda-bindings"
        ) from error
    torch.zeros(1, device="cuda")  # makes torch's context, and makes it this thread's
    return driver


def call(name: str, *arguments: Any) -> Any:
    """Call a function of the driver and return what it returns besides its status.

    Raises:
        RuntimeError: with the driver's own words, if it fails.
    """
    driver = bindings()
    status, *results = getattr(driver, name)(*arguments)
    if status != driver.CUresult.CUDA_SUCCESS:
        _, text = driver.cuGetErrorString(status)
        raise RuntimeError(f"the NVIDIA driver's {name} failed: {text.decode() if text else status}")
    return results[0] if len(results) == 1 else results


class Function:
    """Loaded code of a kernel. A device that torch makes current later is not served."""

    def __init__(self, code: bytes, entry: str) -> None:
        self._module = call("cuModuleLoadData", code + b"\0")
        self._function = call("cuModuleGetFunction", self._module, entry.encode())

    def attribute(self, name: str) -> int:
        """Return what the driver says of the function: ``NUM_REGS``, ``LOCAL_SIZE_BYTES``, ``SHARED_SIZE_BYTES``."""
        attribute = getattr(bindings().CUfunction_attribute, f"CU_FUNC_ATTRIBUTE_{name}")
        return int(call("cuFuncGetAttribute", attribute, self._function))

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        shared_bytes: int,
        parameters: ctypes.Structure,
    ) -> None:
        """Put a launch on torch's current stream."""
        import torch

        stream = torch.cuda.current_stream().cuda_stream
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(parameters))
        driver = bindings()
        call(
            "cuLaunchKernel",
            self._function,
            *grid,
            *block,
            shared_bytes,
            driver.CUstream(stream),
            ctypes.addressof(pointers),
            0,
        )
