"""The documentation site: its navigation, its reference and its drawings. ``make docs`` builds it, with links checked."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from test_docs_docstrings import PUBLIC
from test_forward import visible_keys

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CONFIG: dict[str, Any] = YAML(typ="safe").load(ROOT / "mkdocs.yml")
DRAWINGS = re.findall(
    r"^```text\n(\d+) queries, (\d+) keys: (.*)\n((?:[01 ]+\n)+)```$", (DOCS / "masks.md").read_text(), re.MULTILINE
)


def pages_of(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in pages_of(part)]


def test_the_navigation_names_every_page_once() -> None:
    named = pages_of(CONFIG["nav"])
    inside = {page.relative_to(DOCS).as_posix() for page in DOCS.glob("**/*.md")}
    outside = {"bench/README.md", "metalsim/README.md", "CHANGELOG.md", "CONTRIBUTING.md"}
    assert not inside & outside
    assert sorted(named) == sorted(inside | outside)
    assert all((ROOT / page).is_file() for page in outside)


def test_what_the_configuration_names_exists() -> None:
    (hook,) = CONFIG["hooks"]
    (extension,) = CONFIG["plugins"][1]["mkdocstrings"]["handlers"]["python"]["options"]["extensions"]
    assert (ROOT / hook).is_file()
    assert (ROOT / extension).is_file()


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert CONFIG["theme"]["font"] is False
    assert "://" not in (ROOT / "mkdocs.yml").read_text()


def test_the_reference_has_every_public_name() -> None:
    """A page names an object itself, or a module and which of its members."""
    shown = set()
    for page in (DOCS / "reference").glob("*.md"):
        text = page.read_text()
        for name, options in re.findall(r"^::: ([\w.]+)\n((?:    .*\n)*)", text, re.MULTILINE):
            members = re.findall(r"\w+", options.partition("members:")[2])
            shown |= {resolve(f"{name}.{member}") for member in members} or {resolve(name)}
    assert shown == set(PUBLIC.values())


def resolve(path: str) -> Any:
    """Return the object of a dotted name."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return getattr(resolve(module), name)


@pytest.mark.parametrize(("queries", "keys", "options", "drawn"), DRAWINGS)
def test_visibility_as_drawn(queries: str, keys: str, options: str, drawn: str, device: torch.device) -> None:
    keywords = eval(f"dict({options})", {})
    assert visible_keys(int(queries), int(keys), device, **keywords) == drawn.replace(" ", "").split()


def test_there_are_drawings() -> None:
    text = (DOCS / "masks.md").read_text()
    assert len(DRAWINGS) == text.count("```text") >= 8
