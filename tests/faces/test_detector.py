from __future__ import annotations

import numpy as np
import pytest

from mmemo.faces.detector import FaceDetector, View, overlaps, suppress, whole


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def test_finds_the_face_with_its_keypoints(detector: FaceDetector, portrait: np.ndarray) -> None:
    (found,) = detector.detect(portrait)
    assert found.score > 0.85
    left_eye, right_eye, nose, mouth, _, _ = found.keypoints
    # Placed by eye in the picture.
    np.testing.assert_allclose(left_eye, (205, 105), atol=8)
    np.testing.assert_allclose(right_eye, (246, 107), atol=8)
    assert left_eye[1] < nose[1] < mouth[1]
    left, top, right, bottom = found.box
    assert left < left_eye[0] < right_eye[0] < right
    assert top < left_eye[1] < mouth[1] < bottom


def test_what_it_says_moves_with_the_view(detector: FaceDetector, portrait: np.ndarray) -> None:
    (found,) = detector.detect(portrait)
    (near,) = detector.detect(portrait, View(100, 0, 250))
    (far,) = detector.detect(portrait, whole(portrait, 0.2))
    for other in (near, far):
        np.testing.assert_allclose(other.keypoints[:4], found.keypoints[:4], atol=10)  # a quarter of the eyes' distance


def test_many_views_at_once_are_as_one_by_one(detector: FaceDetector, portrait: np.ndarray) -> None:
    views = [View(20.0 * step, 0, 300) for step in range(11)]
    expected = [detection for view in views for detection in detector.detect(portrait, view)]
    found = detector.detect(portrait, *views)
    assert len(found) == len(expected) >= 8
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)
        assert one.score == pytest.approx(other.score, abs=1e-5)


def test_color_order_and_range_matter(detector: FaceDetector, portrait: np.ndarray) -> None:
    """The model expects RGB: with blue and red exchanged it is less sure."""
    (rgb,) = detector.detect(portrait)
    bgr = detector.detect(portrait[..., ::-1])
    assert not bgr or bgr[0].score < rgb.score


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_on_a_plain_wall(detector: FaceDetector, level: int) -> None:
    assert detector.detect(np.full((360, 640, 3), level, np.uint8)) == []


def test_a_view_beside_the_image_is_empty(detector: FaceDetector, portrait: np.ndarray) -> None:
    assert detector.detect(portrait, View(2000, 2000, 100)) == []


def test_overlaps_by_hand() -> None:
    boxes = np.array([[0.0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [0, 0, 0, 0]])
    np.testing.assert_allclose(overlaps(boxes, np.array([0.0, 0, 2, 2])), [1, 1 / 7, 0, 0])


def test_suppression_averages_by_score() -> None:
    points = np.array([[[0, 0], [10, 10], [5, 5]], [[1, 1], [11, 11], [6, 6]], [[50, 50], [60, 60], [55, 55]]], float)
    merged = suppress(points, np.array([0.9, 0.6, 0.7]))
    assert [score for _, score in merged] == [0.9, 0.7]
    np.testing.assert_allclose(merged[0][0], points[0] + 0.6 / 1.5)
    np.testing.assert_allclose(merged[1][0], points[2])
