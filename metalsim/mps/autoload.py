"""Loading the software ``mps`` device at the end of ``import torch``, by torch's entry point group ``torch.backends``."""

import os


def autoload() -> None:
    """Load the device if METALSIM=1 and torch has no MPS backend of its own.

    Raises:
        RuntimeError: torch has already decided that this process has no MPS backend.
        ToolchainError: the device's libraries cannot be built.
    """
    if os.environ.get("METALSIM") != "1":
        return
    import torch

    # Not whether MPS is available: torch would keep today's answer.
    if not torch.backends.mps.is_built():
        load()


def load() -> None:
    """Build the device's libraries where the cache lacks them, load them, and complete torch's Python side."""
    import torch

    from metalsim.mps import bridge, build, fused_attn, observation, patches

    libraries = build.device_libraries()
    bridge.load(libraries)
    torch.ops.load_library(str(libraries.mps))  # type: ignore[no-untyped-call]
    if not torch._C._mps_is_available():
        raise RuntimeError(
            "metalsim's mps device was loaded after something had asked torch for MPS, and torch keeps the first answer: "
            "start the process with METALSIM=1, so that `import torch` loads the device."
        )
    patches.apply(libraries.mps)
    observation.connect(patches.track_operators)
    fused_attn.use_cpu_operators()
