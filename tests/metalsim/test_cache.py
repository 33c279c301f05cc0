"""The cache's promise: an entry is there wholly or not at all, and is built once."""

import threading
import time

import pytest

from metalsim import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("METALSIM_CACHE", str(tmp_path / "cache"))


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    assert cache.directory() == tmp_path / "cache"
    monkeypatch.delenv("METALSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.directory() == tmp_path / "xdg" / "metalsim"


def test_names_depend_on_every_part_and_on_where_parts_end():
    assert cache.digest("ab", "c") != cache.digest("a", "bc")
    assert cache.digest("a") == cache.digest(b"a")


def test_an_entry_is_built_once():
    built = []

    def build(folder):
        built.append(folder)
        (folder / "value").write_text("1")

    first = cache.entry("kind", "key", build)
    assert cache.entry("kind", "key", build) == first
    assert (first / "value").read_text() == "1"
    assert len(built) == 1


def test_a_failed_build_leaves_nothing():
    def build(folder):
        (folder / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.entry("kind", "key", build)
    assert [path.name for path in (cache.directory() / "kind").iterdir() if path.is_dir()] == []
    assert cache.entry("kind", "key", lambda folder: None).is_dir()


def test_two_threads_build_one_entry():
    built = []

    def build(folder):
        built.append(folder)
        time.sleep(0.05)

    threads = [threading.Thread(target=cache.entry, args=("kind", "key", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
