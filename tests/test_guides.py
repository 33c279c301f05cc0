"""What the pages show is what happens: every Python block of every page is executed, as a reader would type them."""

import re
from pathlib import Path

import pytest
import torch

from torch_fused_attn import sdpa

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench" / "README.md", ROOT / "metalsim" / "README.md"]
BLOCKS = {
    page.relative_to(ROOT).as_posix(): re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    for page in sorted(PAGES)
}

# Pages whose blocks need more than this file gives them, and the test that executes them.
ELSEWHERE = {
    "docs/compile.md": "test_compile_guide.py",  # a compiler without anything cached
    "docs/generate.md": "test_example_generate.py",  # the folder examples/ on Python's path
    "docs/transformers.md": "test_transformers_guide.py",
    "metalsim/README.md": "metalsim/test_metalsim_readme.py",  # clang-19
}


@pytest.mark.usefixtures("device")  # makes METALSIM's device ready
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks and page not in ELSEWHERE])
def test_code_runs_and_prints_what_its_comments_say(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One block after another, in one namespace."""
    expected = re.findall(r"^ *print\(.*\)  # (.*)", "".join(BLOCKS[page]), re.MULTILINE)
    assert expected, f"the code of {page} shows no result"
    names: dict[str, object] = {}
    sdpa.reset_counts()
    with torch.enable_grad():
        for block in BLOCKS[page]:
            exec(compile(block, page, "exec"), names)
    assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_the_other_pages_are_executed_where_it_is_said(page: str, test: str) -> None:
    assert BLOCKS[page], f"{page} has no code any more"
    source = (ROOT / "tests" / test).read_text()
    assert f'"{Path(page).name}"' in source
    assert re.search(rf'exec\(compile\(\w+, "{Path(page).name}"', source), f"{test} does not execute {page}"


@pytest.mark.parametrize("page", BLOCKS)
def test_no_python_hides_in_a_block_of_another_name(page: str) -> None:
    """Fences are ```python, ```text, or plain: of commands, of drawings, and of what other languages have."""
    text = (ROOT / page).read_text()
    fences = re.findall(r"^[ \t]*(?:```|~~~)([^\n`]*)$", text, re.MULTILINE)
    assert set(fences) <= {"python", "text", ""}
    assert len(BLOCKS[page]) == fences.count("python"), f"an indented or unclosed block in {page}"


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(.*)` \| (.*) \|$", (ROOT / "docs" / "sdpa.md").read_text(), re.MULTILINE)
    assert rows == [*sdpa.REASONS.items()]
