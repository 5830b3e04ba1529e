"""The tracker and the finder on real clips and pictures of the shared corpora."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmemo.faces import FaceFinder, FaceTracker

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    return FaceTracker()


@pytest.mark.parametrize("corpus", ["crema_d", "ravdess", "mead"])
def test_one_face_all_along(tracker: FaceTracker, frames: Callable, shared_data: Path, corpus: str) -> None:
    clips = sorted(path for path in (shared_data / "av" / corpus).iterdir() if path.suffix in (".mp4", ".flv"))
    assert clips
    for clip in clips[:: 3 if corpus == "mead" else 1]:
        tracker.reset()
        found = [tracker.update(picture, time) for time, picture in frames(clip)]
        assert np.mean([len(faces) == 1 for faces in found]) > 0.9, clip.name
        assert {face.person for faces in found for face in faces} == {0}, clip.name
        assert np.mean([face.quality for faces in found for face in faces]) > 0.8, clip.name


def test_two_people_side_by_side(tracker: FaceTracker, frames: Callable, shared_data: Path) -> None:
    tracker.reset()
    found = [tracker.update(picture, time) for time, picture in frames(shared_data / "av/misc/obama_speech.mp4")]
    seen = Counter(face.person for faces in found for face in faces)
    assert sorted(seen) == [0, 1]
    assert min(seen.values()) > 0.95 * len(found)
    for faces in found:
        left, right = sorted(faces, key=lambda face: face.box[0])
        assert (left.person, right.person) == tuple(
            face.person for face in sorted(found[0], key=lambda face: face.box[0])
        )


def test_the_cut_to_a_closeup(tracker: FaceTracker, frames: Callable, shared_data: Path) -> None:
    """Two far figures, mostly in profile; a fade through white at 3.56 to 3.72 s; then a face of 33 pixels."""
    tracker.reset()
    before: Counter[int] = Counter()
    after: Counter[int] = Counter()
    closeup = 0
    for time, picture in frames(shared_data / "av/misc/debate_cut_5s.mp4"):
        faces = tracker.update(picture, time)
        (before if time < 3.7 else after).update(face.person for face in faces)
        closeup += time >= 3.7
    assert not set(before) & set(after)
    assert len(after) == 1
    assert after.total() == closeup
    assert before.total() > 60  # the far faces are found, in most frames


@pytest.mark.parametrize(("first", "second"), [("M030", "W009"), ("W009", "W011"), ("W011", "M030")])
def test_a_cut_to_another_person_in_the_same_frame(
    tracker: FaceTracker, frames: Callable, shared_data: Path, first: str, second: str
) -> None:
    pictures = []
    for person in (first, second):
        clip = shared_data / f"av/mead/mead_{person}_front_sad_level3_001.mp4"
        pictures += [picture for _, picture in frames(clip)][20:40]
    tracker.reset()
    found = [tracker.update(picture, i / 25) for i, picture in enumerate(pictures)]
    assert [[face.person for face in faces] for faces in found] == [[0]] * 20 + [[1]] * 20
    assert all(face.confidence > 0.8 for faces in found for face in faces)


def test_pictures_of_fer2013(shared_data: Path) -> None:
    finder = FaceFinder()
    paths = sorted((shared_data / "face/fer2013/train").glob("*/*.jpg"))
    sample = [paths[int(index)] for index in np.random.default_rng(0).choice(len(paths), 120, replace=False)]
    found = [finder.find(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)) for path in sample]
    assert np.mean([len(faces) == 1 for faces in found]) > 0.92
