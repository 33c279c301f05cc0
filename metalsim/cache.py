"""Compiled things on disk, found by the content of everything that went into them."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def directory() -> Path:
    """Return the cache's folder: ``$METALSIM_CACHE``, else ``metalsim`` in the user's cache folder. It is made if missing."""
    chosen = os.environ.get("METALSIM_CACHE")
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen) if chosen else Path(user_cache) / "metalsim"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts: str | bytes) -> str:
    """Return a name for the parts' content; equal only if every part is."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()[:32]


def digest_files(paths: Iterable[Path]) -> str:
    """Return a name for the content of files."""
    return digest(*(part for path in sorted(paths) for part in (path.name, path.read_bytes())))


def entry(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder ``kind/key`` of the cache, made by ``build(folder)`` if it is not there.

    An entry is there wholly or not at all: it is built in a folder beside its place and renamed. Processes that want the
    same entry at the same time wait for the first one.
    """
    place = directory() / kind / key
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f".{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.is_dir():
            return place
        scratch = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=place.parent))
        try:
            build(scratch)
            scratch.rename(place)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    return place
