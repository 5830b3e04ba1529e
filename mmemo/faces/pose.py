"""The turn of a head from its landmarks, and how well they fit a head at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mmemo.faces.landmarks import RIGID, eye_distance
from mmemo.faces.model import MESH_VERTICES, canonical_face

_RIGID = np.array(RIGID, dtype=np.intp)
# Picture axes are x right, y down, z away from the viewer; the mean face's are x right, y up, z to the viewer.
_FLIP = (1.0, -1.0, -1.0)


def head_pose(landmarks: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll of a head, (3,) float32 in degrees; all zero for a face that looks into the camera upright.

    - yaw: positive when the person turns to the right of the picture (to their own left);
    - pitch: positive when the person looks up;
    - roll: positive when the head leans to the right of the picture (clockwise, towards the person's left shoulder).

    A rigid fit of the mean face to the landmarks (Kabsch 1976; Umeyama 1991), in parallel projection. Yaw and pitch
    are the direction the nose points to, roll the turn about that direction.

    Args:
        landmarks: (478, 3), x, y in pixels of the image and z in the same scale, as `FaceLandmarker.locate` gives.
    """
    rotation, _, _ = _fit(landmarks[_RIGID] * _FLIP, _rigid_face())
    gaze = rotation[:, 2]  # where the nose points: (cos pitch sin yaw, sin pitch, cos pitch cos yaw)
    yaw = np.arctan2(gaze[0], gaze[2])
    pitch = np.arcsin(np.clip(gaze[1], -1.0, 1.0))
    roll = -np.arctan2(rotation[1, 0], rotation[1, 1])
    return np.array(np.degrees([yaw, pitch, roll]), np.float32)


def misfit(landmarks: np.ndarray) -> float:
    """How far landmarks (478, 3) are from a turned and scaled mean face: root mean square, in distances of the eyes.

    About 0.05 for a calm face and 0.1 for an open mouth; more for a tangle of points on something that is no face.
    Infinite if they lie all on one point.
    """
    face = _mean_face()
    _, scale, spread = _fit(landmarks[:MESH_VERTICES] * _FLIP, face)
    if scale <= 0:
        return float("inf")
    rest = spread - scale**2 * face.spread
    return float(np.sqrt(max(rest, 0.0) / MESH_VERTICES)) / (scale * face.eye_distance)


@dataclass(frozen=True, eq=False)
class _Target:
    """Points of the mean face, (N, 3) less their mean; the sum of their squares; and the whole face's eye distance."""

    points: np.ndarray
    spread: float
    eye_distance: float

    @classmethod
    def of(cls, chosen: np.ndarray) -> _Target:
        face = canonical_face()
        points = face[chosen].astype(np.float64)
        points -= points.mean(axis=0)
        return cls(points, float((points**2).sum()), eye_distance(face))


@lru_cache(maxsize=1)
def _mean_face() -> _Target:
    return _Target.of(np.arange(MESH_VERTICES))


@lru_cache(maxsize=1)
def _rigid_face() -> _Target:
    return _Target.of(_RIGID)


def _fit(points: np.ndarray, face: _Target) -> tuple[np.ndarray, float, float]:
    """Rotation (3, 3) and scale that bring ``face`` nearest to ``points`` (N, 3); and the points' spread."""
    points = points - points.mean(axis=0)
    left, sizes, right = np.linalg.svd(points.T @ face.points)
    handed = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right)) or 1.0])
    scale = float(sizes @ handed) / face.spread
    return (left * handed) @ right, scale, float((points**2).sum())
