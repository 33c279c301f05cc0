"""What the guide to transformers shows is what happens."""

import re
from pathlib import Path

import pytest
import torch
from transformers_models import ARCHITECTURES

GUIDE = (Path(__file__).parent.parent / "docs" / "transformers.md").read_text()


def test_code_runs_and_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    """One block after another, as a reader would type them."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    expected = re.findall(r"print\(.*\)  # (.*)", "".join(blocks))
    assert len(blocks) > len(expected) > 0
    names: dict[str, object] = {}
    with torch.enable_grad():
        for block in blocks:
            exec(compile(block, "transformers.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == expected


def test_the_number_of_architectures_is_that_of_the_tests() -> None:
    assert f"logits of {len(ARCHITECTURES)} architectures" in GUIDE
