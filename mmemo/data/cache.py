"""The feature cache: frozen encodings, computed once and kept in one SQLite file.

SQLite gives what a cache needs: several processes may write at once, a killed one leaves the last complete entry behind
it, and a reader never sees half of one. Put the file on a local disk: SQLite's locks don't hold on network drives.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mmemo.clip import Clip
from mmemo.errors import ArgumentError
from mmemo.files import hash_file
from mmemo.speech.transcript import sidecars

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, sha256 BLOB)
"""
_WAIT = 60.0
"""Seconds that one process waits while another writes."""
_ABSENT = b""


@dataclass(frozen=True)
class Size:
    """Size of one kind of entries: their number, how many of them are empty (modality absent), and their bytes."""

    entries: int
    absent: int
    bytes: int


class FeatureCache:
    """Persistent store of named NumPy arrays by key, safe for several processes at once.

    A key is made from everything the arrays depend on, so an entry never goes stale. Each entry is kept with its
    SHA-256: one that is damaged on disk is never returned.

    Args:
        path: the SQLite file; created if it does not exist.

    Raises:
        ArgumentError: if the folder does not exist, or the file is no feature cache, is damaged or can't be written;
            from every method too.

    Examples:
        >>> import numpy as np
        >>> from mmemo.data import FeatureCache
        >>> cache = FeatureCache("features.sqlite")
        >>> cache.put("clip a, face encoder 1", "face", {"logits": np.zeros(7, np.float32)})
        >>> cache.get("clip a, face encoder 1")["logits"].shape
        (7,)
        >>> cache.get("clip b, face encoder 1") is None
        True
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise ArgumentError(f"There is no folder {self.path.parent} for the feature cache. Create it first.")
        if self.path.exists() and not self.path.is_file():
            raise ArgumentError(f"{self.path} can't be used as a feature cache: it is no plain file.")
        self._opened: tuple[int, sqlite3.Connection] | None = None
        with self._errors():
            self._connection.execute("SELECT 1 FROM entries LIMIT 1")

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays of a key, {} if it was stored without any, None if it is not in the cache or damaged there.

        An entry without a hash, of a cache from before hashes were stored, is not in it either.
        """
        with self._errors():
            row = self._connection.execute("SELECT value, sha256 FROM entries WHERE key = ?", (key,)).fetchone()
        if row is None or not isinstance(row[0], bytes) or row[1] != sha256(row[0]).digest():
            return None
        try:
            return load(row[0]) if row[0] != _ABSENT else {}
        except SafetensorError:  # of a version whose format this one can't read
            return None

    def put(self, key: str, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays under a key, at once and for all processes; ``kind`` groups entries for `sizes` and `remove`.

        Without arrays an empty entry is stored.
        """
        value = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}) if arrays else _ABSENT
        with self._errors(), self._connection as connection:
            connection.execute(
                "INSERT OR REPLACE INTO entries (key, kind, value, sha256) VALUES (?, ?, ?, ?)",
                (key, kind, value, sha256(value).digest()),
            )

    def __contains__(self, key: str) -> bool:
        """Whether `get` gives arrays, or {}, for the key."""
        return self.get(key) is not None

    def sizes(self) -> dict[str, Size]:
        """The size of each kind of entries."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT kind, COUNT(*), SUM(LENGTH(value) = 0), SUM(LENGTH(value)) FROM entries GROUP BY kind "
                "ORDER BY kind"
            ).fetchall()
        return {kind: Size(*numbers) for kind, *numbers in rows}

    def remove(self, kind: str) -> int:
        """Remove all entries of one kind, such as those of an encoder no longer used, and return their number."""
        with self._errors():
            with self._connection as connection:
                removed = connection.execute("DELETE FROM entries WHERE kind = ?", (kind,)).rowcount
            self._connection.execute("VACUUM")
        return removed

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite quotes damaged bytes in its messages
            raise ArgumentError(
                f"{self.path} can't be used as a feature cache ({error}). Name another file, or remove it."
            ) from None

    @property
    def _connection(self) -> sqlite3.Connection:
        """This process's own connection: one from before a fork must not be used."""
        if self._opened is None or self._opened[0] != os.getpid():
            connection = sqlite3.connect(self.path, timeout=_WAIT)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
            _add_hashes(connection)
            self._opened = os.getpid(), connection
        return self._opened[1]

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path, self._opened = state["path"], None


def _has_hashes(connection: sqlite3.Connection) -> bool:
    return "sha256" in {row[1] for row in connection.execute("PRAGMA table_info(entries)")}


def _add_hashes(connection: sqlite3.Connection) -> None:
    """Add the column of hashes to a cache from before they were stored."""
    if not _has_hashes(connection):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if not _has_hashes(connection):  # another process may have added it while this one waited
                connection.execute("ALTER TABLE entries ADD COLUMN sha256 BLOB")


def cache_key(clip: Clip) -> Iterator[Any]:
    """JSON values that identify the input of a clip's analysis: hashes of its files, its span and its text.

    The name and date of a file don't count.

    Raises:
        OSError: if a file can't be read.
        ArgumentError: if the clip is in memory.
    """
    beside = () if clip.file is None or clip.subtitles or clip.text is not None else sidecars(clip.file)
    for file in (clip.path, clip.audio, clip.subtitles, *beside):
        if not (file is None or isinstance(file, Path)):
            raise ArgumentError(f"{file} is in memory: only what is in files can be known again.")
        yield file and hash_file(file)
    yield from (clip.start, clip.end, clip.channel, clip.audio_track, clip.subtitle_track, clip.text, clip.language)
