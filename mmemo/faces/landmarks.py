"""Numbers of the 478 face landmarks, and what is measured between them.

Left and right are the person's own: the right eye is on the left of the picture. Source of the numbers: MediaPipe's
canonical face model, https://github.com/google-ai-edge/mediapipe
"""

from __future__ import annotations

import numpy as np

COUNT = 478
"""Landmarks of a face; the last ten are the irises."""
NOSE_TIP, NOSE_BASE = 1, 2
RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)
"""Corners of each eye, from the left of the picture to the right."""
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = RIGHT_EYE[0], LEFT_EYE[1]
RIGHT_EYELIDS, LEFT_EYELIDS = (159, 145), (386, 374)
"""Middle of the upper and of the lower lid."""
RIGHT_PUPIL, LEFT_PUPIL = 468, 473
MOUTH_CORNERS = (61, 291)
UPPER_LIP, LOWER_LIP = 13, 14
"""Middle of the inner lips."""
RIGID = (10, 109, 338, 67, 297, 127, 356, 234, 454, 168, 6, 197, 195, 5, 4, NOSE_BASE, *RIGHT_EYE, *LEFT_EYE)
"""Landmarks that hardly move with the expression: forehead, temples, nose bridge and base, corners of the eyes."""

_EYES = np.array([RIGHT_EYE, LEFT_EYE], dtype=np.intp)


def eye_centers(landmarks: np.ndarray) -> np.ndarray:
    """(..., 2, D) the middle of the corners of each eye, the one on the left of the picture first; of (..., 478, D)."""
    centers: np.ndarray = landmarks[..., _EYES, :].mean(axis=-2)
    return centers


def eye_distance(landmarks: np.ndarray) -> float:
    """Pixels between the eye centers of landmarks (478, 3), in depth too, so that it doesn't shrink with yaw."""
    right, left = eye_centers(landmarks)
    return float(np.linalg.norm(left - right))


def box_of(landmarks: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom of landmarks (478, 2 or 3): (4,) float32."""
    points = np.ascontiguousarray(landmarks[:, :2].T)  # NumPy reduces rows ten times as fast as columns
    return np.concatenate([points.min(axis=1), points.max(axis=1)]).astype(np.float32)
