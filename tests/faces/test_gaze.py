"""Signs and size of the gaze, on portraits whose eyes or head are moved by a known amount."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.faces import Face, FaceFinder
from mmemo.faces.gaze import gaze
from mmemo.faces.landmarks import LEFT_EYE, RIGHT_EYE
from mmemo.faces.model import canonical_face
from mmemo.faces.pose import head_pose
from mmemo.samples import moved_portrait


def _found(**moved: float) -> Face:
    (face,) = FaceFinder(max_faces=1).find(moved_portrait(**moved))
    return face


def _gaze(**moved: float) -> np.ndarray:
    face = _found(**moved)
    return gaze(face.landmarks[None], face.pose[None])[0]


@pytest.fixture(scope="module")
def straight() -> np.ndarray:
    return _gaze()


def test_a_look_into_the_camera_is_about_zero(straight: np.ndarray) -> None:
    assert abs(straight).max() < 8


def test_the_gaze_goes_with_the_eyes_and_not_with_the_head(straight: np.ndarray) -> None:
    right, left = _gaze(look=0.8), _gaze(look=-0.8)
    assert right[0] - straight[0] > 8
    assert left[0] - straight[0] < -8
    assert abs(right[1] - straight[1]) < 5
    leaning = _gaze(lean=20)
    assert abs(leaning - straight).max() < 5


def _looking(head: float, eyes: float) -> np.ndarray:
    """The gaze measured on a mean face whose head and eyes turn so many degrees to the right of the picture."""
    face = canonical_face().astype(np.float64) * 10  # mm; x right, y up, z to the viewer

    def turned(points: np.ndarray, degrees: float) -> np.ndarray:
        sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        return points @ np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])

    irises = []
    for corners in (RIGHT_EYE, LEFT_EYE):
        center = face[list(corners)].mean(axis=0) + np.array(
            (0, 2, -5)
        )  # of rotation, so far behind and above the corners
        iris = np.array([(0, 0, 10), (5.85, 0, 10), (0, 5.85, 10), (-5.85, 0, 10), (0, -5.85, 10)])
        irises.append(turned(center, head) + turned(iris, eyes))
    landmarks = np.concatenate([turned(face, head), *irises]) * (3, -3, -3)
    return gaze(landmarks[None].astype(np.float32), head_pose(landmarks)[None])[0]


@pytest.mark.parametrize("head", [-30, 0, 20])
@pytest.mark.parametrize("eyes", [-25, 0, 15])
def test_the_direction_is_the_cameras_wherever_the_head_turns(head: float, eyes: float) -> None:
    assert _looking(head, eyes) == pytest.approx([eyes, 0], abs=4)


def test_arrays_of_faces(straight: np.ndarray) -> None:
    face = _found()
    both = gaze(np.stack([face.landmarks] * 2), np.stack([face.pose] * 2))
    assert both.dtype == np.float32
    np.testing.assert_allclose(both, [straight] * 2)
    assert gaze(np.empty((0, 478, 3), np.float32), np.empty((0, 3), np.float32)).shape == (0, 2)


def test_the_head_turns_and_leans_to_the_sides_it_is_said_to() -> None:
    straight = _found().pose
    assert _found(turn=1.0).pose[0] > straight[0] + 5
    assert _found(turn=-1.0).pose[0] < straight[0] - 5
    assert _found(lean=20).pose[2] == pytest.approx(straight[2] + 20, abs=2)
