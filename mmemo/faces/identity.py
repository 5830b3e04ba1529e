"""People across cuts: face tracks of one clip that show the same person get the same id.

Each track is described by a vector in which pictures of one person lie near each other: histograms of oriented
gradients (Dalal & Triggs, "Histograms of oriented gradients for human detection", CVPR 2005) of the aligned crop, less
what the expression and the turn of the head explain of them, whitened by how pictures of one person differ (WCCN, Hatch
et al., "Within-class covariance normalization for SVM-based speaker recognition", Interspeech 2006). Vectors are
compared by their cosine.

This is enough to tell apart a few people in one film, and far from enough to recognize anybody elsewhere. The vectors
live as long as the gallery of their clip: no result, cache or file holds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds
from mmemo.faces.appearance import unit
from mmemo.faces.face import Face
from mmemo.faces.model import FOLDER, IDENTITY, checked

SAME_PERSON = 0.5
"""Cosine from which two vectors are one person's. Chosen on the Yale faces: see docs/models/faces.md."""
DECIDE_AFTER: Seconds = 0.5
"""A track is matched so long after its first frame, with what was seen of it until then."""
_MIN_QUALITY = 0.25  # of a frame that describes a person
# The first frames of a track, quickly, then one now and then: light, pose and expression change.
_FIRST, _SOON, _LATER = 2, 0.2, 2.0
_MOST = 8  # frames of one track

_SIDE, _CELLS, _BINS = 64, 8, 8  # pixels of the crop that is measured, cells in a row, directions
_SPREAD = 4.6  # pixels: standard deviation of a cell's Gaussian window
_FAINT = 2.0  # gray levels a pixel: gradients below count as noise
_MOST_TURNED = 40.0  # degrees; the effect of the pose was measured up to there


