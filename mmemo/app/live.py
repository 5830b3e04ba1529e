"""Live scores of a camera, frame by frame: the face alone, over the last second."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

import numpy as np

from mmemo.box_tracks import Box
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence, Seconds
from mmemo.faces import FaceTracker
from mmemo.model import EmotionModel
from mmemo.pipeline.windows import Grid, Sighting, face_windows
from mmemo.result import Scores

SPAN: Seconds = 1.0
"""Scores are those of the last second: shorter jitters, longer lags behind the face."""
MOST_PIXELS = 640 * 480
_HEADER = struct.Struct("<HH")


@dataclass(frozen=True)
class LiveFace:
    """Current scores of one face; ``box`` is left, top, right, bottom as shares of the frame's width and height."""

    person: int
    box: Box
    scores: Scores


@dataclass(frozen=True, eq=False)
class _FrameScores:
    """Scores of a face in one frame: log scores (K,), and the image quality, 0 to 1."""

    time: Seconds
    logits: np.ndarray
    quality: float


class LiveScorer:
    """Scores the frames of one camera as they come. One instance a connection; not to be shared between threads.

    Args:
        model: its face encoder is used; voice and text need more than a moment.
        span: seconds of past frames that count.

    Raises:
        ArgumentError: if the model has no face encoder.
    """

    def __init__(self, model: EmotionModel, span: Seconds = SPAN) -> None:
        if "face" not in model.modalities:
            raise ArgumentError(f"The live view needs a model with the modality face, this one has {model.modalities}.")
        self._model = model
        self._span = span
        self._tracker = FaceTracker(max_faces=4)
        self._history: dict[int, deque[_FrameScores]] = {}

    def update(self, image: np.ndarray, time: Seconds) -> list[LiveFace]:
        """The faces of the next frame (H, W, 3) uint8 RGB, the most prominent first.

        Each frame is encoded once. The scores are the mean of the log scores of the last second, weighted by
        quality, as the face encoder takes it over the frames of a window.

        Args:
            time: of the picture, in seconds of any clock that only goes forward.
        """
        height, width = image.shape[:2]
        sighting = Sighting(time, (width, height), self._tracker.update(image, time))
        people = next(face_windows([sighting], Grid(self._span, self._span, self._span, time)))
        self._forget(time - self._span)
        if not people:
            return []
        encoding = self._model.encode("face", [Evidence(time, time + self._span, face=face) for face in people])
        faces = []
        for row, face in enumerate(people):
            history = self._history.setdefault(face.person, deque())
            if encoding.present[row]:
                logits = log_softmax(encoding.logits[row].astype(float))
                history.append(_FrameScores(time, logits, float(face.quality[0])))
            if history:
                weights = [one.quality + 1e-6 for one in history]
                mean = np.average([one.logits for one in history], axis=0, weights=weights)
                left, top, right, bottom = (face.box[0] / np.array([width, height, width, height])).tolist()
                scores = self._model.labels.scores(softmax(mean))
                faces.append(LiveFace(face.person, (left, top, right, bottom), scores))
        return faces

    def _forget(self, past: Seconds) -> None:
        for history in self._history.values():
            while history and history[0].time < past:
                history.popleft()
        self._history = {person: history for person, history in self._history.items() if history}


def decode_frame(message: bytes) -> np.ndarray:
    """A frame as the live page sends it: width and height (two uint16, little endian), then RGBA bytes.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ArgumentError: if the bytes are not as many as width and height say, or more than ``MOST_PIXELS``.
    """
    if len(message) < _HEADER.size:
        raise ArgumentError(f"A live frame begins with {_HEADER.size} bytes of width and height.")
    width, height = _HEADER.unpack_from(message)
    pixels = width * height
    if not 0 < pixels <= MOST_PIXELS or len(message) != _HEADER.size + 4 * pixels:
        raise ArgumentError(
            f"A live frame of {width} x {height} must have {4 * pixels} bytes of RGBA, and at most {MOST_PIXELS} "
            f"pixels; got {len(message) - _HEADER.size} bytes."
        )
    rgba = np.frombuffer(message, np.uint8, offset=_HEADER.size).reshape(height, width, 4)
    return np.ascontiguousarray(rgba[:, :, :3])
