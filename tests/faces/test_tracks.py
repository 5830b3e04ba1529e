from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data

from mmemo.errors import ArgumentError
from mmemo.faces import Face, FaceTracker
from mmemo.faces.appearance import appearance, correlation

pytestmark = pytest.mark.slow

Stage = Callable[..., np.ndarray]
FPS = 25


@pytest.fixture(scope="module")
def shared_tracker() -> FaceTracker:
    return FaceTracker()


@pytest.fixture
def tracker(shared_tracker: FaceTracker) -> FaceTracker:
    shared_tracker.reset()
    return shared_tracker


@pytest.fixture(scope="module")
def other_scene() -> np.ndarray:
    return cv2.resize(skimage.data.coffee(), (640, 360))


def _run(tracker: FaceTracker, pictures: list[np.ndarray], fps: float = FPS, start: float = 0.0) -> list[list[Face]]:
    return [tracker.update(picture, start + index / fps) for index, picture in enumerate(pictures)]


def _people(found: list[list[Face]]) -> list[list[int]]:
    return [[face.person for face in faces] for faces in found]


def test_a_moving_face_keeps_its_id_and_is_found_in_every_frame(tracker: FaceTracker, stage: Stage) -> None:
    found = _run(tracker, [stage((150 + 12 * step, 180 + 20 * np.sin(step / 3))) for step in range(30)])
    assert _people(found) == [[0]] * 30
    for step, (face,) in enumerate(found):
        assert face.time == step / FPS
        assert face.crop.shape == (112, 112, 3)
        middle = (face.box[:2] + face.box[2:]) / 2
        np.testing.assert_allclose(middle, (150 + 12 * step, 180 + 20 * np.sin(step / 3)), atol=14)
    assert np.mean([face.quality for (face,) in found]) > 0.5


def test_nothing_lags(tracker: FaceTracker, stage: Stage) -> None:
    """A face that moves is measured where it is: as far from the stage's place as one that stands still."""
    still = _run(tracker, [stage((300, 180))] * 5)[-1][0]
    tracker.reset()
    moving = _run(tracker, [stage((300 - 10 * (8 - step), 180)) for step in range(9)])[-1][0]
    np.testing.assert_allclose(moving.landmarks[:, :2], still.landmarks[:, :2], atol=2.5)


def test_two_people_keep_their_ids(tracker: FaceTracker, stage: Stage) -> None:
    found = _run(tracker, [stage((160 + 3 * step, 180), (480, 180 + 2 * step), mirror=(1,)) for step in range(20)])
    assert all(len(people) == 2 for people in _people(found))
    first = {face.person: face.box[0] for face in found[0]}
    last = {face.person: face.box[0] for face in found[-1]}
    assert sorted(first) == sorted(last) == [0, 1]
    assert (first[0] < first[1]) == (last[0] < last[1])


@pytest.mark.parametrize("speed", [8, 16])
def test_people_who_pass_each_other_keep_their_ids(tracker: FaceTracker, stage: Stage, speed: int) -> None:
    """The second, drawn last, walks from right to left in front of the first."""
    steps = range(-240, 241, speed)
    found = _run(tracker, [stage((320, 180), (320 - step, 190), mirror=(1,)) for step in steps])
    standing = next(face.person for face in found[0] if face.box[0] < 320)
    walking = next(face.person for face in found[0] if face.box[0] > 400)
    last = {face.person: face.box[0] for face in found[-1]}
    assert sorted(last) == [0, 1]
    assert last[walking] < last[standing]
    assert {face.person for faces in found for face in faces} == {0, 1}


def test_a_short_occlusion_keeps_the_id_and_a_long_one_does_not(tracker: FaceTracker, stage: Stage) -> None:
    seen, hidden = stage((320, 180)), stage()
    short = _run(tracker, [seen] * 5 + [hidden] * 15 + [seen] * 5)
    assert _people(short) == [[0]] * 5 + [[]] * 15 + [[0]] * 5 or _people(short)[-1] == [0]
    assert all(not faces for faces in short[5:20])
    long = _run(tracker, [hidden] * 45 + [seen] * 5, start=1.0)
    assert _people(long)[-1] == [1]


