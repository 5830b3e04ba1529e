from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmemo.faces.blendshapes import BLENDSHAPES, blendshapes
from mmemo.faces.landmarker import Mesh, Region
from mmemo.faces.landmarks import eye_distance
from mmemo.faces.pose import head_pose
from mmemo.faces.search import FaceSearch


@pytest.fixture(scope="module")
def mesh(search: FaceSearch, portrait: np.ndarray) -> Mesh:
    (found,) = search.scan(portrait, 0, 8)
    return found


def test_blendshapes_are_named_once_each() -> None:
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 52
    assert BLENDSHAPES[0] == "_neutral"
    assert sorted(name[:-4] for name in BLENDSHAPES if name.endswith("Left")) == sorted(
        name[:-5] for name in BLENDSHAPES if name.endswith("Right")
    )


def test_landmarks_lie_where_they_should(mesh: Mesh) -> None:
    assert mesh.landmarks.shape == (478, 3)
    assert mesh.landmarks.dtype == np.float32
    assert mesh.presence > 0.99
    left_iris, right_iris, nose = mesh.landmarks[[468, 473, 1], :2]
    np.testing.assert_allclose(left_iris, (206, 101), atol=5)
    np.testing.assert_allclose(right_iris, (247, 104), atol=5)
    assert mesh.landmarks[1, 2] < mesh.landmarks[[33, 263], 2].min()  # the nose is nearer than the eyes
    assert left_iris[0] < nose[0] < right_iris[0]


def test_she_smiles_with_open_eyes(mesh: Mesh) -> None:
    shapes = dict(zip(BLENDSHAPES, blendshapes(mesh.landmarks[None])[0], strict=True))
    assert shapes["mouthSmileLeft"] > 0.7
    assert shapes["mouthSmileRight"] > 0.7
    assert shapes["mouthFrownLeft"] < 0.1
    assert shapes["eyeBlinkLeft"] < 0.4


@pytest.mark.parametrize("count", [0, 1, 37])
def test_blendshapes_of_many_faces_are_those_of_each(mesh: Mesh, count: int) -> None:
    rng = np.random.default_rng(0)
    faces = mesh.landmarks + rng.normal(0, 1, (count, 478, 3)).astype(np.float32)
    found = blendshapes(faces)
    assert found.shape == (count, 52)
    for row, face in zip(found, faces, strict=True):
        np.testing.assert_allclose(row, blendshapes(face[None])[0], atol=1e-4)  # rounding


@pytest.mark.parametrize(("angle", "scale", "shift"), [(0, 1.0, 40), (30, 1.0, 0), (-45, 0.7, 0), (0, 2.5, 0)])
def test_landmarks_move_with_the_picture(
    search: FaceSearch, portrait: np.ndarray, mesh: Mesh, angle: float, scale: float, shift: float
) -> None:
    matrix = cv2.getRotationMatrix2D((225, 128), angle, scale)
    side = round(512 * max(scale, 1))
    matrix[:, 2] += shift + (side - 512) / 2
    moved = cv2.warpAffine(portrait, matrix, (side, side), flags=cv2.INTER_AREA)
    expected = mesh.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    # As in a track: the region comes from landmarks nearby.
    near = np.column_stack([expected + 5 * scale, mesh.landmarks[:, 2] * scale]).astype(np.float32)
    found = search.follow(moved, near)
    assert found is not None
    errors = np.linalg.norm(found.landmarks[:, :2] - expected, axis=1) / eye_distance(found.landmarks)
    assert errors.mean() < 0.04


def test_a_mirrored_face_changes_sides(search: FaceSearch, portrait: np.ndarray, mesh: Mesh) -> None:
    (mirrored,) = search.scan(np.ascontiguousarray(portrait[:, ::-1]), 0, 8)
    np.testing.assert_allclose(mirrored.landmarks[33, 0], 511 - mesh.landmarks[263, 0], atol=2)
    yaw, _, roll = head_pose(mesh.landmarks)
    other_yaw, _, other_roll = head_pose(mirrored.landmarks)
    assert abs(yaw + other_yaw) < 4
    assert abs(roll + other_roll) < 4
    assert roll > 0  # her head leans to the right of the picture


def test_region_by_hand() -> None:
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, :2] = (50, 60)
    landmarks[33, :2], landmarks[263, :2] = (40, 60), (60, 80)
    region = Region.of_landmarks(landmarks)
    assert (region.x, region.y) == (50, 70)
    assert region.side == pytest.approx(30)
    assert region.angle == pytest.approx(np.pi / 4)
    middle = region.matrix(256) @ (50, 70, 1)
    np.testing.assert_allclose(middle, (128, 128))
    # The line of the eyes becomes level.
    eyes = landmarks[[33, 263], :2] @ region.matrix(256)[:, :2].T
    assert eyes[0, 1] == pytest.approx(eyes[1, 1])
