"""Tracks of face bounding boxes over time, compressed to piecewise-linear form while a clip is decoded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from mmemo.document import rounded_to
from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds

Box = Annotated[tuple[float, float, float, float], rounded_to(4)]
"""Left, top, right, bottom as shares of the frame's width and height; beyond 0 to 1 where a face is cut off."""

_TOLERANCE = 0.05
"""How far a box may lie off the straight line, in shares of its own width and height."""
_LONGEST_STEP: Seconds = 1.0
_LONGEST_MISS: Seconds = 0.35
"""A face that is missed for longer than this has left; shorter misses are bridged, so that boxes don't flicker."""
_HOLD: Seconds = 0.1
"""How long before its first and after its last detection a face counts as present: the time between sampled frames."""


@dataclass(frozen=True)
class BoxTrack:
    """Piecewise-linear track of a face's bounding box.

    One track covers one stretch of time in which the face is visible without a break.

    Attributes:
        times: (N,) seconds from the start of the file, increasing; N is at least 1.
        boxes: (N, 4) left, top, right, bottom at each time; in between, the box is interpolated linearly.

    Raises:
        ArgumentError: if the lengths differ or are 0, or the times don't increase.
    """

    times: tuple[Seconds, ...]
    boxes: tuple[Box, ...]

    def __post_init__(self) -> None:
        increasing = all(now < later for now, later in zip(self.times, self.times[1:], strict=False))
        if not self.times or len(self.times) != len(self.boxes) or not increasing:
            raise ArgumentError(
                f"BoxTrack: expected as many boxes as increasing times, got {len(self.times)} and {len(self.boxes)}."
            )

    def __repr__(self) -> str:
        return f"<BoxTrack {self.times[0]:.1f} to {self.times[-1]:.1f} s, {len(self.times)} boxes>"

    def at(self, time: Seconds) -> Box | None:
        """The box at ``time``, or None if the face is not visible then."""
        if not self.times[0] - _HOLD <= time <= self.times[-1] + _HOLD:
            return None
        after = bisect_right(self.times, time)
        if after == 0:
            return self.boxes[0]
        if after == len(self.times):
            return self.boxes[-1]
        return _interpolate(self.times[after - 1], self.boxes[after - 1], self.times[after], self.boxes[after], time)


@dataclass(eq=False)
class _OpenTrack:
    """A track that may still grow: the knots so far, and the detections after the last one."""

    times: list[Seconds]
    boxes: list[Box]
    pending: list[tuple[Seconds, Box]] = field(default_factory=list)

    @property
    def last_seen(self) -> Seconds:
        return self.pending[-1][0] if self.pending else self.times[-1]

    def add(self, time: Seconds, box: Box) -> None:
        if self.pending and not self._is_straight(time, box):
            self._add_knot()
        self.pending.append((time, box))

    def _is_straight(self, time: Seconds, box: Box) -> bool:
        start, first = self.times[-1], self.boxes[-1]
        if time - start > _LONGEST_STEP:
            return False
        return all(_is_near(seen, _interpolate(start, first, time, box, when)) for when, seen in self.pending)

    def _add_knot(self) -> None:
        time, box = self.pending[-1]
        self.times.append(time)
        self.boxes.append(box)
        self.pending = []

    def close(self) -> BoxTrack:
        if self.pending:
            self._add_knot()
        return BoxTrack(tuple(self.times), tuple(self.boxes))


class BoxTrackRecorder:
    """Records the box tracks of all persons of a clip frame by frame; memory grows with their motion, not with frames.

    >>> recorder = BoxTrackRecorder()
    >>> for frame in range(10):
    ...     recorder.add(frame / 10, {0: (0.1, 0.2, 0.3, 0.4)})
    >>> recorder.tracks(0)
    (<BoxTrack 0.0 to 0.9 s, 2 boxes>,)
    """

    def __init__(self) -> None:
        self._open: dict[int, _OpenTrack] = {}
        self._closed: dict[int, list[BoxTrack]] = {}
        self._previous: Seconds | None = None

    def add(self, time: Seconds, boxes: Mapping[int, Box]) -> None:
        """Add the faces detected in the next frame, by person id."""
        for person, box in boxes.items():
            track = self._open.get(person)
            if track is not None and track.last_seen != self._previous and time - track.last_seen > _LONGEST_MISS:
                self._closed.setdefault(person, []).append(track.close())
                track = None
            if track is None:
                self._open[person] = _OpenTrack([time], [box])
            else:
                track.add(time, box)
        self._previous = time

    def tracks(self, person: int) -> tuple[BoxTrack, ...]:
        """The tracks of one person so far, in order of time."""
        track = self._open.get(person)
        closed = self._closed.get(person, [])
        return (*closed, *([track.close()] if track else []))


def _interpolate(start: Seconds, first: Box, end: Seconds, last: Box, time: Seconds) -> Box:
    share = (time - start) / (end - start)
    left, top, right, bottom = (a + share * (b - a) for a, b in zip(first, last, strict=True))
    return left, top, right, bottom


def _is_near(box: Box, expected: Box) -> bool:
    width, height = box[2] - box[0], box[3] - box[1]
    sides = (width, height, width, height)
    return all(abs(a - b) <= _TOLERANCE * side for a, b, side in zip(box, expected, sides, strict=True))
