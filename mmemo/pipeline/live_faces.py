"""Faces of a live source: each frame is tracked and encoded once; current scores are those of the last second."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import cycle

import numpy as np

from mmemo.box_tracks import Box
from mmemo.encoders.base import Encoding, LooksEncoder
from mmemo.evidence import Evidence, Seconds
from mmemo.media import Frame
from mmemo.model import EmotionModel
from mmemo.pipeline.extract import MIN_CONFIDENCE, TrackedFaces, relative_box
from mmemo.pipeline.score import WindowScores
from mmemo.pipeline.windows import Grid, Sighting, face_windows, prominence
from mmemo.result import Scores

SPAN: Seconds = 1.0
"""Scores are those of the last second: shorter jitters, longer lags behind the face."""


@dataclass(frozen=True)
class LivePerson:
    """A face that is in view, and its current scores.

    Attributes:
        person: stable id, from 0; None in its first half second, while it is compared with the people before.
        box: left, top, right, bottom as shares of the frame's width and height.
        label: the label with the highest score.
        scores: of the face alone, over the last second, summing to 1.
    """

    person: int | None
    box: Box
    label: str = field(init=False)
    scores: Scores

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", max(self.scores, key=self.scores.__getitem__))


@dataclass(frozen=True, eq=False)
class _Moment:
    """A face in one frame: its scores, one window, how far it counts among the frames, and among the people."""

    time: Seconds
    scores: WindowScores
    quality: float
    prominence: float


class LiveFaces:
    """The faces of one live source, frame by frame. Not to be shared between threads.

    Args:
        model: its face encoder is used, if it has one.
        faces: tracks the faces.
        span: seconds of past frames that count.

    Attributes:
        people: those in the last frame, the most prominent first.
        encoding: of the face, B = 1, over the last ``span`` seconds, of all people by their prominence; None without.
        time: of the last frame.
    """

    def __init__(self, model: EmotionModel, faces: TrackedFaces, span: Seconds = SPAN) -> None:
        self._model, self._faces, self._span = model, faces, span
        self._looks = cycle(_looks(model))  # over the frames of a second each of them counts
        self._moments: dict[int, deque[_Moment]] = {}  # by track
        self.people: tuple[LivePerson, ...] = ()
        self.encoding: Encoding | None = None
        self.time: Seconds = -np.inf

    def update(self, frame: Frame, *, later: bool = False) -> None:
        """Take in the next frame, whose time is after that of the one before; ``later`` as in `TrackedFaces.add`."""
        sighting = self._faces.add(frame, later=later)
        sure = [face for face in sighting.faces if face.confidence >= MIN_CONFIDENCE]
        boxes = {face.person: relative_box(face, *sighting.size) for face in sure}
        self.time = frame.time
        self._forget(frame.time - self._span)
        if "face" in self._model.modalities:
            self._encode(replace(sighting, faces=sure))
        in_view = [(track, self._moments[track]) for track in boxes if track in self._moments]
        in_view.sort(key=lambda one: -one[1][-1].prominence)
        self.people = tuple(
            LivePerson(self._faces.person(track), boxes[track], self._scores(moments)) for track, moments in in_view
        )
        counting = [(moment, moment.quality * moment.prominence) for _, moments in in_view for moment in moments]
        self.encoding = _mean(counting) if counting else None

    def _encode(self, sighting: Sighting) -> None:
        time = sighting.time
        people = next(face_windows([sighting], Grid(self._span, self._span, self._span, time)))
        if not people:
            return
        windows = [Evidence(time, time + self._span, face=face) for face in people]
        encoding = next(self._looks).encode("face", windows)
        for row, face in enumerate(people):
            if encoding.present[row]:
                scores = WindowScores()
                scores.add((time, time), encoding, row, 1.0)
                moment = _Moment(time, scores, float(face.quality[0]), prominence(face))
                self._moments.setdefault(face.person, deque()).append(moment)

    def _scores(self, moments: Iterable[_Moment]) -> Scores:
        encoding = _mean([(moment, moment.quality) for moment in moments])
        return self._model.labels.scores(self._model.scores(encoding)[0])

    def _forget(self, past: Seconds) -> None:
        for moments in self._moments.values():
            while moments and moments[0].time < past:
                moments.popleft()
        self._moments = {track: moments for track, moments in self._moments.items() if moments}


def _mean(moments: Iterable[tuple[_Moment, float]]) -> Encoding:
    """One encoding (B = 1) of frames by their weights: their tokens, and the mean of their log scores."""
    scores = WindowScores()
    for moment, weight in moments:
        scores.extend(moment.scores)
        scores.coverage[-1] = weight
    return scores.encoding()


def _looks(model: EmotionModel) -> list[EmotionModel]:
    """The model with each of the ways in which its face encoder looks at a crop, if it has several."""
    encoder = model.encoders.get("face")
    return [model.with_encoder(one) for one in encoder.looks()] if isinstance(encoder, LooksEncoder) else [model]
