from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data

from mmemo.faces.cuts import MIN_SIMILARITY, ShotSimilarity

Pictures = list[np.ndarray]


@pytest.fixture(scope="module")
def one(portrait: np.ndarray) -> np.ndarray:
    return cv2.resize(portrait, (640, 480))


@pytest.fixture(scope="module")
def other() -> np.ndarray:
    return cv2.resize(skimage.data.coffee(), (640, 480))


def _cuts(pictures: Pictures) -> list[int]:
    shots = ShotSimilarity()
    return [index for index, picture in enumerate(pictures) if shots.update(picture) < MIN_SIMILARITY]


def _fade(picture: np.ndarray, share: float, level: int = 255) -> np.ndarray:
    return np.clip(picture * (1 - share) + level * share, 0, 255).astype(np.uint8)


def test_a_cut_is_seen_at_its_first_frame(one: np.ndarray, other: np.ndarray) -> None:
    assert _cuts([one] * 3 + [other] * 3 + [one] * 2) == [3, 6]


@pytest.mark.parametrize("level", [0, 255])
def test_a_cut_through_a_fade_is_one_cut(one: np.ndarray, other: np.ndarray, level: int) -> None:
    out = [_fade(one, share, level) for share in (0, 0.3, 0.6, 0.9, 1.0)]
    back = [_fade(other, share, level) for share in (0.9, 0.6, 0.3, 0)]
    assert len(_cuts(out + back)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: cv2.convertScaleAbs(picture, alpha=1.5, beta=40),
        lambda picture: cv2.convertScaleAbs(picture, alpha=0.3),
        lambda picture: np.full_like(picture, 255),
        lambda picture: np.zeros_like(picture),
        lambda picture: cv2.convertScaleAbs(picture, alpha=5, beta=120),
        lambda picture: np.roll(picture, (20, 50), axis=(0, 1)),
        lambda picture: cv2.resize(picture[24:-24, 32:-32], (640, 480)),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 8),
        lambda picture: cv2.add(picture, np.random.default_rng(0).integers(0, 60, picture.shape, np.uint8)),
    ],
    ids=["brighter", "darker", "white", "black", "flash", "shake", "zoom", "blur", "noise"],
)
def test_no_cut_where_only_the_camera_or_the_light_changes(
    one: np.ndarray, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    assert _cuts([one, one, change(one), one, one]) == []


def test_a_title_that_slides_in_is_no_cut(one: np.ndarray) -> None:
    titled = one.copy()
    titled[330:430] = (30, 30, 120)
    assert _cuts([one, titled, titled, one]) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (17, 31)])
def test_pictures_of_any_shape(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    _cuts([noise, noise[::-1].copy(), noise])


def test_reset_forgets(one: np.ndarray, other: np.ndarray) -> None:
    shots = ShotSimilarity()
    shots.update(one)
    assert shots.update(other) < MIN_SIMILARITY
    shots.reset()
    assert shots.update(one) == 1.0
