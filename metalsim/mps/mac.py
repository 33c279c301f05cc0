"""Which Mac the software mps device says it is, so that every branch of host code can be taken."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from metalsim.errors import MetalsimError, ValidationError


def _bridge() -> ModuleType:
    bridge = sys.modules.get("metalsim.mps._bridge")
    if bridge is None:
        raise MetalsimError("there is no software mps device in this process: set METALSIM=1 before torch is imported")
    return bridge


def _be(bridge: ModuleType, name: str, family: int, cores: int, major: int, minor: int) -> None:
    import torch

    bridge.describe_mac(name, family, cores, major, minor)
    # torch asks once and keeps the answers.
    torch.backends.mps.is_macos_or_newer.cache_clear()


@contextmanager
def described_as(
    gpu: str = "M4 Pro", macos: str = "15.0", *, family: int | None = None, cores: int | None = None
) -> Iterator[None]:
    """Be a Mac with this GPU: its name, what ``supportsFamily:`` answers, torch's core count, ``@available``.

    Args:
        gpu: a chip, "M1", "M2 Max" and so on.
        macos: version of macOS, "14.0".
        family: n of ``MTLGPUFamilyApple<n>``, if not the chip's.
        cores: of the GPU, if not the chip's largest.

    Raises:
        ValidationError: for an unknown chip, or a version that is none.
        MetalsimError: if the process has no software mps device.
    """
    bridge = _bridge()
    before = bridge.described_mac()
    try:
        name, its_family, its_cores, major, minor = bridge.mac_with(gpu, macos)
    except ValueError as error:
        raise ValidationError(str(error)) from None
    _be(
        bridge,
        name,
        its_family if family is None else family,
        its_cores if cores is None else cores,
        major,
        minor,
    )
    try:
        yield
    finally:
        _be(bridge, *before)
