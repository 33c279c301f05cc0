"""What the guides for users of flash_attn and of F.scaled_dot_product_attention show is what happens."""

import re
from pathlib import Path

import pytest
import torch

from torch_fused_attn import sdpa

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.usefixtures("device")  # makes METALSIM's device ready
@pytest.mark.parametrize("name", ["flash_attn.md", "sdpa.md"])
def test_code_runs_and_prints_what_its_comments_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One block after another, as a reader would type them."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    expected = re.findall(r"^print\(.*\)  # (.*)", "".join(blocks), re.MULTILINE)
    assert len(expected) >= 3
    names: dict[str, object] = {}
    sdpa.reset_counts()
    with torch.enable_grad():
        for block in blocks:
            exec(compile(block, name, "exec"), names)
    assert capsys.readouterr().out.splitlines() == expected


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(.*)` \| (.*) \|$", (DOCS / "sdpa.md").read_text(), re.MULTILINE)
    assert rows == [*sdpa.REASONS.items()]
