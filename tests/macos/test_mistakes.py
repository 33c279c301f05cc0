"""Each mistake in mistakes.py makes the check fail, for the reason that it is made for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mistakes import MISTAKES, Mistake

from metalsim.errors import MetalsimError
from metalsim.macos import check
from metalsim.macos.torch_wheel import TorchWheel


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name.replace(" ", "_"))
def test_mistake_is_found(mistake: Mistake, mac_torch: TorchWheel, checkout: Callable[[str, str, str], Path]) -> None:
    root = checkout(mistake.file, mistake.old, mistake.new)
    with pytest.raises(MetalsimError, match=mistake.message):
        check.run(mac_torch, root)


def test_copy_without_a_mistake_passes(mac_torch: TorchWheel, checkout: Callable[[str, str, str], Path]) -> None:
    """The copy itself is no reason to fail: only comments differ."""
    root = checkout("csrc/mps/launch.mm", "// Counting cores asks", "// To count cores asks")
    assert check.run(mac_torch, root).files == check.run(mac_torch).files
