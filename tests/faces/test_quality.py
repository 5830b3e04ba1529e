from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmemo.faces import FaceFinder
from mmemo.faces.align import align
from mmemo.faces.quality import quality, sharpness, uncovered
from mmemo.faces.search import FaceSearch

FRONTAL = np.zeros(3, np.float32)
GOOD = (60.0, 0.15, FRONTAL, 1.0)


@pytest.fixture(scope="module")
def landmarks(search: FaceSearch, portrait: np.ndarray) -> np.ndarray:
    return search.scan(portrait, 0, 8)[0].landmarks


def test_a_good_crop_has_one_and_a_useless_one_zero() -> None:
    assert quality(*GOOD) == 1.0
    assert quality(5.0, *GOOD[1:]) == 0.0
    assert quality(60.0, 0.0, FRONTAL, 1.0) == 0.0
    assert quality(60.0, 0.15, np.array([90, 0, 0], np.float32), 1.0) == 0.0
    assert quality(60.0, 0.15, FRONTAL, 0.5) == 0.0


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_each_part_rises_between_two_values(share: float) -> None:
    """The quality is the root of the product, so that of the root of the one part that is not 1."""
    root = pytest.approx(np.sqrt(share), abs=1e-6)
    assert quality(8.0 * 5.0**share, *GOOD[1:]) == root  # 8 to 40 pixels, by the logarithm
    assert quality(60.0, 0.02 + 0.1 * share, FRONTAL, 1.0) == root
    for axis in (0, 1):
        assert quality(60.0, 0.15, np.eye(3, dtype=np.float32)[axis] * (75 - 50 * share), 1.0) == root
    assert quality(60.0, 0.15, FRONTAL, 0.5 + 0.45 * share) == root
    assert quality(*GOOD, share) == root


@pytest.mark.parametrize(("contrast", "share"), [(2.0, 0.0), (6.0, 0.25), (12.0, 0.75), (15.0, 1.0)])
def test_sharpness_counts_from_a_contrast_of_3_to_15(contrast: float, share: float) -> None:
    signs = np.random.default_rng(0).permuted(np.tile([-1, 1], 56 * 28)).reshape(56, 56, 1)
    pattern = (128 + contrast * signs).astype(np.uint8).repeat(3, axis=2)
    full = (128 + 60 * signs).astype(np.uint8).repeat(3, axis=2)
    assert sharpness(pattern) == pytest.approx(share * sharpness(full), rel=1e-4)


@pytest.mark.parametrize("part", [np.s_[17:24, 11:44], np.s_[35:47, 17:38]], ids=["eyes", "mouth"])
@pytest.mark.parametrize("amplitude", [2, 7, 9, 11, 30])
def test_a_part_counts_as_covered_by_its_contrast(part: tuple[slice, slice], amplitude: int) -> None:
    """It is 0.01 up to 0.08 of the contrast of the whole crop, and 1 from 0.2 on."""
    signs = np.random.default_rng(0).permuted(np.tile([-1, 1], 56 * 28)).reshape(56, 56)
    gray = (128 + 60 * signs).astype(np.uint8)
    gray[part] = 128 + amplitude * signs[part]
    ratio = gray[part].std() / gray.std()
    expected = 0.01 + 0.99 * np.clip((ratio - 0.08) / 0.12, 0, 1)
    assert uncovered(gray[..., None].repeat(3, axis=2)) == pytest.approx(expected, abs=1e-6)


def test_monotone_in_each_part() -> None:
    by_size = [quality(pixels, *GOOD[1:]) for pixels in np.linspace(1, 100, 60)]
    by_sharpness = [quality(60.0, sharp, FRONTAL, 1.0) for sharp in np.linspace(0, 0.3, 60)]
    by_presence = [quality(60.0, 0.15, FRONTAL, presence) for presence in np.linspace(0, 1, 60)]
    for values in (by_size, by_sharpness, by_presence):
        assert (np.diff(values) >= 0).all()
        assert values[0] == 0.0
        assert values[-1] == 1.0
    for axis in (0, 1):
        for sign in (-1, 1):
            turns = [np.eye(3, dtype=np.float32)[axis] * sign * angle for angle in range(0, 90, 3)]
            values = [quality(60.0, 0.15, turn, 1.0) for turn in turns]
            assert (np.diff(values) <= 0).all()
    rolled = np.array([0, 0, 80], np.float32)
    assert quality(60.0, 0.15, rolled, 1.0) == 1.0  # the crop undoes it


def test_blur_lowers_sharpness(portrait: np.ndarray, landmarks: np.ndarray) -> None:
    large = cv2.resize(portrait, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    points = landmarks[:, :2] * 3 + 1
    values = [sharpness(align(cv2.GaussianBlur(large, (0, 0), sigma), points)) for sigma in (0.5, 2, 4, 8, 16)]
    assert (np.diff(values) < 0).all()
    assert values[0] > 0.12
    assert values[-1] < 0.05


def test_sharpness_does_not_depend_on_size_or_light(portrait: np.ndarray, landmarks: np.ndarray) -> None:
    reference = sharpness(align(portrait, landmarks))
    large = cv2.resize(portrait, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    assert sharpness(align(large, landmarks[:, :2] * 4 + 1.5)) == pytest.approx(reference, rel=0.2)
    assert sharpness(align(portrait, landmarks, 224)) == pytest.approx(reference, rel=0.2)
    dark = cv2.convertScaleAbs(portrait, alpha=0.4)
    assert sharpness(align(dark, landmarks)) == pytest.approx(reference, rel=0.1)


def test_a_flat_crop_is_not_sharp() -> None:
    assert sharpness(np.full((112, 112, 3), 90, np.uint8)) == 0.0


@pytest.mark.parametrize(("top", "bottom"), [(0.27, 0.46), (0.6, 0.95)], ids=["sunglasses", "mask"])
def test_covered_eyes_or_mouth_lower_the_trust(portrait: np.ndarray, top: float, bottom: float) -> None:
    (face,) = FaceFinder().find(portrait)
    assert uncovered(face.crop) == 1
    crop = face.crop.copy()
    crop[round(112 * top) : round(112 * bottom), 15:97] = (150, 180, 200)
    assert uncovered(crop) == pytest.approx(0.01, abs=0.002)
    crop[30:52, 15:97] = crop[67:106, 15:97] = (20, 20, 25)
    assert uncovered(crop) == pytest.approx(0.0001, abs=0.0001)
    whole = quality(60, 1, np.zeros(3), 1)
    assert quality(60, 1, np.zeros(3), 1, 0.1) == pytest.approx(whole * 0.1**0.5)


def test_blur_alone_covers_nothing(portrait: np.ndarray) -> None:
    (face,) = FaceFinder().find(cv2.GaussianBlur(portrait, (0, 0), 3))
    assert uncovered(face.crop) == 1
