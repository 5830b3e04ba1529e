"""Anonymization: every face of a video is hidden, so that it can be shared.

Better one patch too many than one face too few: uncertain detections are hidden as well, and each of them for a moment
before and after, so that a face that is missed in a frame is still covered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.faces.cuts import MIN_SIMILARITY, ShotSimilarity
from mmemo.faces.detector import overlaps, whole
from mmemo.faces.search import FaceSearch, depth_of

Method = Literal["blur", "mask"]
METHODS = ("blur", "mask")

_SAME, _SAME_HEAD = 0.5, 0.4
"""Overlap above which two detections are one face, as intersection over union, and above which two heads are covered
as one, as share of the smaller."""
_REACH: Seconds = 0.3
"""A detection hides its place for so long before and after it, within its shot."""
_MOST_WAITING = 24
"""Frames that may wait for what comes after them: of a very fast video the reach into the past is shorter."""
_SEARCH_EVERY: Seconds = 0.2
_SIDE = 1280
"""Pixels of the longer side at which heads are detected."""
_CERTAIN, _LIKELY = 0.7, 0.55
"""Score of a detection that counts without a second one, and mean of two that counts as well. An analysis requires
.65 and a face's landmarks."""
_TIGHT = 0.5
"""Room around a picture that may be nothing but a face, in shares of its longer side."""
_SIDEWAYS, _UP, _DOWN = 0.3, 0.55, 0.28
"""Hidden around a detected box, brow to chin and ear to ear, in shares of its sides: the head with its hair."""
_CELLS, _CONTRAST = 4, 0.5
"""Mean colors across a blurred head, and what is left of their difference: too little to recognize anybody."""
_MASK = (52, 56, 61)

