"""The course of a result over time, as plots, pages, videos and subtitles draw it: bands with gaps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from mmemo.evidence import Seconds
from mmemo.result import Scores

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, ModalityScores, Segment


@dataclass(frozen=True)
class Span:
    """A stretch of time with one label: ``start`` and ``end`` in seconds, and the label's mean share."""

    start: Seconds
    end: Seconds
    label: str
    share: float


@dataclass(frozen=True, eq=False)
class Run:
    """A stretch of time with evidence, without a gap.

    Attributes:
        times: (N,) float64, seconds, increasing: both ends, and the middles of the windows between them.
        shares: (N, K) float64: the scores at these times, in the order of the result's labels.
    """

    times: np.ndarray
    shares: np.ndarray

    def at(self, time: Seconds) -> np.ndarray:
        """The scores (K,) at a time within the run, straight between the windows' middles."""
        return np.array([np.interp(time, self.times, column) for column in self.shares.T])


def runs(segments: Sequence[Segment], band: str) -> list[Run]:
    """The stretches in which a band has evidence; ``band`` is "fused" or a modality."""
    found: list[Run] = []
    slots = zip(_slots(segments), segments, strict=True)
    for has, group in groupby(slots, key=lambda item: _said(item[1], band) is not None):
        if not has:
            continue
        stretch: list[tuple[tuple[Seconds, Seconds], Segment]] = []
        for slot, segment in group:
            if stretch and slot[0] > stretch[-1][0][1] + 1e-6:  # windows between them had no evidence at all
                found.append(_run(stretch, band))
                stretch = []
            stretch.append((slot, segment))
        found.append(_run(stretch, band))
    return found


def thinned(found: Sequence[Run], most: int) -> list[Run]:
    """The same with about ``most`` points in all: where there are more, means of neighbours, each run's ends kept."""
    step = -(-sum(len(run.times) for run in found) // most)
    return [_thinned(run, step) if step > 1 and len(run.times) > 3 else run for run in found]


def at(found: Sequence[Run], time: Seconds) -> np.ndarray | None:
    """The scores (K,) at a time, or None in a gap."""
    for run in found:
        if run.times[0] <= time <= run.times[-1]:
            return run.at(time)
    return None


def spans(segments: Sequence[Segment], band: str) -> list[Span]:
    """The course as stretches of one label each: what follows on itself is one stretch."""
    found: list[Span] = []
    weights: list[float] = []
    for (start, end), segment in zip(_slots(segments), segments, strict=True):
        said = _said(segment, band)
        if said is None:
            continue
        share = said.scores[said.label]
        before = found[-1] if found else None
        if before is not None and before.label == said.label and abs(before.end - start) < 1e-6:
            total = weights[-1] + end - start
            mean = (before.share * weights[-1] + share * (end - start)) / total if total else share
            found[-1], weights[-1] = Span(before.start, end, said.label, mean), total
        else:
            found.append(Span(start, end, said.label, share))
            weights.append(end - start)
    return found


def scores_between(result: EmotionResult, start: Seconds, end: Seconds) -> Scores | None:
    """The fused scores of a stretch of time: the mean of its windows, weighted by what of them lies in it."""
    first = bisect_right(result.segments, start, key=lambda segment: segment.end)
    past = bisect_left(result.segments, end, key=lambda segment: segment.start)
    inside = [(min(s.end, end) - max(s.start, start), s) for s in result.segments[first:past]]
    total = sum(weight for weight, _ in inside)
    if not inside or total <= 0:
        return None
    return {label: sum(weight * s.scores[label] for weight, s in inside) / total for label in result.scores}


def _said(segment: Segment, band: str) -> Segment | ModalityScores | None:
    return segment if band == "fused" else segment.modalities.get(band)


def _thinned(run: Run, step: int) -> Run:
    starts = np.arange(0, len(run.times) - 2, step)
    counts = np.diff([*starts, len(run.times) - 2])
    times = np.add.reduceat(run.times[1:-1], starts) / counts
    shares = np.add.reduceat(run.shares[1:-1], starts) / counts[:, None]
    return Run(np.r_[run.times[0], times, run.times[-1]], np.vstack([run.shares[0], shares, run.shares[-1]]))


def _run(stretch: Sequence[tuple[tuple[Seconds, Seconds], Segment]], band: str) -> Run:
    middles = [(segment.start + segment.end) / 2 for _, segment in stretch]
    shares = [list(said.scores.values()) for _, segment in stretch if (said := _said(segment, band)) is not None]
    times = [stretch[0][0][0], *middles, stretch[-1][0][1]]
    return Run(np.array(times, float), np.array([shares[0], *shares, shares[-1]], float))


def _slots(segments: Sequence[Segment]) -> list[tuple[Seconds, Seconds]]:
    """Where each window is drawn: it owns the time nearest to its middle, as windows overlap."""
    middles = [(segment.start + segment.end) / 2 for segment in segments]
    slots = []
    for place, segment in enumerate(segments):
        start, end = segment.start, segment.end
        if place and segments[place - 1].end > segment.start:
            start = (middles[place - 1] + middles[place]) / 2
        if place + 1 < len(segments) and segments[place + 1].start < segment.end:
            end = (middles[place] + middles[place + 1]) / 2
        slots.append((start, end))
    return slots
