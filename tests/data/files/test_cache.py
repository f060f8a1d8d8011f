import multiprocessing
import os
import time

import pytest

from unconfound.data.files.cache import Cache, cache_folder, cache_limit


def _load(folder):
    text = (folder / "value").read_text()
    if text.startswith("damaged"):
        raise ValueError(text)
    return text


def _builder(value):
    return lambda folder: (folder / "value").write_text(value) and None


def _never(folder):
    raise AssertionError("built although it was there")


def test_an_entry_is_built_once(tmp_path):
    cache = Cache(tmp_path / "cache", limit=1000)
    assert cache.entry("key", load=_load, build=_builder("first")) == "first"
    assert cache.entry("key", load=_load, build=_never) == "first"
    assert Cache(tmp_path / "cache", limit=1000).entry("key", load=_load, build=_never) == "first"


def test_a_damaged_entry_is_built_anew(tmp_path):
    cache = Cache(tmp_path, limit=1000)
    cache.entry("key", load=_load, build=_builder("good"))
    (tmp_path / "key" / "value").write_text("damaged")
    assert cache.entry("key", load=_load, build=_builder("good")) == "good"
    (tmp_path / "key" / "value").unlink()
    assert cache.entry("key", load=_load, build=_builder("better")) == "better"


def test_a_build_that_fails_leaves_nothing_and_a_killed_one_is_swept_away(tmp_path):
    cache = Cache(tmp_path, limit=1000)

    def fail(folder):
        (folder / "value").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        cache.entry("key", load=_load, build=fail)
    assert not [path for path in tmp_path.iterdir() if path.name != "locks"]
    (tmp_path / ".key.abc.partial").mkdir()
    (tmp_path / ".other.abc.partial").mkdir()
    cache.entry("key", load=_load, build=_builder("good"))
    assert not list(tmp_path.glob(".*.partial"))


def test_the_least_recently_used_entries_give_way_but_never_the_new_one(tmp_path):
    cache = Cache(tmp_path, limit=250)
    for age, key in enumerate(("a", "b")):
        cache.entry(key, load=_load, build=_builder(key * 100))
        os.utime(tmp_path / key, (age, age))
    cache.entry("a", load=_load, build=_never)
    cache.entry("c", load=_load, build=_builder("c" * 100))
    assert {key for key in "abc" if (tmp_path / key).exists()} == {"a", "c"}
    cache.entry("d", load=_load, build=_builder("d" * 1000))
    assert {key for key in "abcd" if (tmp_path / key).exists()} == {"d"}


def test_names_are_remembered_until_their_entry_is_gone(tmp_path):
    cache = Cache(tmp_path, limit=150)
    assert cache.recall("state") is None
    cache.remember("state", "a")
    assert cache.recall("state") == "a"
    cache.entry("a", load=_load, build=_builder("a" * 100))
    assert cache.recall("state") == "a"
    os.utime(tmp_path / "a", (0, 0))
    cache.entry("b", load=_load, build=_builder("b" * 100))
    assert cache.recall("state") is None


def _count(root):
    def build(folder):
        with open(root / "builds", "a") as builds:
            builds.write("x")
        time.sleep(0.2)
        (folder / "value").write_text("built")

    assert Cache(root / "cache", limit=1000).entry("key", load=_load, build=build) == "built"


def test_of_several_processes_one_builds(tmp_path):
    processes = [multiprocessing.get_context("fork").Process(target=_count, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "builds").read_text() == "x"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache", limit=1000)
    cache.remember("state", "a")
    assert cache.recall("state") is None
    with pytest.raises(OSError, match="file"):
        cache.entry("key", load=_load, build=_builder("x"))


def test_the_environment_names_folder_and_limit(tmp_path, monkeypatch):
    monkeypatch.delenv("UNCONFOUND_CACHE", raising=False)
    monkeypatch.delenv("UNCONFOUND_CACHE_GIB", raising=False)
    assert cache_folder(None).parts[-2:] == (".cache", "unconfound")
    assert cache_limit() == 20 * 2**30
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path))
    monkeypatch.setenv("UNCONFOUND_CACHE_GIB", "0.5")
    assert cache_folder(None) == tmp_path
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    assert cache_limit() == 2**29
    for wrong in ("much", "-1", "inf", "nan"):
        monkeypatch.setenv("UNCONFOUND_CACHE_GIB", wrong)
        with pytest.raises(ValueError, match=f"UNCONFOUND_CACHE_GIB is '{wrong}'"):
            cache_limit()
