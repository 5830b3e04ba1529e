"""Which frames of a window are encoded, and how their scores are pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mmemo.encoders.face.frames import Doubt, FaceFrameEncoder, choose_frames, pool_frames
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.labels import LabelSet

MINE = LabelSet("mine", ("dark", "bright"))


class Brightness(FaceFrameEncoder):
    """A frame is its mean color; the scores are the logarithms of the brightness and of its complement."""

    def __init__(self, **settings: object) -> None:
        super().__init__(MINE, 3, (3,), frames=4, floor=0.1, **settings)  # type: ignore[arg-type]

    def _inputs(self, face: FaceEvidence, chosen: np.ndarray) -> np.ndarray:
        return face.crops[chosen].mean(axis=(1, 2)) / 255

    def _score(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        colors = np.concatenate(windows)
        bright = colors.mean(axis=1, keepdims=True)
        return colors, np.log(np.concatenate([1 - bright, bright], axis=1))


def window(values: Sequence[int], quality: Sequence[float]) -> Evidence:
    """Frames of one gray value each."""
    count = len(values)
    face = FaceEvidence(
        person=0,
        times=np.arange(count) / 25,
        crops=np.repeat(np.array(values, np.uint8), 8 * 8 * 3).reshape(count, 8, 8, 3),
        quality=np.array(quality, np.float32),
        landmarks=np.zeros((count, 478, 3), np.float32),
        blendshapes=np.zeros((count, 52), np.float32),
        pose=np.zeros((count, 3), np.float32),
        box=np.zeros((count, 4), np.float32),
        frame_size=(640, 360),
        coverage=1.0,
    )
    return Evidence(0.0, 2.0, face=face)


def test_frames_are_spread_and_the_best_of_their_slot() -> None:
    times = np.arange(100) / 25
    quality = np.full(100, 0.5)
    quality[3::10] = 0.9
    assert choose_frames(times, quality, 10, 0.05).tolist() == list(range(3, 100, 10))
    assert choose_frames(times[:5], quality[:5], 10, 0.05).tolist() == [0, 1, 2, 3, 4]
    quality[:50] = 0.0
    chosen = choose_frames(times, quality, 10, 0.05)
    assert chosen.min() >= 50
    assert len(chosen) == 10


def test_frames_with_a_gap_or_at_one_time() -> None:
    gap = np.concatenate([np.arange(30) / 30, 5 + np.arange(30) / 30])
    chosen = choose_frames(gap, np.ones(60), 16, 0.05)
    assert (gap[chosen] < 2).any()
    assert (gap[chosen] > 4).any()
    assert len(choose_frames(np.zeros(40), np.ones(40), 16, 0.05)) == 1


def test_a_prepared_window_has_the_quality_as_its_last_channel() -> None:
    prepared = Brightness().prepare(window([51, 102, 204], [0.05, 0.5, 1.0]))
    assert prepared is not None
    assert prepared == pytest.approx(np.array([[0.4, 0.4, 0.4, 0.5], [0.8, 0.8, 0.8, 1.0]]), abs=1e-6)
    assert prepared.dtype == np.float32
    assert Brightness().prepare(window([51], [0.05])) is None
    assert Brightness().prepare(Evidence(0.0, 2.0)) is None


def test_windows_are_encoded_apart_and_weighted_by_quality() -> None:
    encoder = Brightness()
    batch = [encoder.prepare(window([51, 204], [0.25, 0.75])), encoder.prepare(window([102], [1.0]))]
    encoding = encoder.encode(batch)  # type: ignore[arg-type]
    assert encoding.mask.tolist() == [[True, True], [True, False]]
    assert encoding.tokens[0, :, 0] == pytest.approx([0.2, 0.8])
    expected = 0.25 * np.log([0.8, 0.2]) + 0.75 * np.log([0.2, 0.8])
    assert encoding.logits == pytest.approx(np.stack([expected, np.log([0.6, 0.4])]), abs=1e-4)


def test_doubt_flattens_windows_of_low_quality() -> None:
    quality = [np.array([0.2, 0.2]), np.array([0.5])]
    scores = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]], np.float32))
    plain = pool_frames(np.ones((3, 1), np.float32), scores, quality)
    doubted = pool_frames(np.ones((3, 1), np.float32), scores, quality, Doubt(amount=1.0, trusted=0.4))
    assert doubted.logits[0] == pytest.approx(plain.logits[0] / 1.5, abs=1e-6)
    assert doubted.logits[1] == pytest.approx(plain.logits[1])


def test_wrong_windows_are_named() -> None:
    with pytest.raises(ArgumentError, match=r"Brightness.encode: expected windows \(T, 4\), got \(2, 3\)"):
        Brightness().encode([np.zeros((2, 3), np.float32)])
    with pytest.raises(ArgumentError, match=r"got \(0, 4\)"):
        Brightness().encode([np.zeros((0, 4), np.float32)])
    with pytest.raises(ArgumentError, match="empty batch"):
        Brightness().encode([])
