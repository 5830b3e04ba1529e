"""Faces of a live source: what each frame adds, and that it is what an analysis says."""

from __future__ import annotations

import cv2
import numpy as np

from mmemo import Analyzer
from mmemo.media import Frame
from mmemo.pipeline.extract import TrackedFaces
from mmemo.pipeline.live_faces import LiveFaces
from mmemo.samples import portrait


def test_four_frames_of_a_picture_have_the_scores_of_the_picture(analyzer: Analyzer) -> None:
    """Each frame is looked at in one of four ways, by turns; the picture in all of them."""
    picture = cv2.resize(portrait(), (192, 192), interpolation=cv2.INTER_AREA)
    faces = LiveFaces(analyzer.model, TrackedFaces(1, None))
    scores = []
    for number in range(6):
        faces.update(Frame(number / 10, picture))
        scores.append(np.array(list(faces.people[0].scores.values())))
    still = np.array(list(Analyzer(analyzer.model, ("face",))(picture).scores.values()))
    away = [np.abs(one - still).max() for one in scores]
    assert 4 * away[3] < away[0] < 0.01
    assert len({one.tobytes() for one in scores[:4]}) == 4


def test_scores_are_those_of_the_last_second(analyzer: Analyzer) -> None:
    picture = cv2.resize(portrait(), (192, 192), interpolation=cv2.INTER_AREA)
    faces = LiveFaces(analyzer.model, TrackedFaces(1, None), span=0.5)
    for number in range(4):
        faces.update(Frame(number / 4, picture))
    assert faces.encoding is not None
    assert faces.encoding.tokens.shape[:2] == (1, 3)  # of 0.25, 0.5 and 0.75 s
