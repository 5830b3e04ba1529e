from __future__ import annotations

import numpy as np
import pytest

from mmemo.faces.model import canonical_face
from mmemo.faces.pose import head_pose, misfit


def _turned(yaw: float, pitch: float, roll: float, scale: float = 7.0) -> np.ndarray:
    """Landmarks, in picture axes, of the mean face turned by hand: first rolled, then pitched, then yawed."""
    y, p, r = np.radians([yaw, -pitch, -roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = canonical_face() @ (about_y @ about_x @ about_z).T * scale * (1, -1, -1) + (320, 180, 0)
    irises = np.repeat(points[[168]], 10, axis=0)
    return np.concatenate([points, irises]).astype(np.float32)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, 20, 0), (0, 0, 40), (-50, 10, -15), (20, -35, 60)])
def test_known_turns_come_back(angles: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(head_pose(_turned(*angles)), angles, atol=0.01)


def test_signs() -> None:
    nose, eyes = 1, [33, 263]
    right, up, leaning = _turned(30, 0, 0), _turned(0, 30, 0), _turned(0, 0, 30)
    assert right[nose, 0] > 320  # to the right of the picture
    assert up[nose, 1] < _turned(0, 0, 0)[nose, 1]  # y grows downwards
    assert leaning[eyes[1], 1] > leaning[eyes[0], 1]  # clockwise: the eye on the right is lower


def test_misfit_knows_a_face_from_a_tangle() -> None:
    face = _turned(20, 10, 5)
    noise = np.random.default_rng(0).normal(0, 1, face.shape)
    assert misfit(face) < 1e-4
    assert misfit((face + 10 * noise).astype(np.float32)) > 0.15
    assert misfit((face * (1, 3, 1)).astype(np.float32)) > 0.15
    assert misfit(np.zeros((478, 3), np.float32)) == float("inf")
