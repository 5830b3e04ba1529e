"""Journal of a batch: the rows completed so far, kept beside the table to be, so that a stopped run can go on.

It is one SQLite file, written row by row by one process. A kill at any moment leaves every row that was finished.
"""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from mmemo.batch.row import Row
from mmemo.errors import ArgumentError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    clip TEXT PRIMARY KEY, key TEXT NOT NULL, failed INTEGER NOT NULL, row TEXT NOT NULL, sha256 TEXT NOT NULL
)
"""


class Journal:
    """Rows by the identity of their clips, each with a key made from everything that the row depends on.

    Args:
        path: the file, made if it is not there; None keeps the rows in memory only.

    Raises:
        ArgumentError: if the folder is not there, the file is another one, or another run is writing to it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None and not path.parent.is_dir():
            raise ArgumentError(f"There is no folder {path.parent} to write {path.name} into. Create it first.")
        try:
            self._connection = sqlite3.connect(path or ":memory:", timeout=0.2, isolation_level=None)
            # The lock is held until the process ends, in whatever way: two runs can't fill one table.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
            self._connection.execute(_SCHEMA)
            self._connection.execute("SELECT clip, key, failed, row, sha256 FROM rows LIMIT 1")
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise ArgumentError(f"Another run is writing to {path}. Wait for it, or name another file.") from None
            raise ArgumentError(_unusable(path, error)) from None
        except sqlite3.DatabaseError as error:
            raise ArgumentError(_unusable(path, error)) from None

    def key(self, identity: str) -> str | None:
        """The key of a clip's row; None if there is no row, or it failed or is damaged: that is tried again."""
        entry = self._execute("SELECT key, row, sha256 FROM rows WHERE clip = ? AND NOT failed", identity)
        return None if entry is None or entry[2] != _hash(entry[1]) else str(entry[0])

    def put(self, identity: str, key: str, row: Row) -> None:
        """Keep a row, in place of an older one; when this returns it is on the disk.

        Raises:
            ArgumentError: if it can't be written, as on a full disk.
        """
        text = row.to_json()
        values = (identity, key, row.error is not None, text, _hash(text))
        self._execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)", *values)

    def row(self, identity: str) -> Row:
        """The row of a clip that has one."""
        return Row.from_json(self._execute("SELECT row FROM rows WHERE clip = ?", identity)[0])

    def _execute(self, statement: str, *values: Any) -> Any:
        """The first row of what a statement gives."""
        try:
            return self._connection.execute(statement, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise ArgumentError(
                f"{self.path} can't be read or written ({error}). It has the rows completed so far: make room, or mend "
                "what is wrong with the disk, and run the same again to go on."
            ) from None

    def close(self) -> None:
        """Let others write."""
        self._connection.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _hash(row: str) -> str:
    return sha256(row.encode()).hexdigest()


def _unusable(path: Path | None, error: Exception) -> str:
    return f"{path} can't be used to keep the rows completed so far ({error}). Remove it, or name another file."
