"""Stands in for ``xcrun metal`` on Linux: writes down how it was called, and in place of compiled code its source.

The "library" that it makes is text with the mark that metalsim's device knows: macros, and the file with its headers in
their places. So what is tested with it is which libraries are made, and that the backend loads them; of Apple's compiler
nothing is.

    RECORDED_CALLS   a file, to which each call adds a line of JSON
    REFUSED_FLAG     a flag that this version of the compiler does not know
"""

import json
import os
import re
import sys
from pathlib import Path

MARK = "// metalsim: a library as source\n"


def expanded(file: Path, seen: set[Path]) -> str:
    """Return a file's text, with each header that it includes by name in its place, once."""
    if file in seen:
        return ""
    seen.add(file)
    text = file.read_text().replace("#pragma once", "")
    return re.sub(
        r'^\s*#\s*include "([^"]+)".*$', lambda found: expanded(file.parent / found[1], seen), text, flags=re.MULTILINE
    )


def main() -> int:
    """Write the call down, then do what it asks for."""
    words = sys.argv[1:]
    with open(os.environ["RECORDED_CALLS"], "a") as file:
        file.write(json.dumps(words) + "\n")
    refused = os.environ.get("REFUSED_FLAG")
    if refused in words:
        print(f"metal: error: unknown argument: '{refused}'", file=sys.stderr)
        return 1
    if "--version" in words:
        print("Apple metal version 32023.620 (metalfe-32023.620)")
        return 0
    macros = [word.removeprefix("-D").split("=", 1) for word in words if word.startswith("-D")]
    (source,) = (Path(word) for word in words if word.endswith(".metal"))
    text = MARK + "".join(f"#define {name} {value}\n" for name, value in macros) + expanded(source, set())
    Path(words[words.index("-o") + 1]).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
