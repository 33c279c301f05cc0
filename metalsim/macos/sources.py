"""What a source file of the extension includes: its own headers, whose content it depends on, and those of others."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|import)[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


@dataclass(frozen=True)
class Included:
    """What a file includes, directly and through its own headers.

    Attributes:
        own: files of the repository, the source itself among them.
        foreign: names between angle brackets.
    """

    own: frozenset[Path]
    foreign: frozenset[str]


@functools.cache
def _includes(content: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names in quotes and those between angle brackets."""
    found = _INCLUDE.findall(content)
    return tuple(quoted for quoted, _ in found if quoted), tuple(angled for _, angled in found if angled)


def included(source: Path, folders: Sequence[Path]) -> Included:
    """Read a source and the headers that it includes by "name".

    Args:
        source: the file.
        folders: where a header is looked for that is not beside the file that includes it.
    """
    own: set[Path] = set()
    foreign: set[str] = set()
    waiting = [source]
    while waiting:
        file = waiting.pop().resolve()
        if file in own:
            continue
        own.add(file)
        quoted, angled = _includes(file.read_text())
        foreign.update(angled)
        for name in quoted:
            candidates = [folder / name for folder in (file.parent, *folders)]
            # One that is nowhere is the compiler's to complain about.
            waiting += [path for path in candidates if path.is_file()][:1]
    return Included(frozenset(own), frozenset(foreign))
