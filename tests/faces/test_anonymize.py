"""Hiding faces: none is found afterwards, and what is no face stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmemo import media
from mmemo.errors import ArgumentError
from mmemo.faces import FaceFinder, FaceTracker
from mmemo.faces.anonymize import hide_faces
from mmemo.samples import make_clip, portrait

pytestmark = pytest.mark.slow


def frames(path: Path) -> list[tuple[float, np.ndarray]]:
    return [(frame.time, frame.image) for frame in media.frames(path)]


@pytest.mark.parametrize("method", ["blur", "mask"])
def test_the_landmarker_finds_no_face_afterwards(tmp_path: Path, method: str) -> None:
    path = make_clip(tmp_path / "two.mp4", seconds=1.0, faces=2, sound=None)
    plain = frames(path)
    finder, tracker = FaceFinder(), FaceTracker()
    assert len(finder.find(plain[0][1])) == 2
    hidden = list(hide_faces(plain, method))  # type: ignore[arg-type]
    assert [time for time, _ in hidden] == [time for time, _ in frames(path)]
    for number, (time, image) in enumerate(hidden):
        assert tracker.update(image, time) == []
        if number % 5 == 0:
            assert finder.find(image) == []


@pytest.mark.data
@pytest.mark.parametrize("name", ["debate_cut_5s.mp4", "obama_speech.mp4"])
def test_in_real_clips_nobody_is_left(shared_data: Path, name: str) -> None:
    """Far faces, a dissolve, a hard cut to a close-up; two people, one of them small."""
    finder, tracker = FaceFinder(), FaceTracker()
    for number, (time, image) in enumerate(hide_faces(frames(shared_data / "av" / "misc" / name), "blur")):
        assert tracker.update(image, time) == []
        if number % 10 == 0:
            assert finder.find(image) == []


def test_a_face_that_shows_for_an_instant_is_hidden_from_its_first_frame() -> None:
    """The picture shows nobody until a cut to a face; no frame of it may slip through."""
    rough = np.random.default_rng(0).integers(40, 220, (6, 8, 3), np.uint8)
    wall = cv2.resize(rough, (320, 240), interpolation=cv2.INTER_CUBIC)
    face = cv2.resize(portrait(), (240, 240), interpolation=cv2.INTER_AREA)
    scene = np.full((240, 320, 3), 90, np.uint8)
    scene[:, 40:280] = face
    shown = [(number / 25, (wall if number < 6 else scene).copy()) for number in range(10)]
    finder = FaceFinder()
    for number, (_, image) in enumerate(hide_faces(shown, "mask")):
        assert finder.find(image) == []
        if number < 6:
            np.testing.assert_array_equal(image, wall)  # another shot: nothing to hide there


def test_what_is_no_face_stays(tmp_path: Path) -> None:
    plain = frames(make_clip(tmp_path / "wall.mp4", seconds=0.4, faces=0, sound=None))
    before = [image.copy() for _, image in plain]
    for (_, image), same in zip(hide_faces(plain, "blur"), before, strict=True):
        np.testing.assert_array_equal(image, same)


def test_known_places_are_hidden_without_a_find() -> None:
    plain = [(number / 25, np.full((100, 200, 3), 200, np.uint8)) for number in range(3)]
    for _, image in hide_faces(plain, "mask", lambda _: [(0.4, 0.4, 0.6, 0.7)]):
        assert (image[55, 100] < 100).all()
        assert (image[5, 5] == 200).all()


def test_frames_are_read_as_they_are_wanted() -> None:
    """No more wait than the reach in time: memory does not grow with the film."""
    given = 0

    def film() -> Iterator[tuple[float, np.ndarray]]:
        nonlocal given
        for number in range(100):
            given += 1
            yield number / 25, np.zeros((48, 64, 3), np.uint8)

    hidden = hide_faces(film(), "blur")
    next(hidden)
    assert given <= 12


def test_another_method_is_refused() -> None:
    with pytest.raises(ArgumentError, match="blur"):
        hide_faces([], "pixels")  # type: ignore[arg-type]
