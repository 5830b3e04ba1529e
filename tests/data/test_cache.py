from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from mmemo.data.cache import FeatureCache, Size
from mmemo.errors import ArgumentError

FORK = multiprocessing.get_context("fork")


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    arrays = {"tokens": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)[:, ::2], "logits": np.arange(4)}
    cache.put("key", "face", arrays)
    found = FeatureCache(tmp_path / "cache.sqlite").get("key")
    assert found is not None
    assert all(np.array_equal(found[name], arrays[name]) and found[name].dtype == arrays[name].dtype for name in arrays)


def test_absent_is_known_and_not_the_same_as_unknown(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    assert cache.get("key") is None
    cache.put("key", "face", {})
    assert cache.get("key") == {}


def test_sizes_are_told_by_kind_and_a_kind_can_be_removed(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    for i in range(3):
        cache.put(f"a{i}", "face", {"x": np.zeros(1000, np.float32)} if i else {})
    cache.put("b", "voice", {"x": np.zeros(1000, np.float32)})
    sizes = cache.sizes()
    assert sizes["face"] == Size(3, 1, sizes["face"].bytes)
    assert 8000 < sizes["face"].bytes < 8400
    assert cache.remove("face") == 3
    assert list(cache.sizes()) == ["voice"]


def _fill(path: Path, first: int, count: int) -> None:
    cache = FeatureCache(path)
    for i in range(first, first + count):
        cache.put(f"key {i}", "face", {"x": np.full(2000, i, np.float32)})


def test_many_processes_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    writers = [FORK.Process(target=_fill, args=(path, 50 * (i // 2), 100)) for i in range(4)]  # they overlap
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    cache = FeatureCache(path)
    for i in range(150):
        found = cache.get(f"key {i}")
        assert found is not None
        assert np.all(found["x"] == i)


def test_a_killed_writer_leaves_whole_entries_only(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    cache = FeatureCache(path)
    writer = FORK.Process(target=_fill, args=(path, 0, 1_000_000))
    writer.start()
    while cache.get("key 20") is None:
        time.sleep(0.01)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    entries = cache.sizes()["face"].entries
    assert 20 < entries < 1_000_000
    for i in range(entries):
        found = cache.get(f"key {i}")
        assert found is not None
        assert np.all(found["x"] == i)
    cache.put("one more", "face", {"x": np.zeros(1)})


def _get(cache: FeatureCache, queue: object) -> None:
    found = cache.get("key")
    queue.put(None if found is None else float(found["x"][0]))  # type: ignore[attr-defined]


def test_an_open_cache_goes_along_into_another_process(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    cache.put("key", "face", {"x": np.array([7.0])})
    queue = FORK.Queue()
    reader = FORK.Process(target=_get, args=(cache, queue))
    reader.start()
    assert queue.get(timeout=20) == 7.0
    reader.join()
    again: FeatureCache = pickle.loads(pickle.dumps(cache))
    assert again.get("key") == {"x": np.array([7.0])}


def test_a_damaged_entry_is_not_used(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    cache.put("key", "face", {"x": np.zeros(10)})
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE entries SET value = substr(value, 1, 30)")
    assert cache.get("key") is None


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    cache.put("key", "face", {"x": np.arange(10.0)})
    (value,) = sqlite3.connect(cache.path).execute("SELECT value FROM entries").fetchone()
    for place in (20, len(value) - 30, len(value) - 1):  # in the header, and in the numbers
        flipped = bytearray(value)
        flipped[place] ^= 1
        with sqlite3.connect(cache.path) as connection:
            connection.execute("UPDATE entries SET value = ?", (bytes(flipped),))
        assert cache.get("key") is None
        assert "key" not in cache
    cache.put("key", "face", {"x": np.arange(10.0)})
    assert cache.get("key") is not None
    cache.put("absent", "face", {})
    with sqlite3.connect(cache.path) as connection:  # an entry with arrays that lost them is not an absent modality
        connection.execute("UPDATE entries SET value = x'' WHERE key = 'key'")
    assert cache.get("key") is None
    assert cache.get("absent") == {}


def test_a_cache_without_hashes_opens_and_its_entries_are_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL)")
        connection.execute("INSERT INTO entries VALUES ('key', 'face', x'')")
    cache = FeatureCache(path)
    assert cache.get("key") is None
    cache.put("key", "face", {"x": np.ones(3)})
    again = FeatureCache(path).get("key")
    assert again is not None
    assert np.array_equal(again["x"], np.ones(3))


def test_a_file_that_is_no_cache_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes, which are long enough to be a header of something\n" * 20)
    with pytest.raises(ArgumentError, match=r"notes\.txt can't be used as a feature cache"):
        FeatureCache(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text().startswith("my notes")
    with pytest.raises(ArgumentError, match="no folder"):
        FeatureCache(tmp_path / "nowhere" / "cache.sqlite")