Boxes = Callable[[Seconds], Iterable[Sequence[float]]]
Timed = tuple[Seconds, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Heads:
    time: Seconds
    shot: int
    boxes: np.ndarray  # (N, 4) left, top, right, bottom of the heads, as shares of the picture


def hide_faces(frames: Iterable[Timed], method: Method, known: Boxes = lambda _: ()) -> Iterator[Timed]:
    """The same frames with every face hidden, those of photos and screens in the picture too.

    Args:
        frames: in order of time, each (H, W, 3) uint8 RGB; they are changed in place.
        method: "blur" leaves a few mean colors of each head, "mask" nothing.
        known: boxes known at a time, as shares of the picture's sides; they are hidden besides those that are detected.

    Raises:
        ArgumentError: for another method.
    """
    if method not in METHODS:
        raise ArgumentError(expected_one_of("anonymize", METHODS, method))
    return _hide(frames, method, known)


def _hide(frames: Iterable[Timed], method: str, known: Boxes) -> Iterator[Timed]:
    detector = _HeadDetector(known)
    waiting: deque[tuple[Seconds, np.ndarray]] = deque()
    recent: deque[_Heads] = deque()
    shots: deque[int] = deque()
    for time, image in frames:
        heads = detector.detect(time, image)
        waiting.append((time, image))
        shots.append(heads.shot)
        recent.append(heads)
        while time - waiting[0][0] > _REACH or len(waiting) > _MOST_WAITING:
            yield _covered(*waiting.popleft(), shots.popleft(), recent, method)
    while waiting:
        yield _covered(*waiting.popleft(), shots.popleft(), recent, method)


def _covered(
    time: Seconds, image: np.ndarray, shot: int, recent: deque[_Heads], method: str
) -> tuple[Seconds, np.ndarray]:
    while recent and recent[0].time < time - _REACH:
        recent.popleft()
    near = [heads.boxes for heads in recent if heads.shot == shot and abs(heads.time - time) <= _REACH + 1e-6]
    heads = _merged(np.concatenate(near)) if near else np.zeros((0, 4))
    for head in heads * np.tile(image.shape[1::-1], 2):
        _cover(image, head, method)
    return time, image


class _HeadDetector:
    """Detection of heads in each frame: thorough now and then and in each new shot, else where they were."""

    def __init__(self, known: Boxes) -> None:
        self._search = FaceSearch()
        self._shots = ShotSimilarity()
        self._known = known
        self._shot = 0
        self._searched = -np.inf
        self._before = np.zeros((0, 4))

    def detect(self, time: Seconds, image: np.ndarray) -> _Heads:
        small = _shrunken(image)
        if self._shots.update(small) < MIN_SIMILARITY:
            self._shot += 1
            self._searched = -np.inf
        thorough = time - self._searched >= _SEARCH_EVERY
        if thorough:
            self._searched = time
        detections = self._search.candidates(small, depth_of(small) if thorough else 0)
        if thorough:
            detections += self._search.detector.detect(small, whole(small, _TIGHT))
        boxes: list[np.ndarray] = []
        for detection in sorted(detections, key=lambda detection: -detection.score):
            if boxes and overlaps(np.array(boxes), detection.box).max() > _SAME:
                continue
            second = None if detection.score >= _CERTAIN else self._search.confirm(small, detection.box)
            if detection.score >= _CERTAIN or (second and (detection.score + second.score) / 2 >= _LIKELY):
                boxes.append(detection.box)
        for box in self._before:  # where a face was it is confirmed even if the search missed it
            if not boxes or overlaps(np.array(boxes), box).max() < _SAME:
                again = self._search.confirm(small, box)
                if again is not None:
                    boxes.append(again.box)
        self._before = np.array(boxes).reshape(-1, 4)
        size = np.tile(small.shape[1::-1], 2)
        known = np.array([list(box) for box in self._known(time)], float).reshape(-1, 4)
        return _Heads(time, self._shot, np.concatenate([_heads(self._before) / size, _heads(known)]))


def _heads(boxes: np.ndarray) -> np.ndarray:
    """The whole heads of faces (N, 4)."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    grown: np.ndarray = boxes + np.stack([-_SIDEWAYS * width, -_UP * height, _SIDEWAYS * width, _DOWN * height], axis=1)
    return grown


def _merged(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) of one head over time as one box around them all."""
    merged: list[np.ndarray] = []
    for box in boxes:
        while True:
            same = [place for place, other in enumerate(merged) if _overlap(other, box) > _SAME_HEAD]
            if not same:
                break
            joined = np.array([box, *(merged[place] for place in same)])
            box = np.concatenate([joined[:, :2].min(axis=0), joined[:, 2:].max(axis=0)])
            merged = [other for place, other in enumerate(merged) if place not in same]
        merged.append(box)
    return np.array(merged).reshape(-1, 4)


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """The area two boxes have in common, as a share of the smaller one."""
    common = np.clip(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0, None).prod()
    areas = [np.clip(box[2:] - box[:2], 0, None).prod() for box in (first, second)]
    return float(common / max(min(areas), 1e-12))


def _cover(image: np.ndarray, head: np.ndarray, method: str) -> None:
    left, top, right, bottom = _within(head, image)
    if right <= left or bottom <= top:
        return
    part = image[top:bottom, left:right]
    size = (right - left, bottom - top)
    if method == "mask":
        cover: np.ndarray = np.broadcast_to(np.array(_MASK, np.uint8), part.shape)
    else:
        cells = cv2.resize(part, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)
        mean = cells.mean(axis=(0, 1))
        cells = (mean + _CONTRAST * (cells - mean)).astype(np.uint8)
        cover = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
    shape = cv2.resize(_shape(), size, interpolation=cv2.INTER_LINEAR)[..., None]
    part[:] = (part + shape * (cover.astype(np.float32) - part)).astype(np.uint8)


@lru_cache(maxsize=1)
def _shape() -> np.ndarray:
    """How far each point of a box is covered, (96, 96) float32 in [0, 1]: a box with round corners and a soft edge."""
    across = np.abs(np.linspace(-1, 1, 96))
    radius = (across[:, None] ** 5 + across[None] ** 5) ** (1 / 5)
    shape: np.ndarray = np.clip((1.0 - radius) / 0.06, 0, 1).astype(np.float32)
    return shape


def _within(head: np.ndarray, image: np.ndarray) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    low, high = np.floor(head[:2]).astype(int), np.ceil(head[2:]).astype(int)
    left, right = np.clip([low[0], high[0]], 0, width)
    top, bottom = np.clip([low[1], high[1]], 0, height)
    return int(left), int(top), int(right), int(bottom)


def _shrunken(image: np.ndarray) -> np.ndarray:
    factor = _SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
