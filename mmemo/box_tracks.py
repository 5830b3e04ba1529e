"""Where a face was over time, kept in few numbers: boxes at the moments between which it moved straight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the picture's width and height; beyond 0 to 1 where a face is cut off."""

_TOLERANCE = 0.05
"""How far a box may lie off the straight line, in shares of its own width and height."""
_LONGEST_STEP: Seconds = 1.0
_LONGEST_MISS: Seconds = 0.35
"""A face that is missed for longer than this has left; shorter misses are bridged, so that boxes don't flicker."""
_HOLD: Seconds = 0.1
"""How long before its first and after its last sighting a face is taken to be there: frames between those looked at."""


@dataclass(frozen=True)
class Trail:
    """One stretch of time in which a face was seen without a break.

    Attributes:
        times: seconds from the start of the file, increasing.
        boxes: of the same number; between two of them the face moves straight.

    Raises:
        ArgumentError: if the numbers differ or are 0, or the times don't increase.
    """

    times: tuple[Seconds, ...]
    boxes: tuple[Box, ...]

    def __post_init__(self) -> None:
        increasing = all(now < later for now, later in zip(self.times, self.times[1:], strict=False))
        if not self.times or len(self.times) != len(self.boxes) or not increasing:
            raise ArgumentError(
                f"Trail: expected as many boxes as increasing times, got {len(self.times)} and {len(self.boxes)}."
            )

    def at(self, time: Seconds) -> Box | None:
        """Where the face is at a time, or None if it is not there then."""
        if not self.times[0] - _HOLD <= time <= self.times[-1] + _HOLD:
            return None
        after = bisect_right(self.times, time)
        if after == 0:
            return self.boxes[0]
        if after == len(self.times):
            return self.boxes[-1]
        return _between(self.times[after - 1], self.boxes[after - 1], self.times[after], self.boxes[after], time)


@dataclass(eq=False)
class _Walk:
    """A trail in the making: the knots so far, and the sightings after the last one."""

    times: list[Seconds]
    boxes: list[Box]
    pending: list[tuple[Seconds, Box]] = field(default_factory=list)

    @property
    def seen(self) -> Seconds:
        return self.pending[-1][0] if self.pending else self.times[-1]

    def step(self, time: Seconds, box: Box) -> None:
        if self.pending and not self._straight(time, box):
            self._knot()
        self.pending.append((time, box))

    def _straight(self, time: Seconds, box: Box) -> bool:
        start, first = self.times[-1], self.boxes[-1]
        if time - start > _LONGEST_STEP:
            return False
        return all(_near(there, _between(start, first, time, box, when)) for when, there in self.pending)

    def _knot(self) -> None:
        time, box = self.pending[-1]
        self.times.append(time)
        self.boxes.append(box)
        self.pending = []

    def end(self) -> Trail:
        if self.pending:
            self._knot()
        return Trail(tuple(self.times), tuple(self.boxes))


class TrailKeeper:
    """Gathers the trails of all persons of a clip, frame by frame; memory grows with their moves, not with frames."""

    def __init__(self) -> None:
        self._walks: dict[int, _Walk] = {}
        self._done: dict[int, list[Trail]] = {}
        self._before: Seconds | None = None

    def see(self, time: Seconds, boxes: Mapping[int, Box]) -> None:
        """Take the faces of the next frame, by person."""
        for person, box in boxes.items():
            walk = self._walks.get(person)
            if walk is not None and walk.seen != self._before and time - walk.seen > _LONGEST_MISS:
                self._done.setdefault(person, []).append(walk.end())
                walk = None
            if walk is None:
                self._walks[person] = _Walk([time], [box])
            else:
                walk.step(time, box)
        self._before = time

    def trails(self, person: int) -> tuple[Trail, ...]:
        """The trails of one person so far, in order of time."""
        walk = self._walks.get(person)
        done = self._done.get(person, [])
        return (*done, *([walk.end()] if walk else []))


def _between(start: Seconds, first: Box, end: Seconds, last: Box, time: Seconds) -> Box:
    share = (time - start) / (end - start)
    left, top, right, bottom = (a + share * (b - a) for a, b in zip(first, last, strict=True))
    return left, top, right, bottom


def _near(box: Box, guess: Box) -> bool:
    width, height = box[2] - box[0], box[3] - box[1]
    sides = (width, height, width, height)
    return all(abs(a - b) <= _TOLERANCE * side for a, b, side in zip(box, guess, sides, strict=True))
