from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.faces.align import EYE_LEFT, EYE_RIGHT, align, alignment, unalign
from mmemo.faces.search import FaceSearch
from mmemo.faces.warp import invert, similarity, transform, warp


@pytest.fixture(scope="module")
def landmarks(search: FaceSearch, portrait: np.ndarray) -> np.ndarray:
    return search.scan(portrait, 0, 8)[0].landmarks


@pytest.mark.parametrize("size", [48, 112, 224])
def test_eyes_come_to_their_places(landmarks: np.ndarray, size: int) -> None:
    placed = transform(alignment(landmarks, size), landmarks[:, :2])
    left, right = placed[[33, 133]].mean(axis=0), placed[[362, 263]].mean(axis=0)
    np.testing.assert_allclose((left + 0.5) / size, EYE_LEFT, atol=0.04)
    np.testing.assert_allclose((right + 0.5) / size, EYE_RIGHT, atol=0.04)
    chin, brow = placed[152], placed[10]
    assert brow[1] > -0.05 * size
    assert chin[1] < 1.1 * size


def test_a_turned_head_is_put_upright(landmarks: np.ndarray, portrait: np.ndarray) -> None:
    upright = align(portrait, landmarks)
    turn = cv2.getRotationMatrix2D((225, 128), 40, 1.0)
    turned = cv2.warpAffine(portrait, turn, (512, 512), flags=cv2.INTER_CUBIC)
    again = align(turned, transform(turn, landmarks[:, :2]))
    assert np.abs(again.astype(float) - upright).mean() < 4


def test_the_way_back(landmarks: np.ndarray) -> None:
    there = transform(alignment(landmarks, 112), landmarks[:, :2])
    np.testing.assert_allclose(transform(unalign(landmarks, 112), there), landmarks[:, :2], atol=1e-3)


def test_pixels_come_from_where_the_transform_says(landmarks: np.ndarray) -> None:
    """A picture whose colour is its coordinates shows the transform in the crop."""
    y, x = np.mgrid[0:256, 0:256]
    picture = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    points = landmarks[:, :2] / 2 + (10, 40)  # a size at which the crop enlarges
    crop = align(picture, points, 64).astype(float)
    rows, columns = np.mgrid[4:60, 4:60]
    expected = transform(unalign(points, 64), np.stack([columns, rows], axis=-1).reshape(-1, 2))
    np.testing.assert_allclose(crop[4:60, 4:60, :2].reshape(-1, 2), expected, atol=1.0)


@pytest.mark.parametrize("zoom", [2, 3, 5])
def test_a_face_of_any_size_comes_out_alike(landmarks: np.ndarray, portrait: np.ndarray, zoom: int) -> None:
    crop = align(portrait, landmarks, 48)
    large = cv2.resize(portrait, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    other = align(large, (landmarks[:, :2] + 0.5) * zoom - 0.5, 48)
    assert np.abs(other.astype(float) - crop).mean() < 3


def test_shrinking_does_not_alias(landmarks: np.ndarray) -> None:
    """A fine chequerboard becomes grey, not stripes."""
    board = (np.indices((1024, 1024)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    crop = align(board, landmarks[:, :2] * 7 - (1000, 400), 112)
    assert crop.std() < 12
    assert abs(crop.mean() - 127.5) < 3


def test_beyond_the_border_the_nearest_pixel_is_repeated(landmarks: np.ndarray) -> None:
    picture = np.full((200, 200, 3), 77, np.uint8)
    assert (align(picture, landmarks[:, :2] - (300, 0)) == 77).all()


def test_one_pixel_is_enough_of_an_image(landmarks: np.ndarray) -> None:
    assert (align(np.full((1, 1, 3), 9, np.uint8), landmarks) == 9).all()


@pytest.mark.parametrize(
    ("image", "points", "size", "says"),
    [
        (np.zeros((10, 10), np.uint8), np.zeros((478, 3)), 112, "uint8"),
        (np.zeros((10, 10, 3), np.float32), np.zeros((478, 3)), 112, "float32"),
        (np.zeros((0, 10, 3), np.uint8), np.zeros((478, 3)), 112, "uint8"),
        (np.zeros((10, 10, 3), np.uint8), np.zeros((478, 3)), 0, "one pixel"),
        (np.zeros((10, 10, 3), np.uint8), np.zeros((68, 2)), 112, "478"),
        (np.zeros((10, 10, 3), np.uint8), np.zeros((478, 3)), 112, "one point"),
        (np.zeros((10, 10, 3), np.uint8), np.full((478, 3), np.nan), 112, "finite"),
    ],
)
def test_wrong_arguments_are_named(image: np.ndarray, points: np.ndarray, size: int, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        align(image, points, size)


def test_invert_and_similarity() -> None:
    matrix = similarity(2.0, np.pi / 2, (10, 20), (0, 0))
    np.testing.assert_allclose(transform(matrix, np.array([[11.0, 20.0]])), [[0, 2]], atol=1e-12)  # x turns to y
    np.testing.assert_allclose(transform(invert(matrix), np.array([[0.0, 2.0]])), [[11, 20]], atol=1e-12)


def test_warp_shows_grey_outside_if_told() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    square = warp(image, similarity(1.0, 0.0, (0, 0), (30, 30)), 64, outside=128)
    assert (square[:28, :28] == 128).all()
    assert (square[32:48, 32:48] == 0).all()


@pytest.mark.parametrize("outside", [None, 128])
def test_a_piece_is_what_opencv_makes_of_three_channels(portrait: np.ndarray, outside: int | None) -> None:
    matrix = similarity(0.8, 0.4, (225.0, 125.0), (64.0, 64.0))
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    expected = cv2.warpAffine(
        portrait, matrix, (128, 128), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(outside or 0,) * 3
    )
    np.testing.assert_allclose(warp(portrait, matrix, 128, outside=outside), expected, atol=1)
