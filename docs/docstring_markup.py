"""Docstrings are written for ``help()``: their two marks that Markdown does not know become Markdown on the site."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:func|class|meth|mod):`~?([\w.]+)`")


class DocstringMarkup(griffe.Extension):
    """Makes ``:func:`name``` a link, and takes the second colon away that announces an indented block."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class or function."""
        if obj.docstring is not None:
            text = re.sub(r"^::$|:(?=:$)", "", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = _ROLE.sub(lambda role: f"[`{role[1]}`][{_path(obj, role[1])}]", text)


def _path(obj: griffe.Object, name: str) -> str:
    """Return the full name of what a docstring mentions."""
    if name.startswith("torch_fused_attn."):
        return name
    scope: griffe.Object | None = obj
    first, _, rest = name.partition(".")
    while scope is not None:
        if first in scope.members:
            return ".".join(filter(None, (scope.members[first].canonical_path, rest)))
        scope = scope.parent
    return name
