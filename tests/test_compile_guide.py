"""What the guide to torch.compile, torch.export and AOTInductor shows is what happens."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

GUIDE = (Path(__file__).parent.parent / "docs" / "compile.md").read_text()


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    """Start as a reader's process does: nothing compiled, nothing counted. Caches would outlive a rebuilt operator."""
    torch._dynamo.reset()
    counters.clear()
    with torch.compiler.config.patch(force_disable_caches=True):
        yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_fresh_compiler")
# torch's own, neither about these operators.
@pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled", "ignore:`isinstance.treespec, LeafSpec.` is deprecated")
def test_code_runs_and_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    """One block after another, as a reader would type them."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    expected = re.findall(r"^print\(.*\)  # (.*)", "".join(blocks), re.MULTILINE)
    assert len(blocks) == len(expected) == 3
    names: dict[str, object] = {}
    with torch.enable_grad():
        for block in blocks:
            exec(compile(block, "compile.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == expected
