"""Direction of the gaze from the landmarks of irises and eye corners.

An eye is a sphere that turns about its center: the iris moves from where it is when the eye looks straight ahead by as
much as the gaze turns. The iris, 11.7 mm wide in nearly everyone, gives the scale (Ablavatski et al., "Real-time pupil
tracking from monocular video for digital puppetry", 2020, https://arxiv.org/abs/2006.11341).
"""

from __future__ import annotations

import numpy as np

from mmemo.faces.landmarks import LEFT_PUPIL, RIGHT_PUPIL, eye_centers

_IRIS = 11.7  # mm, its width
_RADIUS = 10.0  # mm from the center of rotation to the iris: 13.5 to the cornea (Fry and Hill 1962), less 3.5
# Where the middle of an eye's corners lies: so much nearer to the viewer than the center of rotation, and so much below
# the iris. Nearer by less when the head nods, as the model's irises then go along with the lids. With these values the
# gaze of people who look into the camera changes least while their heads move (34 clips of 5 people).
_FORWARD, _BELOW = (5.0, 2.0), 2.0  # mm
_PUPILS = np.array([RIGHT_PUPIL, LEFT_PUPIL], dtype=np.intp)
_RIMS = _PUPILS[:, None] + np.array([1, 3])  # the ends of an iris' width


def gaze(landmarks: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Yaw and pitch of the gaze of both eyes, (N, 2) float32 in degrees; zero for a look into the camera.

    The signs are those of the head's pose: yaw is positive to the right of the picture, pitch upwards. The directions
    are the camera's, not the head's: whoever turns the head and keeps looking into the camera has zero.

    Args:
        landmarks: (N, 478, 3), x, y in pixels of the image and z in the same scale.
        pose: (N, 3) yaw, pitch, roll in degrees, of `mmemo.faces.pose.head_pose`.
    """
    yaw, pitch, roll = np.radians(pose.astype(np.float64)).T
    ahead = np.stack([np.cos(pitch) * np.sin(yaw), np.sin(pitch)], axis=1)
    # The head's upward axis, as it stands in the picture: turned by roll about the nose, then by pitch and yaw.
    up = np.stack(
        [
            np.sin(roll) * np.cos(yaw) - np.cos(roll) * np.sin(pitch) * np.sin(yaw),
            np.cos(roll) * np.cos(pitch),
        ],
        axis=1,
    )
    points = landmarks[..., :2].astype(np.float64)
    widths = np.linalg.norm(points[:, _RIMS[:, 0]] - points[:, _RIMS[:, 1]], axis=-1)
    scale = _IRIS / np.maximum(widths.max(axis=1), 1e-6)  # the nearer eye: the other one may be seen from the side
    moved = (points[:, _PUPILS] - eye_centers(points)).mean(axis=1) * (1, -1) * scale[:, None]
    x, y = np.clip((moved + _FORWARD * ahead - _BELOW * up) / _RADIUS, -1.0, 1.0).T
    depth = np.sqrt(np.maximum(0.0, 1 - x**2 - y**2))
    angles: np.ndarray = np.degrees(np.stack([np.arctan2(x, depth), np.arcsin(y)], axis=1))
    return angles.astype(np.float32)
