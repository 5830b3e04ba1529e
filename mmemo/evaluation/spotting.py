"""Scores of spotting: found intervals against true ones, as in the MEGC spotting challenges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Interval = tuple[float, float]
"""Onset and offset, in seconds or in frames."""


@dataclass(frozen=True)
class SpottingScore:
    """Counts over any number of clips: ``hits`` are found and true, ``false`` found only, ``missed`` true only."""

    hits: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of what was found that is true; 0 if nothing was found."""
        return self.hits / max(self.hits + self.false, 1)

    @property
    def recall(self) -> float:
        """Share of what is true that was found; 0 if nothing is true."""
        return self.hits / max(self.hits + self.missed, 1)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 0 where nothing is true and nothing was found."""
        return 2 * self.hits / max(2 * self.hits + self.false + self.missed, 1)

    def __add__(self, other: SpottingScore) -> SpottingScore:
        return SpottingScore(self.hits + other.hits, self.false + other.false, self.missed + other.missed)


def overlap(first: Interval, second: Interval) -> float:
    """Intersection over union of two intervals, 0 to 1."""
    shared = min(first[1], second[1]) - max(first[0], second[0])
    union = max(first[1], second[1]) - min(first[0], second[0])
    return max(0.0, shared) / union if union > 0 else 0.0


def spotting_score(true: Sequence[Interval], found: Iterable[Interval], least: float = 0.5) -> SpottingScore:
    """Match found to true intervals of one clip, each at most once, the best overlaps first.

    Args:
        true: annotated intervals.
        found: spotted intervals.
        least: intersection over union from which a found interval is a hit (Li et al., MEGC 2020 and later: 0.5).
    """
    found = list(found)
    pairs = sorted(
        ((overlap(one, other), i, j) for i, one in enumerate(true) for j, other in enumerate(found)), reverse=True
    )
    taken_true: set[int] = set()
    taken_found: set[int] = set()
    for share, i, j in pairs:
        if share >= least and i not in taken_true and j not in taken_found:
            taken_true.add(i)
            taken_found.add(j)
    return SpottingScore(len(taken_true), len(found) - len(taken_found), len(true) - len(taken_true))
