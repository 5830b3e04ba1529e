"""Coarse appearance of a face: enough to re-identify it after a second, in the same light.

This is no face recognition: it compares pictures, not people, and is dropped at the end of a shot.
"""

from __future__ import annotations

import cv2
import numpy as np

_SIDE = 16


def appearance(crop: np.ndarray) -> np.ndarray:
    """Unit vector of an aligned crop (S, S, 3) uint8: (256,) float32; zero for a flat crop.

    The crop's brightness at 16 x 16, less its mean, so that overall light and contrast don't count.
    """
    small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32).reshape(-1)
    return unit(gray - gray.mean())


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector scaled to length one; zero stays zero."""
    scaled: np.ndarray = vector / max(float(np.linalg.norm(vector)), 1e-6)
    return scaled


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two appearances, -1 to 1.

    Of one person over a clip it is 0.8 to 1, from frame to frame above 0.9, and 0.5 when the head turns away; of two
    people mostly below 0.5, but up to 0.9 where both look into the camera in the same light.
    """
    return float(first @ second)
