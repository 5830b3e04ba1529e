"""Scores by hand: windows are averaged by coverage, people of a window by prominence, batches do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mmemo import EmotionModel
from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.evidence import Evidence, FaceEvidence, TextEvidence, VoiceEvidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, LabelSet
from mmemo.pipeline.score import BATCH, WindowScores, score
from mmemo.pipeline.windows import prominence
from mmemo.testing import TinyEncoder


class TinyFace(TinyEncoder):
    """Scores by the brightness of the first crop."""

    def __init__(self, labels: LabelSet = EKMAN7) -> None:
        super().__init__(labels, "face")

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        return None if evidence.face is None else evidence.face.crops[:, 0, 0, 0].astype(np.float32)


class TinyAffect(TinyEncoder):
    """The text encoder with a valence: a tenth of the number of letters."""

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        encoding = super().encode(batch)
        affect = np.array([[len(item) / 10, 0.0, 0.0] for item in batch], np.float32)
        return Encoding(encoding.tokens, encoding.mask, encoding.logits, None, affect)


class FeelingFace(TinyFace):
    """The face with a valence: its brightness."""

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        affect = np.array([[crops.mean() / 255, 0.0, 0.0] for crops in batch], np.float32)
        return replace(super().encode(batch), affect=affect)


def face(person: int, brightness: int, *, side: float = 50.0, coverage: float = 1.0, at: float = 0.0) -> FaceEvidence:
    return FaceEvidence(
        person=person,
        times=at + np.array([0.0, 1.0]),
        crops=np.full((2, 4, 4, 3), brightness, np.uint8),
        quality=np.ones(2, np.float32),
        landmarks=np.zeros((2, 478, 3), np.float32),
        blendshapes=np.zeros((2, 52), np.float32),
        pose=np.zeros((2, 3), np.float32),
        box=np.tile(np.array([10, 20, 10 + side, 20 + side], np.float32), (2, 1)),
        frame_size=(200, 100),
        coverage=coverage,
    )


def said(text: str, coverage: float = 1.0) -> TextEvidence:
    return TextEvidence(text, "en", 1.0, coverage)


def by_hand(brightness: int) -> np.ndarray:
    """Log scores (K,) of a face of such brightness."""
    return log_softmax(TinyFace().encode([np.array([brightness, brightness], np.float32)]).logits[0].astype(float))


@pytest.fixture(scope="module")
def model() -> EmotionModel:
    return EmotionModel([TinyFace(), TinyEncoder()], LateFusion(EKMAN7, {"face": 1.0, "text": 2.0}))


class TestWindowScores:
    def windows(self, coverage: Sequence[float]) -> WindowScores:
        windows = WindowScores()
        encoding = Encoding(
            np.array([[[1.0, 3.0]], [[5.0, 7.0]]], np.float32),
            np.ones((2, 1), bool),
            np.log(np.array([[0.8, 0.2], [0.4, 0.6]], np.float32)),
            np.array([[0.2, 0.4], [0.6, 1.0]], np.float32),
            np.array([[0.5, 0, 0], [-0.5, 0, 0]], np.float32),
        )
        for row, share in enumerate(coverage):
            windows.add((row, row + 2.0), encoding, row, share)
        return windows

    @pytest.mark.parametrize(
        ("coverage", "weights"), [([0.9, 0.3], [0.75, 0.25]), ([0.0, 0.0], [0.5, 0.5]), ([0.0, 0.009], [0.1, 0.9])]
    )
    def test_log_scores_and_affect_are_weighted_by_coverage(
        self, coverage: Sequence[float], weights: Sequence[float]
    ) -> None:
        encoding = self.windows(coverage).encoding()
        expected = np.dot(weights, np.log([[0.8, 0.2], [0.4, 0.6]]))
        np.testing.assert_allclose(encoding.logits[0], expected, atol=1e-6)
        assert encoding.affect is not None
        assert encoding.affect[0, 0] == pytest.approx(0.5 * weights[0] - 0.5 * weights[1])
        assert encoding.quality is not None
        np.testing.assert_allclose(encoding.quality, [[0.4, 0.7]])
        np.testing.assert_array_equal(encoding.tokens, [[[1, 3], [5, 7]]])

    def test_the_coverage_of_a_clip_is_that_of_its_seconds(self) -> None:
        windows = self.windows([0.9, 0.3])
        assert windows.share(4.0) == pytest.approx(0.6)
        assert windows.share(8.0) == pytest.approx(0.3)
        assert windows.share(0.0) == pytest.approx(0.6)  # an image or text alone lasts no time

    def test_select(self) -> None:
        second = self.windows([0.9, 0.3]).select([1])
        assert (second.spans, second.coverage) == ([(1, 3.0)], [0.3])
        assert [len(part) for part in (second.logits, second.tokens, second.quality, second.affect)] == [1, 1, 1, 1]
        assert second.affect[0][0] == -0.5


def test_people_of_a_window_are_averaged_by_prominence(model: EmotionModel) -> None:
    large, small = face(3, 60, side=60.0), face(1, 190, side=20.0, coverage=0.5)
    scored = score(model, [(Evidence(0.0, 2.0, large), Evidence(0.0, 2.0, small))])
    weights = np.array([prominence(large), prominence(small)]) / (prominence(large) + prominence(small))
    np.testing.assert_allclose(weights, [60 / 70, 10 / 70])
    expected = softmax(weights @ [by_hand(60), by_hand(190)])
    np.testing.assert_allclose(list(scored.modalities["face"].scores.values()), expected, atol=1e-5)
    assert scored.scores == pytest.approx(scored.modalities["face"].scores)
    assert scored.modalities["face"].coverage == 1.0
    assert [person.id for person in scored.people] == [1, 3]
    alone = scored.people[0]
    np.testing.assert_allclose(list(alone.scores.values()), np.exp(by_hand(190)), atol=1e-5)
    assert (alone.coverage, alone.start, alone.end, alone.speaking) == (0.5, 0.0, 1.0, None)
    assert alone.box == pytest.approx((10 / 200, 20 / 100, 30 / 200, 40 / 100))


def test_windows_are_averaged_by_coverage(model: EmotionModel) -> None:
    windows = [
        (Evidence(0.0, 2.0, face(0, 60, coverage=0.9)),),
        (Evidence(1.0, 3.0, face(0, 190, coverage=0.3, at=1.0)),),
        (Evidence(2.0, 4.0),),
    ]
    scored = score(model, windows)
    expected = softmax(np.array([0.75, 0.25]) @ [by_hand(60), by_hand(190)])
    np.testing.assert_allclose(list(scored.modalities["face"].scores.values()), expected, atol=1e-5)
    assert scored.modalities["face"].coverage == pytest.approx(0.4)
    assert [(segment.start, segment.end) for segment in scored.segments] == [(0.0, 2.0), (1.0, 3.0)]
    assert [segment.modalities["face"].coverage for segment in scored.segments] == [0.9, 0.3]
    (person,) = scored.people
    assert (person.start, person.end) == (0.0, 2.0)


def test_modalities_are_fused_where_both_are_there(model: EmotionModel) -> None:
    windows = [(Evidence(0.0, 2.0, face(0, 60), None, said("Good.", 0.5)),), (Evidence(1.0, 3.0, face(0, 60)),)]
    scored = score(model, windows)
    first, second = scored.segments
    assert set(first.modalities) == {"face", "text"}
    assert {name: part.weight for name, part in first.modalities.items()} == pytest.approx(
        {"face": 1 / 3, "text": 2 / 3}
    )
    assert set(second.modalities) == {"face"}
    assert second.scores == pytest.approx(second.modalities["face"].scores)
    assert scored.modalities["text"].coverage == pytest.approx(0.25)


def test_the_verdict_is_that_of_the_windows_by_their_evidence(model: EmotionModel) -> None:
    """A face in a tenth of one window of three, words in all: it counts there, and hardly in the whole."""
    windows = [
        (Evidence(0.0, 2.0, face(0, 60, coverage=0.1), None, said("Good.")),),
        (Evidence(2.0, 4.0, None, None, said("Bad.", 0.5)),),
        (Evidence(4.0, 6.0, None, None, said("Not so good.")),),
    ]
    scored = score(model, windows)
    evidence = np.array([0.1 / 3 + 2 / 3, 0.5, 1.0])
    windowed = np.log([list(segment.scores.values()) for segment in scored.segments])
    expected = softmax(evidence @ windowed / evidence.sum())
    np.testing.assert_allclose(list(scored.scores.values()), expected, atol=1e-6)
    weight = evidence[0] / 3 / evidence.sum()
    assert scored.modalities["face"].weight == pytest.approx(weight)
    assert scored.modalities["text"].weight == pytest.approx(1 - weight)
    (person,) = scored.people
    assert person.scores == pytest.approx(person.segments[0].scores)


def test_a_modality_of_ones_own_covers_its_windows() -> None:
    model = EmotionModel([TinyEncoder(modality="gaze")], LateFusion(EKMAN7, {"gaze": 1.0}))
    scored = score(model, [(Evidence(0.0, 2.0, None, None, said("a", 0.1)),), (Evidence(1.0, 3.0),)])
    assert scored.modalities["gaze"].coverage == 0.5
    assert len(scored.segments) == 1


def test_affect_is_that_of_the_encoder() -> None:
    model = EmotionModel([TinyAffect()], LateFusion(EKMAN7, {"text": 1.0}))
    scored = score(
        model, [(Evidence(0.0, 2.0, None, None, said("abc")),), (Evidence(2.0, 4.0, None, None, said("a")),)]
    )
    affect = scored.modalities["text"].affect
    assert affect is not None
    assert affect.valence == pytest.approx(0.2)


def test_affect_of_a_face_encoder_is_averaged_by_prominence_and_not_derived() -> None:
    model = EmotionModel([FeelingFace()], LateFusion(EKMAN7, {"face": 1.0}))
    large, small = face(0, 51, side=60.0), face(1, 204, side=20.0)
    scored = score(model, [(Evidence(0.0, 2.0, large), Evidence(0.0, 2.0, small))])
    expected = [0.2, 0.8, (60 * 0.2 + 20 * 0.8) / 80]
    affects = [*(person.affect for person in scored.people), scored.segments[0].affect]
    assert [affect.valence for affect in affects if affect is not None] == pytest.approx(expected, abs=1e-5)
    assert [person.segments[0].affect for person in scored.people] == affects[:2]
    assert not any(affect.derived for affect in affects if affect is not None)


def test_more_windows_than_a_batch(model: EmotionModel) -> None:
    windows = [(Evidence(i, i + 2.0, face(0, 10 * i, at=i), None, said("x" * (i + 1))),) for i in range(BATCH + 3)]
    scored = score(model, windows)
    alone = [score(model, [window]).segments[0] for window in windows]
    assert len(scored.segments) == BATCH + 3
    for segment, expected in zip(scored.segments, alone, strict=True):
        assert segment.scores == pytest.approx(expected.scores, abs=1e-6)


def test_nothing_to_score(model: EmotionModel) -> None:
    silent = Evidence(0.0, 2.0, None, VoiceEvidence(np.ones(10, np.float32), np.ones(10, bool), 1.0))
    scored = score(model, [(silent,)])
    assert (scored.scores, scored.modalities, scored.segments, scored.people) == ({}, {}, (), ())
