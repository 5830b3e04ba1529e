"""Scores and affect over time as reports draw them: runs of evidence with gaps between, and spans of one label."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmemo.evidence import Seconds
from mmemo.result import Scores, slots

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, ModalityScores, Person, Segment


@dataclass(frozen=True)
class Span:
    """Time span with one label: ``start`` and ``end`` in seconds, the label, and its mean score."""

    start: Seconds
    end: Seconds
    label: str
    score: float


@dataclass(frozen=True, eq=False)
class Run:
    """Scores or affect over a time span with evidence throughout.

    Attributes:
        times: (N,) float64, seconds, increasing: both ends, and the middles of the windows between them.
        values: (N, K) float64 at these times: scores in the order of the result's labels, or valence and arousal.
    """

    times: np.ndarray
    values: np.ndarray

    def at(self, time: Seconds) -> np.ndarray:
        """Values (K,) at a time within the run, interpolated linearly between the windows' middles."""
        return np.array([np.interp(time, self.times, column) for column in self.values.T])


Slot = tuple[Seconds, Seconds]


def runs(segments: Sequence[Segment], band: str) -> list[Run]:
    """The runs of a band, in order of time.

    Args:
        band: "fused" or a modality.
    """
    bands = [_of_band(segment, band) for segment in segments]
    return _runs(segments, [None if scores is None else list(scores.scores.values()) for scores in bands])


def affect_runs(segments: Sequence[Segment]) -> list[Run]:
    """The runs of fused valence and arousal, in order of time."""
    affects = [segment.affect for segment in segments]
    return _runs(segments, [None if affect is None else [affect.valence, affect.arousal] for affect in affects])


def thin(runs: Sequence[Run], most: int) -> list[Run]:
    """The runs with about ``most`` points in all: beyond that, neighbors are averaged; each run keeps its ends."""
    step = -(-sum(len(run.times) for run in runs) // most)
    return [_thin(run, step) if step > 1 and len(run.times) > 3 else run for run in runs]


def scores_at(runs: Sequence[Run], time: Seconds) -> np.ndarray | None:
    """Scores (K,) at a time, or None in a gap."""
    run = next((run for run in runs if run.times[0] <= time <= run.times[-1]), None)
    return None if run is None else run.at(time)


def spans(segments: Sequence[Segment], band: str) -> list[Span]:
    """Spans of one label each, in order of time; neighboring windows with the same label are one span."""
    spans: list[Span] = []
    weights: list[float] = []
    for (start, end), segment in zip(slots(segments), segments, strict=True):
        scores = _of_band(segment, band)
        if scores is None:
            continue
        label, score = scores.label, scores.scores[scores.label]
        last = spans[-1] if spans else None
        if last is not None and last.label == label and abs(last.end - start) < 1e-6:
            total = weights[-1] + end - start
            mean = (last.score * weights[-1] + score * (end - start)) / total if total else score
            spans[-1], weights[-1] = Span(last.start, end, label, mean), total
        else:
            spans.append(Span(start, end, label, score))
            weights.append(end - start)
    return spans


def scores_between(result: EmotionResult, start: Seconds, end: Seconds) -> Scores | None:
    """Fused scores of a time span: the mean of its windows, weighted by their overlap with it; None without any."""
    first = bisect_right(result.segments, start, key=lambda segment: segment.end)
    past = bisect_left(result.segments, end, key=lambda segment: segment.start)
    overlaps = [(min(s.end, end) - max(s.start, start), s) for s in result.segments[first:past]]
    total = sum(weight for weight, _ in overlaps)
    if not overlaps or total <= 0:
        return None
    return {label: sum(weight * s.scores[label] for weight, s in overlaps) / total for label in result.scores}


def label_between(result: EmotionResult, start: Seconds, end: Seconds) -> str:
    """Label with the highest of `scores_between`; empty without any."""
    scores = scores_between(result, start, end)
    return max(scores, key=scores.__getitem__) if scores else ""


def longest_seen(people: Sequence[Person], most: int) -> list[Person]:
    """At most ``most`` people, those with the highest coverage, in order of their ids."""
    return sorted(sorted(people, key=lambda person: -person.coverage)[:most], key=lambda person: person.id)


def _of_band(segment: Segment, band: str) -> Segment | ModalityScores | None:
    return segment if band == "fused" else segment.modalities.get(band)


def _thin(run: Run, step: int) -> Run:
    starts = np.arange(0, len(run.times) - 2, step)
    counts = np.diff([*starts, len(run.times) - 2])
    times = np.add.reduceat(run.times[1:-1], starts) / counts
    values = np.add.reduceat(run.values[1:-1], starts) / counts[:, None]
    return Run(np.r_[run.times[0], times, run.times[-1]], np.vstack([run.values[0], values, run.values[-1]]))


def _runs(segments: Sequence[Segment], values: Sequence[list[float] | None]) -> list[Run]:
    """The runs of the windows that have values."""
    runs: list[Run] = []
    members: list[tuple[Slot, float, list[float]]] = []
    for slot, segment, value in zip(slots(segments), segments, values, strict=True):
        if value is None:
            continue
        if members and slot[0] > members[-1][0][1] + 1e-6:  # between them there were no values
            runs.append(_run(members))
            members = []
        members.append((slot, (segment.start + segment.end) / 2, value))
    return [*runs, _run(members)] if members else runs


def _run(members: Sequence[tuple[Slot, float, list[float]]]) -> Run:
    times = [members[0][0][0], *(middle for _, middle, _ in members), members[-1][0][1]]
    values = [members[0][2], *(value for *_, value in members), members[-1][2]]
    return Run(np.array(times, float), np.array(values, float))
