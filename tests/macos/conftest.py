"""The check of the build for macOS under test. What it needs of a torch wheel is downloaded once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from metalsim.macos import packages, plan, torch_wheel
from metalsim.macos.torch_wheel import TorchWheel

#: The version that the checkout is developed with.
TORCH = "2.13.0"


@pytest.fixture(scope="session")
def mac_torch() -> TorchWheel:
    """Return torch for macOS, or skip where it is neither in the cache nor to be had."""
    try:
        return torch_wheel.get(TORCH)
    except packages.PackageUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Return a function that copies what the extension is built of, with one change: file, text, and text in its place."""

    def changed(file: str, old: str, new: str) -> Path:
        root = tmp_path / "checkout"
        for folder in ("csrc", "metal", "torch_fused_attn"):
            without = shutil.ignore_patterns("*.so", "__pycache__", "_build_info.py")
            shutil.copytree(plan.ROOT / folder, root / folder, ignore=without)
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(plan.ROOT / name, root)
        text = (root / file).read_text()
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times: choose a text that is there once"
        (root / file).write_text(text.replace(old, new))
        return root

    return changed
