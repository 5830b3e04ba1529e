"""The description of a corpus, and the result of reading a copy of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mmemo.data.manifest import Manifest
from mmemo.labels import LabelSet


@dataclass(frozen=True)
class Corpus:
    """A corpus that mmemo can read; its files are the user's own copy.

    Attributes:
        name: short, as in ``mmemo prepare NAME``.
        title: as people call it.
        paper: what to cite.
        license: its terms of use in a few words; every clip carries them.
        terms: what they allow, and where a copy comes from.
        layout: the files and folders expected.
        labels: the classes there can be.
        read: a function of the folder (or file) and of ``options`` that gives a `Reading`.
        options: names of further arguments that ``read`` takes.
    """

    name: str
    title: str
    paper: str
    license: str
    terms: str
    layout: str
    labels: LabelSet
    read: Callable[..., Reading]
    options: tuple[str, ...] = ()


SHOWN_ITEMS = 5
"""So many items of a caveat are in its text; all are in its ``items``."""


@dataclass(frozen=True)
class Caveat:
    """Something odd about a copy of a corpus: what it is, and which files or rows it concerns."""

    what: str
    items: tuple[str, ...]

    def __str__(self) -> str:
        more = [f"and {len(self.items) - SHOWN_ITEMS} more"] if len(self.items) > SHOWN_ITEMS else []
        return f"{self.what} ({len(self.items)}): {', '.join([*self.items[:SHOWN_ITEMS], *more])}"


@dataclass(frozen=True)
class Reading:
    """A copy of a corpus as it was read.

    Attributes:
        manifest: its clips.
        caveats: files that are missing, empty, double or named otherwise, and what else a user must know of this copy.
    """

    corpus: Corpus
    manifest: Manifest
    caveats: tuple[Caveat, ...] = ()

    @property
    def counts(self) -> dict[str | None, dict[str | None, int]]:
        """How many clips each label has, by split; None is a clip that has no label, or is in no split."""
        table: dict[str | None, dict[str | None, int]] = {}
        for (label, split), count in self.manifest.counts("label", "split").items():
            table.setdefault(label, {})[split] = count
        return {label: table[label] for label in (*self.manifest.labels, None) if label in table}
