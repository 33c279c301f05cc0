"""What of Metal a source uses, and the table witnesses.txt, which says of each such use where Apple takes it in that form.

    uses("kernel.metal", [folder], {"TILE": 32})    # every function with its overload, type, attribute, cast, ...
    table = read_table()
    without_witness(uses, table)                     # one line for each use that no row is for

What a use is called, native/strict/uses.h and frontend/uses.py say. A row is ``use <- TAG place; TAG place``; a line
``source TAG what it is`` explains each tag. A row may be for several uses at once, as Apple's specification is:

    set REAL half float
    set WIDTH '' 2 3 4
    function fma({REAL}{WIDTH}, {REAL}{WIDTH}, {REAL}{WIDTH}) <- SPEC 6.5 "Math Functions"

``{NAME}`` is one word of a set, and the same one throughout the row; ``{NAME:1}`` and ``{NAME:2}`` need not be the same.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metalsim import compiler, frontend
from metalsim.frontend.uses import Use, written_uses

TABLE = Path(__file__).with_name("witnesses.txt")

_PLACEHOLDER = re.compile(r"\{(\w+)(?::(\d))?\}")


def uses(
    path: str | Path,
    include_dirs: Sequence[str | Path] = (),
    defines: Mapping[str, object] | None = None,
    language_version: str = "3.1",
) -> list[Use]:
    """Return what a Metal file uses of Metal, with these macros; templates are listed as they are instantiated.

    Raises:
        CompileError: if Apple's compiler would refuse it.
    """
    folders, macros = [Path(folder).resolve() for folder in include_dirs], dict(defines or {})
    source = compiler.load(Path(path), str(path), folders, macros, language_version)
    if source.translation.findings:
        compiler.check(source)
    found = list(written_uses(frontend.preprocess(path, folders, macros, language_version), source.translation))
    for line in compiler.uses(source).splitlines():
        place, key = line.split("\t")
        file, number = place.rsplit(":", 1)
        found.append(Use(file, int(number), key))
    return found


@dataclass(frozen=True)
class Row:
    """A line of the table: ``pattern`` is for all uses whose key it matches."""

    line: int
    text: str
    pattern: re.Pattern[str]
    witnesses: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """What the table holds: the sources by their tags, and the rows."""

    sources: Mapping[str, str]
    rows: tuple[Row, ...]

    def row_for(self, key: str) -> Row | None:
        """Return the first row that is for a use, or None."""
        return next((row for row in self.rows if row.pattern.fullmatch(key)), None)


def _pattern(text: str, sets: Mapping[str, Sequence[str]], line: int) -> re.Pattern[str]:
    pieces: list[str] = []
    seen: set[str] = set()
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        name, number = match.groups()
        if name not in sets:
            raise ValueError(f"line {line} of the table of witnesses: there is no set {name!r}; define it above")
        group = f"{name}_{number or 0}"
        words = "|".join(sorted(map(re.escape, sets[name]), key=len, reverse=True))
        pieces += [re.escape(text[end : match.start()]), f"(?P={group})" if group in seen else f"(?P<{group}>{words})"]
        seen.add(group)
        end = match.end()
    return re.compile("".join(pieces) + re.escape(text[end:]))


def read_table(text: str | None = None) -> Table:
    """Read the table of witnesses, by default the one in witnesses.txt.

    Raises:
        ValueError: for a line that is none of the four kinds, or a tag or set that no line above explains.
    """
    sources: dict[str, str] = {}
    sets: dict[str, list[str]] = {}
    rows = []
    for number, line in enumerate((TABLE.read_text() if text is None else text).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key, arrow, places = line.partition(" <- ")
        if arrow:
            witnesses = tuple(place.strip() for place in places.split(";"))
            for witness in witnesses:
                tag, _, place = witness.partition(" ")
                if tag not in sources or not place:
                    raise ValueError(
                        f"line {number} of the table of witnesses: {witness!r} must be the tag of a source "
                        f"({', '.join(sources)}) and a place in it"
                    )
            rows.append(Row(number, key.strip(), _pattern(key.strip(), sets, number), witnesses))
        elif words[0] == "source" and len(words) > 2:
            sources[words[1]] = " ".join(words[2:])
        elif words[0] == "set" and len(words) > 2:
            sets[words[1]] = ["" if word == "''" else word for word in words[2:]]
        else:
            raise ValueError(
                f"line {number} of the table of witnesses must be 'use <- TAG place', 'source TAG ...', 'set NAME ...' "
                f"or a comment, but is {line!r}"
            )
    return Table(sources, tuple(rows))


def without_witness(found: Iterable[Use], table: Table) -> list[str]:
    """Return a line for each use that no row is for, in the order of files and lines, each once."""
    found = set(found)
    missing = {key for key in {use.key for use in found} if table.row_for(key) is None}
    return [
        f"{file}:{line}: no witness that Apple takes '{key}': add a line to metalsim/{TABLE.name} with the section of its "
        "specification, or the file and line of a kernel that its compiler takes, or write it as such a kernel does"
        for file, line, key in sorted(use for use in found if use.key in missing)
    ]