def test_a_cut_ends_all_tracks(tracker: FaceTracker, stage: Stage, portrait: np.ndarray) -> None:
    closeup = cv2.resize(portrait[:288], (640, 360))
    found = _run(tracker, [stage((320, 180))] * 4 + [closeup] * 4 + [stage((320, 180))] * 4)
    assert _people(found) == [[0]] * 4 + [[1]] * 4 + [[2]] * 4


def test_a_flash_ends_none(tracker: FaceTracker, stage: Stage) -> None:
    seen = stage((320, 180))
    flash = np.full_like(seen, 255)
    found = _run(tracker, [seen] * 4 + [flash] + [seen] * 6)
    assert _people(found)[-1] == [0]
    assert {person for people in _people(found) for person in people} == {0}


def test_a_newcomer_is_found_within_the_search_interval(tracker: FaceTracker, stage: Stage) -> None:
    found = _run(tracker, [stage((160, 180))] * 5 + [stage((160, 180), (480, 180), mirror=(1,))] * 15)
    assert _people(found)[:5] == [[0]] * 5
    arrival = next(index for index, people in enumerate(_people(found)) if people == [0, 1])
    assert (arrival - 5) / FPS <= 0.5


def test_a_newcomer_whose_search_is_left_for_later_appears_in_the_next_frame(
    tracker: FaceTracker, stage: Stage
) -> None:
    alone, both = stage((160, 180)), stage((160, 180), (480, 180), mirror=(1,))
    counts = []
    for step, picture in enumerate([alone, both, both]):
        counts.append(len(tracker.update(picture, float(step), later=True)))
        if step:
            tracker.search()
    assert counts == [1, 1, 2]
    tracker.search()
    assert len(tracker.update(both, 3.0)) == 2  # nothing is left, and it is searched again


def test_the_wall_behind_a_face_that_left_is_no_face(tracker: FaceTracker, stage: Stage) -> None:
    found = _run(tracker, [stage((320, 180))] * 3 + [stage()] * 10)
    assert all(not faces for faces in found[3:])


@pytest.mark.parametrize("scene", ["brick", "grass", "gravel"])
def test_a_wall_has_no_face(tracker: FaceTracker, scene: str) -> None:
    wall = cv2.resize(getattr(skimage.data, scene)(), (640, 360))[..., None].repeat(3, axis=2)
    found = _run(tracker, [np.roll(wall, 7 * step, axis=1) for step in range(15)])
    assert all(not faces for faces in found)


def test_uneven_and_slow_frames(tracker: FaceTracker, stage: Stage) -> None:
    times = [0.0, 0.2, 0.21, 0.5, 0.9, 1.3, 1.31, 1.7]
    people = [[face.person for face in tracker.update(stage((200 + 60 * time, 180)), time)] for time in times]
    assert people == [[0]] * len(times)


def test_a_step_back_in_time_begins_anew(tracker: FaceTracker, stage: Stage) -> None:
    assert _people(_run(tracker, [stage((320, 180))] * 3, start=10.0)) == [[0]] * 3
    assert _people(_run(tracker, [stage((320, 180))] * 3)) == [[1]] * 3


def test_reset_counts_from_zero(tracker: FaceTracker, stage: Stage) -> None:
    _run(tracker, [stage((320, 180))] * 2)
    tracker.reset()
    assert _people(_run(tracker, [stage((200, 180))] * 2)) == [[0]] * 2


def test_at_most_so_many_faces(stage: Stage) -> None:
    tracker = FaceTracker(max_faces=1, size=64)
    found = _run(tracker, [stage((160, 180), (480, 180), mirror=(1,))] * 14)
    assert _people(found) == [[0]] * 14
    assert found[0][0].crop.shape == (64, 64, 3)


