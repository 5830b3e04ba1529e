"""The feature cache: frozen encodings, computed once and kept in one SQLite file.

SQLite gives what a cache needs: several processes may write at once, a killed one leaves the last complete entry behind
it, and a reader never sees half of one. Put the file on a local disk: SQLite's locks don't hold on network drives.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mmemo.clip import Clip
from mmemo.errors import ArgumentError
from mmemo.files import hash_file
from mmemo.speech.transcript import find_sidecar

_SCHEMA = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL)"
_WAIT = 60.0
"""Seconds that one process waits while another writes."""
_ABSENT = b""


@dataclass(frozen=True)
class Size:
    """How much of one kind is cached: entries, those among them that say "absent", and bytes of all."""

    entries: int
    absent: int
    bytes: int


class FeatureCache:
    """Arrays by key. A key says all that the arrays depend on, so an entry never goes stale: it is just not asked for.

    Args:
        path: the file; made if it is not there.

    Raises:
        ArgumentError: if the folder is not there, or the file is another one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise ArgumentError(f"There is no folder {self.path.parent} for the feature cache. Create it first.")
        self._opened: tuple[int, sqlite3.Connection] | None = None
        self._connection.execute("SELECT 1 FROM entries LIMIT 1")

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays of a key: an empty dict where it was found that there are none, None where nothing is known."""
        row = self._connection.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            return load(row[0]) if row[0] != _ABSENT else {}
        except SafetensorError:
            return None  # a damaged entry is computed again

    def put(self, key: str, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays under a key, at once and for all processes; ``kind`` is what `sizes` counts them as.

        Without arrays it is kept that there are none.
        """
        value = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}) if arrays else _ABSENT
        with self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (key, kind, value))

    def __contains__(self, key: str) -> bool:
        return self._connection.execute("SELECT 1 FROM entries WHERE key = ?", (key,)).fetchone() is not None

    def sizes(self) -> dict[str, Size]:
        """How much there is of each kind."""
        rows = self._connection.execute(
            "SELECT kind, COUNT(*), SUM(LENGTH(value) = 0), SUM(LENGTH(value)) FROM entries GROUP BY kind ORDER BY kind"
        )
        return {kind: Size(*numbers) for kind, *numbers in rows}

    def remove(self, kind: str) -> int:
        """Remove all entries of one kind, such as those of an encoder no longer used; says how many."""
        with self._connection as connection:
            removed = connection.execute("DELETE FROM entries WHERE kind = ?", (kind,)).rowcount
        self._connection.execute("VACUUM")
        return removed

    @property
    def _connection(self) -> sqlite3.Connection:
        """This process's own connection: one from before a fork must not be used."""
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                connection = sqlite3.connect(self.path, timeout=_WAIT)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_SCHEMA)
            except sqlite3.DatabaseError as error:
                raise ArgumentError(
                    f"{self.path} can't be used as a feature cache ({error}). Name another file, or remove it."
                ) from None
            self._opened = os.getpid(), connection
        return self._opened[1]

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path, self._opened = state["path"], None


def cache_key(clip: Clip) -> Iterator[Any]:
    """Values for JSON on which the analysis of a clip depends: the bytes of its files, its span and its words.

    The name and date of a file don't count.

    Raises:
        OSError: if a file can't be read.
    """
    sidecar = None if clip.path is None or clip.subtitles or clip.text is not None else find_sidecar(clip.path)
    for file in (clip.path, clip.audio, clip.subtitles or sidecar):
        yield file and hash_file(file)
    yield from (clip.start, clip.end, clip.text, clip.language)
