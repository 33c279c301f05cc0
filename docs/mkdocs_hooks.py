"""Lets pages that are written for the repository be pages of the site: their links work in both.

A link is relative to the file that it stands in. On the site

- a page outside of docs/ that ``nav`` names, and any picture, keeps its path in the repository;
- any other file outside of docs/ that a page links to gets a page that shows it, under ``source/``;
- a link to a folder becomes its text, since a site has no folders to look into.
"""

import posixpath
import re
from functools import partial
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

_ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"(?P<bang>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)#:\s]+)(?P<anchor>#[^)]*)?\)")
_LANGUAGES = {".h": "cpp", ".cpp": "cpp", ".metal": "cpp", ".mm": "objective-c++", ".py": "python", ".json": "json"}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages outside of docs/ that the navigation names, and the files that pages link to."""
    for path in _paths(config.nav):
        if files.get_file_from_path(path) is None and (_ROOT / path).is_file():
            files.append(_outside(path, config))
    for page in list(files.documentation_pages()):
        folder = _folder(page)
        for link in _LINK.finditer(Path(page.abs_src_path).read_text()):
            path = posixpath.normpath(posixpath.join(folder, link["path"]))
            uri = _uri(path, files)
            if (_ROOT / path).is_file() and files.get_file_from_path(uri) is None:
                files.append(
                    File.generated(config, uri, content=_shown(path)) if uri != path else _outside(path, config)
                )
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links between files of the repository into links between files of the site."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    return _LINK.sub(partial(_rewritten, page=page.file, files=files), markdown)


def _rewritten(link: re.Match[str], page: Any, files: Any) -> str:
    path = posixpath.normpath(posixpath.join(_folder(page), link["path"]))
    if (_ROOT / path).is_dir():
        return link["text"]
    if not (_ROOT / path).is_file():
        return link[0]  # no link, or one that leads nowhere, which mkdocs reports
    relative = posixpath.relpath(_uri(path, files), posixpath.dirname(page.src_uri) or ".")
    return f"{link['bang']}[{link['text']}]({relative}{link['anchor'] or ''})"


def _paths(nav: Any) -> list[str]:
    """Return the pages that a navigation names, in order."""
    if isinstance(nav, str):
        return [nav]
    return [path for part in (nav.values() if isinstance(nav, dict) else nav) for path in _paths(part)]


def _folder(page: Any) -> str:
    """Return the folder in the repository of a file of the site."""
    return posixpath.dirname(Path(page.abs_src_path).relative_to(_ROOT).as_posix())


def _uri(path: str, files: Any) -> str:
    """Return where on the site a file of the repository is, or is to be."""
    if path == "README.md":
        return "index.md"  # both are where to begin
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.endswith(".png") or files.get_file_from_path(path) is not None:
        return path
    return f"source/{path}.md"


def _outside(path: str, config: Any) -> File:
    return File(path, str(_ROOT), config.site_dir, config.use_directory_urls)


def _shown(path: str) -> str:
    """Return a page that shows a file; the search leaves it out."""
    text, language = (_ROOT / path).read_text(), _LANGUAGES.get(Path(path).suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n~~~~~~{language}\n{text}\n~~~~~~\n"
