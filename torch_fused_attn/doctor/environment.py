"""The machine, torch, and the extension: each as far as the one before allows. Needs nothing but Python."""

import importlib
import platform
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from torch_fused_attn import _load
from torch_fused_attn._version import __version__
from torch_fused_attn.doctor.finding import Finding, failed, note, ok, skipped

#: bfloat in a kernel needs Metal 3.1, and that macOS 14.
MINIMUM_MACOS = (14, 0)
MINIMUM_TORCH = (2, 9)

PLATFORM, TORCH, EXTENSION, DEVICE = "platform", "torch", "extension", "Metal device"


def system_value(name: str) -> str:
    """Return what macOS's ``sysctl`` says, or "" where it says nothing."""
    try:
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def macos_version() -> str:
    """Return the version of macOS, or "" elsewhere."""
    return platform.mac_ver()[0] if sys.platform == "darwin" else ""


def chip_name() -> str:
    """Return the processor's name as the system gives it, or "" where it gives none."""
    return system_value("machdep.cpu.brand_string") if sys.platform == "darwin" else platform.processor()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())


def check_platform() -> Iterator[Finding]:
    """Say what machine and which Python this is, and whether they fit each other."""
    python = f"Python {platform.python_version()} for {platform.machine()} ({sys.executable})"
    if sys.platform != "darwin":
        yield ok(PLATFORM, f"{platform.system()} {platform.machine()}, {python}")
        yield note(PLATFORM, "this is not macOS: the CPU backend is all that there is here")
        return
    macos, chip = macos_version(), chip_name()
    yield ok(PLATFORM, f"macOS {macos} on {chip or 'a processor without a name'}, {python}")
    if platform.machine() != "arm64":
        # Also under Rosetta the system says what processor there really is.
        if system_value("hw.optional.arm64") == "1":
            yield failed(
                PLATFORM,
                "this Python was built for Intel processors and runs under Rosetta, for which torch has no Metal",
                "install a Python for arm64 (python.org's, Homebrew's in /opt/homebrew, or Miniforge's) and make a new "
                "environment with it; `python -c 'import platform; print(platform.machine())'` must print arm64",
            )
        else:
            yield failed(
                PLATFORM,
                "this is a Mac with an Intel processor, for which torch has made no builds since 2.2",
                "use a Mac with Apple silicon",
            )
    if _numbers(macos) < MINIMUM_MACOS:
        yield failed(PLATFORM, f"the kernels need macOS 14, but this is macOS {macos}", "update macOS to 14 or newer")


def check_torch() -> Iterator[Finding]:
    """Say which torch there is, and what it knows of MPS."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        advice = "run `pip install torch`" if isinstance(error, ModuleNotFoundError) else "reinstall torch"
        yield failed(TORCH, f"torch cannot be imported ({error})", f"{advice}, and start the doctor again")
        return
    version, mps = torch.__version__, torch.backends.mps
    if _numbers(version) < MINIMUM_TORCH:
        yield failed(
            TORCH, f"torch 2.9 or newer is needed, but this is torch {version}", "run `pip install --upgrade torch`"
        )
    if mps.is_available():
        yield ok(TORCH, f"torch {version}, {'a simulated' if is_simulated() else 'its'} MPS is built and available")
    elif mps.is_built():
        yield failed(
            TORCH,
            f"torch {version} has MPS, but says that it is not available",
            "start Python on the Mac itself, in a session that may use the GPU (neither a virtual machine without one nor a "
            "sandbox), and with macOS 14 or newer",
        )
    elif sys.platform == "darwin":
        yield failed(
            TORCH,
            f"torch {version} was built without MPS",
            "install torch from PyPI: `pip install --force-reinstall torch`",
        )
    else:
        yield ok(TORCH, f"torch {version}, without MPS")


def check_extension() -> Iterator[Finding]:
    """Say what the extension was built for, and whether it loads."""
    try:
        _load.load_extension()
    except _load.LoadError as error:
        yield failed(EXTENSION, error.problem, error.way_out)
        return
    except Exception as error:
        yield failed(EXTENSION, f"the extension does not load ({error})", "reinstall torch_fused_attn and torch")
        return
    info = importlib.import_module("torch_fused_attn._build_info")
    torch = importlib.import_module("torch")
    yield ok(
        EXTENSION,
        f"torch_fused_attn {__version__} loads; it was built against torch {info.TORCH_VERSION}, whose "
        f"{'.'.join(_load.release_of(info.TORCH_VERSION))}.* is that of torch {torch.__version__}",
    )
    if torch.backends.mps.is_built() and not info.MPS and not is_simulated():
        yield failed(
            EXTENSION,
            "the extension was built without its MPS backend, with a torch that had no MPS",
            "reinstall it with the torch that is here: `pip install --force-reinstall --no-build-isolation --no-deps "
            "torch-fused-attn`",
        )


def is_simulated() -> bool:
    """Return whether the ``mps`` device is a simulation: outside of macOS there is no other."""
    return sys.platform != "darwin"


def load_simulated_backend() -> None:
    """Let metalsim's software device run this package's kernels, whose backend is a library of its own there."""
    backend: Any = sys.modules.get("metalsim.mps.fused_attn")
    if backend is not None:
        backend.load()


def check_device() -> Iterator[Finding]:
    """Say which GPU Metal has. Needs the extension."""
    torch = importlib.import_module("torch")
    if not torch.backends.mps.is_available():
        yield skipped(DEVICE, "there is no mps device")
        return
    if is_simulated():
        yield note(
            DEVICE,
            "the mps device is metalsim's, SIMULATED on this processor: its results say that the kernels are right, its "
            "times say nothing, and neither says anything about Apple's compiler and hardware",
        )
        load_simulated_backend()
    try:
        name, family, cores = describe_device()
    except Exception as error:
        yield failed(
            DEVICE,
            f"the MPS backend cannot say what GPU there is ({error})",
            "reinstall torch_fused_attn with the torch that is here",
        )
        return
    yield ok(DEVICE, f"{name}, GPU family Apple{family}, {cores} cores")
    if not torch.backends.mps.is_macos_or_newer(*MINIMUM_MACOS):
        yield failed(
            DEVICE, "Metal 3.1, which the kernels are written in, needs macOS 14", "update macOS to 14 or newer"
        )


def describe_device() -> tuple[str, int, int]:
    """Return the GPU's name, the n of its family Apple<n>, and its number of cores, as kernels are chosen for it.

    Raises:
        Exception: there is no MPS backend; what torch says of that.
    """
    torch = importlib.import_module("torch")
    family, cores = torch.ops.fused_attn.mps_gpu()
    return torch.backends.mps.get_name(), family, cores
