"""Loads the compiled extension, or says in one sentence why it cannot be loaded and what to do."""

import importlib
import sys
from types import ModuleType

_REBUILD = (
    "rebuild it for this torch with `pip install --force-reinstall --no-build-isolation --no-deps torch-fused-attn`"
)


class LoadError(ImportError):
    """The extension cannot be loaded.

    Attributes:
        problem: why.
        way_out: what to do, an imperative.
    """

    def __init__(self, problem: str, way_out: str) -> None:
        super().__init__(f"{problem}: {way_out}.")
        self.problem = problem
        self.way_out = way_out


def release_of(version: str) -> tuple[str, ...]:
    """Return the part of a torch version within which the C++ ABI is stable: ``2.13.0+cpu`` → ``("2", "13")``."""
    return tuple(version.split("+")[0].split(".")[:2])


def load_extension() -> ModuleType:
    """Import ``torch_fused_attn._C`` and thereby register ``torch.ops.fused_attn``.

    Raises:
        LoadError: the extension was never built, was built against another torch release, or does not load.
        ImportError: there is no torch.
    """
    import torch

    try:
        build_info = importlib.import_module("torch_fused_attn._build_info")
    except ModuleNotFoundError:
        raise LoadError(
            "torch_fused_attn was not built",
            "run `pip install --no-build-isolation .` in its source tree, and start Python outside of that tree",
        ) from None
    if release_of(build_info.TORCH_VERSION) != release_of(torch.__version__):
        raise LoadError(
            f"torch_fused_attn was built against torch {build_info.TORCH_VERSION}, but torch {torch.__version__} is "
            "running",
            f"{_REBUILD}, or install torch {build_info.TORCH_VERSION}",
        )
    try:
        return importlib.import_module("torch_fused_attn._C")
    except ImportError as error:
        raise LoadError(f"torch_fused_attn's extension does not load ({error})", _REBUILD) from error


def is_run_as_program() -> bool:
    """Return whether this is the import of the package that ``python -m torch_fused_attn`` begins with."""
    # Until it has found what to run, Python has "-m" as the name of the program.
    if sys.argv[:1] != ["-m"] or len(sys.orig_argv) < len(sys.argv):
        return False
    return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "torch_fused_attn"
