"""Metrics of spotting: detected intervals against annotated ones, as in the MEGC spotting challenges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[float, float]
"""Onset and offset, in seconds or in frames."""


@dataclass(frozen=True)
class SpottingScore:
    """Counts over any number of clips, and the precision, recall and F1 of them.

    Attributes:
        hits: true positives, annotated and detected.
        false: false positives, detected only.
        missed: false negatives, annotated only.

    >>> total = SpottingScore(hits=2, false=1, missed=0) + SpottingScore(hits=1, false=0, missed=1)
    >>> total.f1
    0.75
    """

    hits: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 0 if nothing was detected."""
        return self.hits / max(self.hits + self.false, 1)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 0 if nothing is annotated."""
        return self.hits / max(self.hits + self.missed, 1)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 0 where nothing is annotated and nothing was detected."""
        return 2 * self.hits / max(2 * self.hits + self.false + self.missed, 1)

    def __add__(self, other: SpottingScore) -> SpottingScore:
        return SpottingScore(self.hits + other.hits, self.false + other.false, self.missed + other.missed)


def overlap(first: Span, second: Span) -> float:
    """Intersection over union of two intervals, 0 to 1.

    >>> overlap((0.0, 2.0), (1.0, 2.0))
    0.5
    """
    shared = min(first[1], second[1]) - max(first[0], second[0])
    union = max(first[1], second[1]) - min(first[0], second[0])
    return max(0.0, shared) / union if union > 0 else 0.0


def spotting_score(true: Sequence[Span], detected: Iterable[Span], least: float = 0.5) -> SpottingScore:
    """Match detected to annotated intervals of one clip, each at most once, the best overlaps first.

    Args:
        true: annotated intervals.
        detected: spotted intervals.
        least: intersection over union from which a detected interval is a hit (Li et al., MEGC 2020 and later: 0.5).

    >>> spotting_score([(1.0, 1.4), (3.0, 3.3)], [(1.1, 1.4), (5.0, 5.2)])
    SpottingScore(hits=1, false=1, missed=1)
    """
    detected = list(detected)
    pairs = sorted(
        ((overlap(one, other), i, j) for i, one in enumerate(true) for j, other in enumerate(detected)), reverse=True
    )
    matched_true: set[int] = set()
    matched_detected: set[int] = set()
    for iou, i, j in pairs:
        if iou >= least and i not in matched_true and j not in matched_detected:
            matched_true.add(i)
            matched_detected.add(j)
    hits = len(matched_true)
    return SpottingScore(hits, len(detected) - hits, len(true) - hits)
