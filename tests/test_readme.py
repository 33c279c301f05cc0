"""The README's commands exist, and links of all pages lead somewhere. test_guides.py executes the pages' code."""

import re
from pathlib import Path

import pytest
from test_guides import PAGES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    commands = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert commands == ["demo", "test"]
    assert set(commands) <= TARGETS


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return what a link may name after #: the headings, as GitHub and the site write them."""
    headings = re.findall(r"^#+ (.*)", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", without_code(page)):
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_that_pages_show_exist(page: Path) -> None:
    """Targets of make, and modules and scripts of this tree; what else a shell can do is not looked at."""
    blocks = re.findall(r"^```\n(.*?)^```$|((?:^    .*\n)+)", page.read_text(), re.DOTALL | re.MULTILINE)
    commands = "\n".join(fenced or indented for fenced, indented in blocks)
    prompt = r"^ *(?:[A-Z_]+=\S+ )*"
    for target in re.findall(rf"{prompt}make ([\w-]+)", commands, re.MULTILINE):
        assert target in TARGETS, f"{page.name} shows make {target}"
    for module in re.findall(rf"{prompt}python -m ([\w.]+)", commands, re.MULTILINE):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page.name} shows {module}"
    for script in re.findall(rf"{prompt}python (\S+\.py)", commands, re.MULTILINE):
        assert (ROOT / script).exists(), f"{page.name} shows {script}"
