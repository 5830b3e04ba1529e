from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from mmemo import Analyzer
from mmemo.app.live import LiveScorer, decode_frame
from mmemo.errors import ArgumentError
from mmemo.samples import portrait

pytestmark = pytest.mark.slow

FACE = cv2.resize(portrait(), (480, 480))
WALL = np.full((480, 480, 3), 128, np.uint8)


def test_a_face_is_scored_and_forgotten(analyzer: Analyzer) -> None:
    scorer = LiveScorer(analyzer.model)
    for number in range(4):
        (face,) = scorer.update(FACE, 10 + number / 10)
    assert face.person == 0
    assert max(face.scores, key=lambda label: face.scores[label]) == "happiness"
    assert sum(face.scores.values()) == pytest.approx(1)
    assert all(0 <= side <= 1 for side in face.box)
    assert scorer.update(WALL, 10.5) == []


def test_scores_are_those_of_the_last_second(analyzer: Analyzer) -> None:
    scorer, blurred = LiveScorer(analyzer.model), cv2.GaussianBlur(FACE, (0, 0), 3)
    alone = LiveScorer(analyzer.model).update(blurred, 0.0)[0].scores
    scorer.update(FACE, 0.0)
    mixed = scorer.update(blurred, 0.4)[0].scores
    assert mixed != pytest.approx(alone, abs=1e-4)
    for time in (0.8, 1.2, 1.6):
        later = scorer.update(blurred, time)[0].scores  # the clear picture is over a second ago at last
    assert sum(abs(later[label] - alone[label]) for label in alone) < sum(
        abs(mixed[label] - alone[label]) for label in alone
    )


def test_frames_as_they_are_sent() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(decode_frame(struct.pack("<HH", 3, 2) + pixels.tobytes()), pixels[:, :, :3])
    for message in (b"", struct.pack("<HH", 3, 2), struct.pack("<HH", 0, 2), struct.pack("<HH", 9999, 9999)):
        with pytest.raises(ArgumentError, match="live frame"):
            decode_frame(message)
