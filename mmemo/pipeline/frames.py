"""Recording of the faces of each frame while a clip is analyzed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from mmemo.evidence import Evidence, FaceEvidence
from mmemo.face_frames import CLOSED, FaceFrames
from mmemo.faces import Face
from mmemo.faces.action_units import ACTION_UNITS, action_units
from mmemo.faces.blendshapes import BLENDSHAPES, blendshapes
from mmemo.faces.gaze import gaze
from mmemo.model import EmotionModel
from mmemo.pipeline.windows import Sighting

T = TypeVar("T")
_BATCH = 64
"""Faces scored together."""
_CLOSURE = list(ACTION_UNITS).index("AU45")


class FrameRecorder:
    """Recorder of the faces of each frame. One thread adds them as they are read, another one scores them.

    The crops wait only until they are scored, so that memory grows by a row of numbers for each face.

    Args:
        every: whether every frame of the file is read; otherwise those that the analysis uses, at most 15 a second.
    """

    def __init__(self, *, every: bool = False) -> None:
        self.every = every
        self._waiting: deque[tuple[Sighting, Face]] = deque()
        self._parts: list[FaceFrames] = []

    def add(self, sighting: Sighting) -> None:
        """Add the faces of the next frame."""
        self._waiting.extend((sighting, face) for face in sorted(sighting.faces, key=lambda face: face.person))

    def scoring(self, windows: Iterable[T], model: EmotionModel) -> Iterator[T]:
        """The same windows; while they are used, the frames that were added are scored."""
        for window in windows:
            yield window
            self._score(model)
        self._score(model)

    def frames(self, labels: Sequence[str], inputs: Iterable[str] = ()) -> FaceFrames:
        """All frames that were scored; for ``labels`` and ``inputs`` see `FaceFrames`."""
        empty = _rows([], np.empty((0, len(BLENDSHAPES)), np.float32), np.empty((0, len(labels))), labels)
        arrays = [name for name, value in vars(empty).items() if isinstance(value, np.ndarray)]
        joined = {name: np.concatenate([getattr(part, name) for part in (empty, *self._parts)]) for name in arrays}
        return FaceFrames(**joined, labels=tuple(labels), inputs=tuple(inputs))

    def _score(self, model: EmotionModel) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            shapes = blendshapes(np.stack([face.landmarks for _, face in batch]))
            windows = [_alone(sighting, face, row) for (sighting, face), row in zip(batch, shapes, strict=True)]
            encoding = model.encode("face", windows)
            scores = np.where(encoding.present[:, None], model.scores(encoding), np.nan)
            self._parts.append(_rows(batch, shapes, scores, model.labels))


def _alone(sighting: Sighting, face: Face, shapes: np.ndarray) -> Evidence:
    """A window of nothing but one face in one frame."""
    evidence = FaceEvidence(
        person=face.person,
        times=np.array([face.time]),
        crops=face.crop[None],
        quality=np.array([face.quality], np.float32),
        landmarks=face.landmarks[None],
        blendshapes=shapes[None],
        pose=face.pose[None],
        box=face.box[None],
        frame_size=sighting.size,
        coverage=1.0,
    )
    return Evidence(sighting.time, sighting.time, evidence)


def _rows(
    faces: Sequence[tuple[Sighting, Face]], shapes: np.ndarray, scores: np.ndarray, labels: Iterable[str]
) -> FaceFrames:
    landmarks = np.array([face.landmarks for _, face in faces], np.float32).reshape(-1, 478, 3)
    pose = np.array([face.pose for _, face in faces], np.float32).reshape(-1, 3)
    closed = action_units(shapes)[:, _CLOSURE] >= CLOSED
    return FaceFrames(
        frame=np.array([sighting.number for sighting, _ in faces], np.int64),
        time=np.array([sighting.time for sighting, _ in faces], np.float64),
        person=np.array([face.person for _, face in faces], np.int64),
        box=np.array([face.box for _, face in faces], np.float32).reshape(-1, 4),
        confidence=np.array([face.confidence for _, face in faces], np.float32),
        quality=np.array([face.quality for _, face in faces], np.float32),
        pose=pose,
        gaze=np.where(closed[:, None], np.float32(np.nan), gaze(landmarks, pose)),
        blendshapes=shapes,
        scores=scores.astype(np.float32),
        labels=tuple(labels),
    )
