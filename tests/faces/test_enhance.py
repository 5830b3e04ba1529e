"""Denoising is for noisy pictures only, and lets faces be found that noise hides."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from mmemo.faces import FaceFinder, FaceTracker
from mmemo.faces.enhance import MAX_NOISE, denoised, noise


def noisy(image: np.ndarray, deviation: float) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0, deviation, (*image.shape[:2], 1))
    return np.clip(np.round(image + drawn), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def small(portrait: np.ndarray) -> np.ndarray:
    """The portrait's face, 50 pixels high."""
    return cv2.resize(portrait[40:220, 135:315], (96, 96), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("deviation", [4, 8, 12])
def test_noise_is_its_deviation_over_the_contrast(deviation: float) -> None:
    ramp = np.tile(np.linspace(60, 190, 200)[:, None, None], (1, 200, 3))
    assert noise(noisy(ramp, deviation)) == pytest.approx(deviation / (0.9 * 130), rel=0.12)


def test_clear_pictures_stay_the_very_same(portrait: np.ndarray, small: np.ndarray) -> None:
    dim = cv2.convertScaleAbs(portrait, alpha=0.2)  # the light alone hides nothing
    wall = skimage.data.brick()[..., None].repeat(3, axis=2)
    for image in (portrait, small, dim, wall, np.zeros((1, 2, 3), np.uint8)):
        kept, level = denoised(image)
        assert kept is image
        assert level == 0.0


def test_edges_and_texture_in_a_part_of_a_picture_are_no_noise() -> None:
    drawn = np.full((200, 200, 3), 200, np.uint8)
    drawn[:60] = noisy(drawn[:60], 80)
    drawn[100:, 50:] = 20
    assert noise(drawn) < 0.01


def test_a_face_behind_noise_is_found_and_trusted_less(small: np.ndarray) -> None:
    (clear,) = FaceFinder().find(small)
    assert clear.noise == 0
    picture = noisy(small, 60)
    before = picture.copy()
    assert not FaceFinder(enhance=False).find(picture)
    (face,) = FaceFinder().find(picture)
    assert np.array_equal(picture, before)
    assert face.noise == noise(picture) > MAX_NOISE
    assert face.quality < clear.quality
    assert np.abs(face.box - clear.box).max() < 0.2 * (clear.box[3] - clear.box[1])


def test_a_face_that_is_found_anyway_is_left_alone(small: np.ndarray) -> None:
    picture = noisy(small, 30)
    assert noise(picture) > MAX_NOISE
    (face,), (plain,) = FaceFinder().find(picture), FaceFinder(enhance=False).find(picture)
    assert face.noise == 0
    assert np.array_equal(face.crop, plain.crop)


def test_a_tracker_denoises_where_it_finds_nobody(small: np.ndarray) -> None:
    tracker, plain = FaceTracker(), FaceTracker(enhance=False)
    frames = [noisy(small, 35)] * 3 + [small] * 2
    seen = [[face.noise > 0 for face in tracker.update(frame, time / 5)] for time, frame in enumerate(frames)]
    assert seen == [[], [True], [True], [False], [False]]
    assert [len(plain.update(frame, time / 5)) for time, frame in enumerate(frames)] == [0, 0, 0, 1, 1]