def gradients(crop: np.ndarray) -> np.ndarray:
    """Histograms of gradients of an aligned crop (S, S, 3) uint8: (512,) float32, 8 directions of 8 x 8 cells."""
    small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    strength, angle = cv2.cartToPolar(
        cv2.Sobel(gray, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(gray, cv2.CV_32F, 0, 1, ksize=1)
    )
    place = angle.ravel() * (_BINS / (2 * np.pi))
    below = place.astype(np.intp)
    share, pixels = place - below, np.arange(_SIDE * _SIDE)
    planes = np.zeros((_BINS, _SIDE * _SIDE), np.float32)
    planes[below % _BINS, pixels] = strength.ravel() * (1 - share)
    planes[(below + 1) % _BINS, pixels] = strength.ravel() * share
    pool = _windows()
    cells = pool @ planes.reshape(_BINS, _SIDE, _SIDE) @ pool.T
    energy = np.sqrt(cv2.GaussianBlur(np.square(cells).sum(axis=0), (3, 3), 0)) + _FAINT
    return np.asarray(np.sqrt(cells / energy).reshape(-1))


@lru_cache(maxsize=1)
def _windows() -> np.ndarray:
    """(8, 64) float32: the share of each row of pixels, or column, in each cell."""
    middles, pixels = (np.arange(_CELLS) + 0.5) * _SIDE / _CELLS, np.arange(_SIDE) + 0.5
    weights = np.exp(-np.square(pixels - middles[:, None]) / (2 * _SPREAD**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def circumstances(pose: np.ndarray, blendshapes: np.ndarray) -> np.ndarray:
    """What changes the picture of a face but is not the person: (58,) float32.

    Args:
        pose: (3,) yaw, pitch, roll in degrees; roll does not count, as the crop undoes it.
        blendshapes: (52,).
    """
    yaw, pitch = np.clip(pose[:2], -_MOST_TURNED, _MOST_TURNED) / 20.0
    turn = (1.0, yaw, pitch, yaw * yaw, pitch * pitch, yaw * pitch)
    return np.concatenate([turn, np.sqrt(blendshapes)]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class IdentityProjection:
    """Linear map from gradients and circumstances to a vector of the person, as ``recipes/face_identity.py`` fits it.

    Attributes:
        components: (D, 512) int8, and ``scales``: (D,) float32, by which its rows are multiplied.
        offsets: (D, 58) float16: what the circumstances explain of each component.
    """

    components: np.ndarray
    scales: np.ndarray
    offsets: np.ndarray

    def __call__(self, face: Face) -> np.ndarray:
        """Unit vector of a face: (D,) float32."""
        seen = (self.components @ gradients(face.crop)) * self.scales
        return unit(seen - self.offsets @ circumstances(face.pose, face.blendshapes))


@lru_cache(maxsize=1)
def identity_projection() -> IdentityProjection:
    """The embedded projection.

    Raises:
        WeightsError: if the file is missing or damaged.
    """
    with np.load(checked(FOLDER / IDENTITY), allow_pickle=False) as file:
        components, scales, offsets = (file[name] for name in ("components", "scales", "offsets"))
    return IdentityProjection(components.astype(np.float32), scales, offsets.astype(np.float32))


@dataclass(eq=False)
class _Likeness:
    """What one person looks like. Frames become vectors only when there is somebody to compare with."""

    waiting: list[Face] = field(default_factory=list)
    total: np.ndarray = field(default_factory=lambda: np.zeros(1, np.float32))  # of the vectors, by quality

    def vector(self) -> np.ndarray:
        """Unit vector (D,) float32; a single zero without any frame."""
        for face in self.waiting:
            self.total = self.total + face.quality * identity_projection()(face)
        self.waiting = []
        return unit(self.total)

    def absorb(self, other: _Likeness) -> None:
        self.waiting = self.waiting + other.waiting
        self.total = self.total + other.total


@dataclass(eq=False)
class _Track:
    """A face track: its likeness, which is the person's own once the track is matched."""

    number: int
    start: Seconds
    likeness: _Likeness = field(default_factory=_Likeness)
    person: int | None = None
    beside: set[int] = field(default_factory=set)  # tracks that were seen in the same frame
    frames: int = 0
    latest: Seconds = -np.inf

    def add(self, face: Face, time: Seconds) -> None:
        pause = _SOON if self.frames < _FIRST else _LATER
        if face.quality >= _MIN_QUALITY and self.frames < _MOST and time - self.latest >= pause:
            self.likeness.waiting.append(face)
            self.frames, self.latest = self.frames + 1, time


class PersonGallery:
    """The people of one clip so far, to whom its face tracks are matched as they come.

    A track is matched `DECIDE_AFTER` seconds after it begins, to the most similar person who is not in view at the same
    time, if the cosine is above `SAME_PERSON`; else it is somebody new. As long as all faces are in view together,
    nothing is compared, and people have the ids of their tracks.

    Args:
        people: how many there are, if that is known: once so many were seen, each track is one of them.

    Raises:
        ArgumentError: if ``people`` is less than 1.
    """

    def __init__(self, people: int | None = None) -> None:
        self._most = check_people(people)
        self._tracks: dict[int, _Track] = {}
        self._undecided: list[_Track] = []
        self._people: list[_Likeness] = []

    def add(self, faces: Sequence[Face], time: Seconds) -> None:
        """Take in the next frame's faces, as `FaceTracker.update` gives them, and match the tracks that are due."""
        numbers = {face.person for face in faces}
        for face in faces:
            if face.person not in self._tracks:
                self._tracks[face.person] = _Track(face.person, time)
                self._undecided.append(self._tracks[face.person])
            track = self._tracks[face.person]
            track.beside |= numbers
            track.add(face, time)
        self._match(time - DECIDE_AFTER)

    def named(self, faces: Sequence[Face]) -> list[Face] | None:
        """A frame's faces with the ids of their people in place of their tracks'; None as long as one is open."""
        people = [(face, self._tracks[face.person].person) for face in faces]
        named = [replace(face, person=person) for face, person in people if person is not None]
        return named if len(named) == len(faces) else None

    def person(self, track: int) -> int | None:
        """The person of a track; None as long as it is open."""
        return self._tracks[track].person

    def finish(self) -> dict[int, int]:
        """Match the tracks that are left, at the end of the clip; gives the person of each track."""
        self._match(np.inf)
        return {number: track.person for number, track in self._tracks.items() if track.person is not None}

    def _match(self, until: Seconds) -> None:
        """Match the tracks that began by a time, those of one frame together."""
        while self._undecided and self._undecided[0].start <= until:
            start = self._undecided[0].start
            together = [track for track in self._undecided if track.start == start]
            self._undecided = self._undecided[len(together) :]
            while together:
                track, person = self._most_similar(together) or (together[0], len(self._people))
                together.remove(track)
                self._assign(track, person)

    def _most_similar(self, tracks: Sequence[_Track]) -> tuple[_Track, int] | None:
        """The pair of a track and a person with the highest cosine; None if all of them are somebody new."""
        pairs = [
            (float(np.sum(track.likeness.vector() * self._people[person].vector())), track, person)
            for track in tracks
            for person in self._free(track)
        ]
        cosine, track, person = max(pairs, key=lambda pair: pair[0], default=(-1.0, tracks[0], 0))
        everybody = self._most is not None and len(self._people) >= self._most
        return (track, person) if pairs and (everybody or cosine > SAME_PERSON) else None

    def _free(self, track: _Track) -> list[int]:
        """The people who are not in view beside a track."""
        taken = {self._tracks[number].person for number in track.beside}
        return [person for person in range(len(self._people)) if person not in taken]

    def _assign(self, track: _Track, person: int) -> None:
        if person == len(self._people):
            self._people.append(track.likeness)
        else:
            self._people[person].absorb(track.likeness)
            track.likeness = self._people[person]
        track.person = person


def check_people(number: int | None, name: str = "people", of: str = "people") -> int | None:
    """A number of people, or of other things, if it is one.

    Raises:
        ArgumentError: unless it is None, or 1 or more.
    """
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        raise ArgumentError(f"{name}: expected the number of {of}, 1 or more, or None, got {number!r}.")
    return number
