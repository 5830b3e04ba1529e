from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError

import cv2
import numpy as np
import pytest
import skimage.data

from mmemo.errors import ArgumentError
from mmemo.faces import Face, FaceFinder


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def test_a_face_in_full(finder: FaceFinder, portrait: np.ndarray) -> None:
    (face,) = finder.find(portrait)
    assert isinstance(face, Face)
    assert (face.person, face.time) == (0, 0.0)
    assert face.landmarks.shape == (478, 3)
    assert face.blendshapes.shape == (52,)
    assert face.pose.shape == (3,)
    assert face.box.shape == (4,)
    assert {array.dtype for array in (face.landmarks, face.blendshapes, face.pose, face.box)} == {np.dtype(np.float32)}
    assert face.crop.shape == (112, 112, 3)
    assert face.crop.dtype == np.uint8
    assert 0.99 < face.presence <= 1
    assert 0.9 < face.quality <= 1
    assert np.abs(face.pose).max() < 20
    assert 0 <= face.blendshapes.min() <= face.blendshapes.max() <= 1
    with pytest.raises(FrozenInstanceError):
        face.person = 1  # type: ignore[misc]


@pytest.mark.parametrize("side", [64, 100, 160, 256, 300, 2000, 5000])
def test_a_photo_of_any_size_in_its_own_pixels(finder: FaceFinder, portrait: np.ndarray, side: int) -> None:
    reference = finder.find(portrait)[0].box
    how = cv2.INTER_AREA if side < 512 else cv2.INTER_LINEAR
    found = finder.find(cv2.resize(portrait, (side, side), interpolation=how))
    assert len(found) == 1
    np.testing.assert_allclose(found[0].box * 512 / side, reference, atol=max(4, 2 * 512 / side))


def test_a_small_picture_that_is_nothing_but_a_face(finder: FaceFinder, portrait: np.ndarray) -> None:
    tight = cv2.cvtColor(portrait[65:185, 168:288], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(tight, (48, 48), interpolation=cv2.INTER_AREA)[..., None].repeat(3, axis=2)
    (face,) = finder.find(small)
    left, top, right, bottom = face.box
    assert -3 < left < 12
    assert -3 < top < 12
    assert 36 < right < 51
    assert 36 < bottom < 51
    large = cv2.resize(portrait[65:185, 168:288], (600, 600), interpolation=cv2.INTER_CUBIC)
    assert len(finder.find(large)) == 1


def test_a_small_face_in_a_large_picture(finder: FaceFinder, portrait: np.ndarray) -> None:
    picture = np.full((1500, 2000, 3), 100, np.uint8)
    picture[900:1028, 1500:1628] = cv2.resize(portrait[:256, 100:356], (128, 128), interpolation=cv2.INTER_AREA)
    (face,) = finder.find(picture)
    assert 1500 < face.box[0] < face.box[2] < 1628
    assert 900 < face.box[1] < face.box[3] < 1028


def test_several_faces_the_largest_first(finder: FaceFinder, stage: Callable[..., np.ndarray]) -> None:
    picture = stage((120, 180), (500, 180), mirror=(1,))
    picture[200:280, 280:360] = stage((320, 240), side=80)[200:280, 280:360]
    faces = finder.find(picture)
    assert [face.person for face in faces] == [0, 1, 2]
    widths = [face.box[2] - face.box[0] for face in faces]
    assert widths[0] > widths[2] * 1.5
    assert widths == sorted(widths, reverse=True) or abs(widths[0] - widths[1]) < 8


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_any_turn_is_no_crash(finder: FaceFinder, portrait: np.ndarray, turn: int) -> None:
    assert len(finder.find(np.rot90(portrait, turn))) <= 1


@pytest.mark.parametrize("texture", ["brick", "grass", "gravel", "coffee", "moon"])
@pytest.mark.parametrize("zoom", [0.4, 1, 2])
def test_no_face_in_what_only_looks_like_one(finder: FaceFinder, texture: str, zoom: float) -> None:
    image = getattr(skimage.data, texture)()
    image = image if image.ndim == 3 else image[..., None].repeat(3, axis=2)
    assert finder.find(cv2.resize(np.ascontiguousarray(image), None, fx=zoom, fy=zoom)) == []


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500), (500, 1), (2, 3), (48, 48), (480, 640), (100, 12000), (12000, 40), (3000, 12000)]
)
@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_nothing_in_pictures_of_nothing(finder: FaceFinder, shape: tuple[int, int], kind: str) -> None:
    image = np.full((*shape, 3), 255 if kind == "white" else 0, np.uint8)
    if kind == "noise":
        image[:] = np.random.default_rng(0).integers(0, 256, (*shape, 1))
    assert finder.find(image) == []


def test_an_array_that_is_a_view_will_do(finder: FaceFinder, portrait: np.ndarray) -> None:
    wide = np.zeros((512, 1024, 4), np.uint8)
    wide[:, ::2, :3] = portrait
    assert len(finder.find(wide[:, ::2, :3])) == 1
    read_only = portrait.copy()
    read_only.flags.writeable = False
    assert len(finder.find(read_only)) == 1


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3)),
        np.zeros((0, 5, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_picture_is_refused(finder: FaceFinder, image: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match=r"\(H, W, 3\) uint8"):
        finder.find(image)
    with pytest.raises(ArgumentError, match="NumPy array"):
        finder.find("portrait.png")  # type: ignore[arg-type]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_face_is_the_same_face(finder: FaceFinder, portrait: np.ndarray, turn: int) -> None:
    """Its box lies where it is in the turned picture, and its crop is upright."""
    (upright,) = finder.find(portrait)
    (turned,) = finder.find(np.rot90(portrait, -turn))
    corners = upright.box.reshape(2, 2)
    for _ in range(turn):  # a quarter turn clockwise of a square picture
        corners = np.stack([511 - corners[:, 1], corners[:, 0]], axis=1)
    np.testing.assert_allclose(turned.box, [*corners.min(axis=0), *corners.max(axis=0)], atol=10)
    assert (round(float(turned.pose[2]) / 90) - turn) % 4 == 0
    assert np.abs(turned.crop.astype(float) - upright.crop).mean() < 20  # upside down it is 60
    assert turned.confidence > 0.8


def test_an_upside_down_face_is_no_upright_one(finder: FaceFinder, portrait: np.ndarray) -> None:
    """Of this picture the detector sees an upright face in the upside-down one."""
    picture = cv2.resize(skimage.data.coffee(), (640, 400))
    picture[100:300, 200:400] = np.rot90(portrait[15:215, 125:325], 2)
    (face,) = finder.find(picture)
    assert abs(face.pose[2]) > 150
