"""Overlapping windows of evidence, cut from streams as they come. Memory does not grow with a clip's length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, FaceEvidence, Seconds, VoiceEvidence
from mmemo.faces import Face
from mmemo.faces.blendshapes import blendshapes
from mmemo.speech.activity import speech_mask

Span = tuple[Seconds, Seconds]


@dataclass(frozen=True)
class Grid(Sequence[Span]):
    """Overlapping windows: number i is ``[start + i * hop, start + i * hop + window)``, cut at the clip's end.

    Attributes:
        duration: of the clip in seconds; ``window`` and ``hop`` likewise.
        start: of the clip in its file.

    Raises:
        ArgumentError: if ``window`` or ``hop`` is not positive, or ``hop`` is longer than ``window``: evidence between
            two windows would never be used.
    """

    duration: Seconds
    window: Seconds = 2.0
    hop: Seconds = 1.0
    start: Seconds = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window < math.inf:
            raise ArgumentError(f"Expected 0 < hop <= window, got window={self.window}, hop={self.hop}.")

    def __len__(self) -> int:
        return 1 + max(0, math.ceil(round((self.duration - self.window) / self.hop, 6)))

    def __getitem__(self, index: int) -> Span:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = self.start + index * self.hop
        return start, min(start + self.window, self.end)

    @property
    def end(self) -> Seconds:
        """Seconds in the file at which the clip ends."""
        return self.start + self.duration


@dataclass(frozen=True)
class Sighting:
    """The faces of one frame; ``size`` is the frame's width and height in pixels, ``number`` its index in the file."""

    time: Seconds
    size: tuple[int, int]
    faces: Sequence[Face]
    number: int = 0


def face_windows(sightings: Iterable[Sighting], grid: Grid) -> Iterator[tuple[FaceEvidence, ...]]:
    """The people of each window, the most prominent first; empty where nobody is in view.

    Args:
        sightings: every frame, in order of time.
    """
    held: list[Sighting] = []
    frames = iter(sightings)
    ahead = next(frames, None)
    for start, end in grid:
        while ahead is not None and (ahead.time < end or end >= grid.end):
            held.append(ahead)
            ahead = next(frames, None)
        held = [sighting for sighting in held if sighting.time >= start]
        yield _people(held)


def voice_windows(blocks: Iterable[np.ndarray], spans: Sequence[Span], grid: Grid) -> Iterator[VoiceEvidence | None]:
    """The sound of each window with its voice marked; None where there is none."""
    for (start, end), sound in zip(grid, cut(blocks, grid, grid.start), strict=True):
        speech = speech_mask([span for span in spans if span[1] > start and span[0] < end], start, len(sound))
        coverage = float(speech.sum()) / max(1, round((end - start) * SAMPLE_RATE))
        yield VoiceEvidence(sound, speech, min(1.0, coverage)) if speech.any() else None


def cut(blocks: Iterable[np.ndarray], spans: Iterable[Span], origin: Seconds = 0.0) -> Iterator[np.ndarray]:
    """The samples (N,) of each span of a stream of sound that begins at ``origin`` seconds.

    Spans come in order of their starts, and they may overlap.
    """
    source = iter(blocks)
    held, first = np.zeros(0, np.float32), round(origin * SAMPLE_RATE)
    for start, end in spans:
        begin, finish = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        while first + len(held) < finish and (block := next(source, None)) is not None:
            keep = max(0, min(begin - first, len(held)))
            held, first = np.concatenate([held[keep:], block]), first + keep
        yield held[max(0, begin - first) : max(0, finish - first)]


@dataclass(frozen=True, eq=False)
class _TrackEvidence(FaceEvidence):
    """Evidence whose blendshapes are computed when they are first read: few encoders need them."""

    blendshapes: np.ndarray = field(init=False)

    def __getattr__(self, name: str) -> np.ndarray:
        if name != "blendshapes":
            raise AttributeError(f"{type(self).__name__} has no {name}.")
        values = blendshapes(self.landmarks)
        object.__setattr__(self, name, values)
        return values


def _people(frames: Sequence[Sighting]) -> tuple[FaceEvidence, ...]:
    tracks: dict[int, list[Face]] = {}
    for sighting in frames:
        for face in sighting.faces:
            tracks.setdefault(face.person, []).append(face)
    people = [
        _TrackEvidence(
            person=person,
            times=np.array([face.time for face in track]),
            crops=np.stack([face.crop for face in track]),
            quality=np.array([face.quality for face in track], np.float32),
            landmarks=np.stack([face.landmarks for face in track]),
            pose=np.stack([face.pose for face in track]),
            box=np.stack([face.box for face in track]),
            frame_size=frames[0].size,
            coverage=len(track) / len(frames),
        )
        for person, track in tracks.items()
    ]
    return tuple(sorted(people, key=prominence, reverse=True))


def prominence(face: FaceEvidence) -> float:
    """How much a person counts among several: time seen x quality x size of the face (side of its box in pixels)."""
    left, top, right, bottom = face.box.mean(axis=0)
    size = math.sqrt(max(0.0, float((right - left) * (bottom - top))))
    return float(face.coverage * face.quality.mean() * size)