def test_frames_may_change_their_size(tracker: FaceTracker, stage: Stage) -> None:
    small = cv2.resize(stage((320, 180)), (320, 180), interpolation=cv2.INTER_AREA)
    found = _run(tracker, [stage((320, 180))] * 3 + [small] * 4 + [np.zeros((1, 1, 3), np.uint8)] * 2)
    assert len(found[6]) == 1
    assert found[-1] == []


def test_wrong_arguments_are_named(tracker: FaceTracker) -> None:
    with pytest.raises(ArgumentError, match="max_faces=0"):
        FaceTracker(max_faces=0)
    with pytest.raises(ArgumentError, match="uint8"):
        tracker.update(np.zeros((5, 5)), 0.0)


def test_a_small_face_is_found_at_once_as_in_a_still(tracker: FaceTracker, portrait: np.ndarray) -> None:
    """A head of 48 pixels in 1280 x 720, and one of 100 in 4K."""
    for width, side in ((1280, 48), (3840, 100)):
        picture = cv2.resize(skimage.data.coffee(), (width, width * 9 // 16), interpolation=cv2.INTER_CUBIC)
        left, top = picture.shape[1] * 7 // 10, picture.shape[0] * 4 // 10
        head = cv2.resize(portrait[15:215, 125:325], (side, side), interpolation=cv2.INTER_AREA)
        picture[top : top + side, left : left + side] = head
        tracker.reset()
        (face,) = tracker.update(picture, 0.0)
        assert left < face.box[0] < face.box[2] < left + side
        assert top < face.box[1] < face.box[3] < top + side


def test_an_upside_down_face_is_followed_and_confirmed(tracker: FaceTracker, stage: Stage) -> None:
    pictures = [np.ascontiguousarray(np.rot90(stage((150 + 8 * step, 180)), 2)) for step in range(30)]
    found = _run(tracker, pictures, fps=15)
    assert _people(found) == [[0]] * 30
    assert all(abs(face.pose[2]) > 150 and face.confidence > 0.8 for (face,) in found)


def test_more_faces_than_may_be_followed_are_noticed(stage: Stage) -> None:
    tracker = FaceTracker(max_faces=2)
    _run(tracker, [stage((110, 180), (540, 180))] * 2)
    assert not tracker.crowded
    tracker.reset()
    picture = stage((110, 180), (540, 180))
    picture[120:220, 270:370] = stage((320, 170), side=100)[120:220, 270:370]
    (faces,) = _run(tracker, [picture])
    assert tracker.crowded
    assert all(face.box[2] - face.box[0] > 50 for face in faces)  # the small one in the middle is left out


def test_confidence_falls_where_the_detector_sees_no_face(tracker: FaceTracker, stage: Stage) -> None:
    """A face that is blurred little by little: the landmarks follow what is hardly one any more."""
    pictures = [stage((320, 180))] * 2 + [cv2.GaussianBlur(stage((320, 180)), (0, 0), blur) for blur in (1, 2, 3, 4)]
    found = [face.confidence for faces in _run(tracker, [*pictures, *pictures[-1:] * 20], fps=15) for face in faces]
    assert found[0] > 0.9
    assert found[-1] < 0.7


def test_appearance_does_not_see_the_light(tracker: FaceTracker, stage: Stage) -> None:
    (face,) = tracker.update(stage((320, 180)), 0.0)
    dark = cv2.convertScaleAbs(face.crop, alpha=0.5, beta=10)
    assert correlation(appearance(face.crop), appearance(dark)) > 0.99
    assert correlation(appearance(face.crop), appearance(np.ascontiguousarray(face.crop[::-1]))) < 0.5
    assert not appearance(np.full((112, 112, 3), 5, np.uint8)).any()
