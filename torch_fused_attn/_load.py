"""Loads the compiled extension, or says in one sentence why it cannot be loaded and what to do."""

import importlib
from types import ModuleType

import torch

_REBUILD = (
    "rebuild it for this torch with `pip install --force-reinstall --no-build-isolation --no-deps torch-fused-attn`"
)


def _release(version: str) -> tuple[str, ...]:
    """Return the part of a torch version within which the C++ ABI is stable: ``2.13.0+cpu`` → ``("2", "13")``."""
    return tuple(version.split("+")[0].split(".")[:2])


def load_extension() -> ModuleType:
    """Import ``torch_fused_attn._C`` and thereby register ``torch.ops.fused_attn``.

    Raises:
        ImportError: the extension was never built, was built against another torch release, or does not load.
    """
    try:
        build_info = importlib.import_module("torch_fused_attn._build_info")
    except ModuleNotFoundError:
        raise ImportError(
            "torch_fused_attn was not built: run `pip install --no-build-isolation .` in its source tree, "
            "and start Python outside of that tree."
        ) from None
    if _release(build_info.TORCH_VERSION) != _release(torch.__version__):
        raise ImportError(
            f"torch_fused_attn was built against torch {build_info.TORCH_VERSION}, but torch {torch.__version__} is "
            f"running: {_REBUILD}, or install torch {build_info.TORCH_VERSION}."
        )
    try:
        return importlib.import_module("torch_fused_attn._C")
    except ImportError as error:
        raise ImportError(f"torch_fused_attn's extension does not load ({error}): {_REBUILD}.") from error
