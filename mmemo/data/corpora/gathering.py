"""Collects the clips and caveats of one corpus, until a `Reading` is made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmemo.clip import Clip
from mmemo.data.corpora.corpus import Caveat, Corpus, Reading
from mmemo.data.manifest import Manifest
from mmemo.errors import ArgumentError, ManifestError
from mmemo.labels import LabelSet

NAME = "files whose names don't fit, left out"
EMPTY = "files of zero bytes, left out"
DANGLING = "links that lead nowhere, left out"
HIDDEN = "hidden files, left out"
DOUBLE = "files that are there already, under the same name or in another form: left out"
MISSING = "files missing"
VALUES = "clips left out, as their values don't fit"


class Gathering:
    """The clips and caveats of a corpus read so far.

    Args:
        folder: the user's copy: a folder, or for some corpora a file.

    Raises:
        ManifestError: if there is no such folder.
    """

    def __init__(self, corpus: Corpus, folder: str | Path, labels: LabelSet | None = None) -> None:
        self.corpus = corpus
        self.folder = Path(folder)
        self.labels = labels or corpus.labels
        self.clips: list[Clip] = []
        self._ids: set[str] = set()
        self._caveats: dict[str, list[str]] = {}
        if not os.path.exists(self.folder):
            raise ManifestError(self.folder, [f"there is no such file or folder; expected {corpus.layout}"])

    def files(self, suffixes: Iterable[str], below: Path | None = None) -> Iterator[Path]:
        """All files of some suffixes, sorted; empty and hidden ones become caveats and are left out."""
        wanted = tuple(suffixes)
        for path, size in sorted(walk(below or self.folder), key=lambda file: file[0]):
            name = os.path.basename(path)
            if not name.lower().endswith(wanted):
                continue
            if name.startswith("."):
                self.caveat(HIDDEN, path)
            elif not size:
                self.caveat(DANGLING if size is None else EMPTY, path)
            else:
                yield Path(path)

    def matching(self, pattern: re.Pattern[str], suffixes: Iterable[str]) -> Iterator[tuple[Path, re.Match[str]]]:
        """Files whose name without suffix fits a pattern, one for each name; all others become caveats.

        Of several forms of a take the first suffix wins: name the suffixes in the order in which they are preferred.
        """
        wanted = list(suffixes)
        chosen: dict[str, tuple[Path, re.Match[str]]] = {}
        for path in sorted(self.files(wanted), key=lambda path: wanted.index(path.suffix.lower())):
            match = pattern.fullmatch(path.stem)
            if match is None:
                self.caveat(NAME, path)
            elif path.stem in chosen:
                self.caveat(DOUBLE, path)
            else:
                chosen[path.stem] = path, match
        yield from (chosen[name] for name in sorted(chosen))

    def add(self, **values: Any) -> None:
        """One more clip; ``corpus`` and ``license`` are filled in."""
        if values["id"] in self._ids:
            self.caveat(DOUBLE, values.get("path") or values["id"])
            return
        try:
            clip = Clip(corpus=self.corpus.name, license=self.corpus.license, **values)
        except ArgumentError as error:
            self.caveat(VALUES, f"{values['id']}: {error}")
            return
        self._ids.add(clip.id)
        self.clips.append(clip)

    def caveat(self, what: str, item: object) -> None:
        """Note something odd; a path is given relative to the corpus."""
        text = str(item)
        if os.path.isabs(text) or isinstance(item, Path):
            text = os.path.relpath(text, self.folder) if self.folder.is_dir() else text
        self._caveats.setdefault(what, []).append(text)

    def reading(self) -> Reading:
        """The clips and caveats as a `Reading`.

        Raises:
            ManifestError: if that is nothing.
        """
        if not self.clips:
            caveats = [f"{what}: {len(items)}, such as {items[0]}" for what, items in self._caveats.items()]
            nothing = f"nothing of {self.corpus.title} is here; expected {self.corpus.layout}"
            raise ManifestError(self.folder, [nothing, *caveats])
        manifest = Manifest(tuple(self.clips), self.labels)
        return Reading(self.corpus, manifest, tuple(Caveat(w, tuple(i)) for w, i in self._caveats.items()))


def walk(folder: Path | str, above: frozenset[str] = frozenset()) -> Iterator[tuple[str, int | None]]:
    """Every file below a folder and its size, None for a link that leads nowhere. Links are followed, not in circles.

    Raises:
        ManifestError: if a folder can't be opened.
    """
    if os.path.isfile(folder):
        yield str(folder), os.path.getsize(folder)
        return
    here = os.path.realpath(folder)
    if here in above:
        return
    try:
        entries = [*os.scandir(folder)]
    except OSError as error:
        raise ManifestError(folder, [f"it can't be opened: {error.strerror}"]) from None
    for entry in entries:
        if entry.is_dir():
            yield from walk(entry.path, above | {here})
        elif entry.is_file():
            yield entry.path, entry.stat().st_size
        elif entry.is_symlink():
            yield entry.path, None
