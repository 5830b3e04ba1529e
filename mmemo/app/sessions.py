"""Store of the results of open pages: each visitor's last one, with its files in a folder of their own."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mmemo.evidence import Seconds
from mmemo.personal.corrections import ClipFeatures
from mmemo.result import EmotionResult

Features = Mapping[str, ClipFeatures]
"""Features of a clip, by modality."""
KEPT: Seconds = 3600.0
"""A result is dropped so long after it was made, whether its page is still open or not."""
MOST = 32
"""Results kept at once; the oldest goes first."""


class Visitor(NamedTuple):
    """One open page: the session of its browser, and which of its pages."""

    session: str
    page: str


@dataclass(frozen=True)
class StoredResult:
    """One analysis result with its files.

    Attributes:
        token: the part of its address that nobody can guess.
        course: its timeline as an ``<svg>`` element, drawn while the upload was still there.
        files: names of the files in ``folder`` that may be fetched.
        features: of each modality, to correct the result by.
    """

    token: str
    folder: Path
    result: EmotionResult
    course: str
    files: tuple[str, ...]
    features: Features = field(default_factory=dict)
    made: float = field(default_factory=time.monotonic)


class ResultStore:
    """The last result of each visitor. Safe to use from several threads.

    Args:
        root: where folders are made; it belongs to the app alone.
    """

    def __init__(self, root: Path, *, kept: Seconds = KEPT, most: int = MOST) -> None:
        self.root = root
        self._kept, self._most = kept, most
        self._by_visitor: dict[Visitor, StoredResult] = {}
        self._lock = threading.Lock()

    def folder(self) -> Path:
        """A new folder, which only this user of the machine may read. Its name is the token."""
        self.sweep()
        folder = self.root / secrets.token_urlsafe(24)
        folder.mkdir(mode=0o700)
        return folder

    def keep(
        self, visitor: Visitor, folder: Path, result: EmotionResult, course: str, features: Features | None = None
    ) -> StoredResult:
        """Keep a result with all files of its folder, in place of the visitor's last one."""
        files = tuple(sorted(file.name for file in folder.iterdir()))
        stored = StoredResult(folder.name, folder, result, course, files, features or {})
        with self._lock:
            before = self._by_visitor.pop(visitor, None)
            self._by_visitor[visitor] = stored
        _remove(before)
        self.sweep()
        return stored

    def of(self, visitor: Visitor) -> StoredResult | None:
        """The visitor's last result, or None if there is none, or none any more."""
        self.sweep()
        with self._lock:
            return self._by_visitor.get(visitor)

    def file(self, session: str, token: str, name: str) -> Path | None:
        """A file by its address, or None; other sessions than the one it was made for get none."""
        self.sweep()
        with self._lock:
            matching = (
                stored
                for visitor, stored in self._by_visitor.items()
                if visitor.session == session and secrets.compare_digest(stored.token.encode(), token.encode())
            )
            stored = next(matching, None)
        return stored.folder / name if stored is not None and name in stored.files else None

    def drop(self, visitor: Visitor) -> None:
        """Remove what was kept for a visitor who has left."""
        with self._lock:
            stored = self._by_visitor.pop(visitor, None)
        _remove(stored)

    def sweep(self) -> None:
        """Remove what is too old, and the oldest of what is too much."""
        with self._lock:
            oldest = sorted(self._by_visitor, key=lambda visitor: self._by_visitor[visitor].made)
            past = time.monotonic() - self._kept
            gone = [
                visitor
                for place, visitor in enumerate(oldest)
                if self._by_visitor[visitor].made < past or place < len(oldest) - self._most
            ]
            results = [self._by_visitor.pop(visitor) for visitor in gone]
        for stored in results:
            _remove(stored)


def _remove(stored: StoredResult | None) -> None:
    if stored is not None:
        shutil.rmtree(stored.folder, ignore_errors=True)
