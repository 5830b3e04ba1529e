"""Alignment of faces: the one function behind the crops of training and of analysis.

The frame is that of FER2013 (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414), symmetrized: the centers of
the eyes stand 0.365 of the side apart at 0.37 of the height, and the chin of a calm face just within the lower edge.
"""

from __future__ import annotations

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.faces.landmarks import LEFT_EYE, MOUTH_CORNERS, NOSE_BASE, RIGHT_EYE
from mmemo.faces.warp import invert, warp

SIZE = 112
"""Default side of a crop in pixels."""

EYE_LEFT, EYE_RIGHT = (0.3175, 0.37), (0.6825, 0.37)
"""Where the centers of the eyes lie in a crop, left and right in the picture, in shares of its side."""

ANCHORS: dict[int, tuple[float, float, float]] = {
    RIGHT_EYE[0]: (0.2389, 0.3643, 1.0),
    RIGHT_EYE[1]: (0.3934, 0.3764, 1.0),
    LEFT_EYE[0]: (0.6066, 0.3764, 1.0),
    LEFT_EYE[1]: (0.7611, 0.3643, 1.0),
    NOSE_BASE: (0.5, 0.6242, 1.0),
    MOUTH_CORNERS[0]: (0.3478, 0.7476, 0.5),
    MOUTH_CORNERS[1]: (0.6522, 0.7476, 0.5),
}
"""Landmark -> place in the crop (shares of its side) and weight. The medians over FER2013's training images. The
corners of the mouth move with the expression, which the crop should show rather than undo: they count for less."""
_POINTS = np.array(list(ANCHORS), dtype=np.intp)
_TEMPLATE = np.array([place[:2] for place in ANCHORS.values()])
_WEIGHTS = np.array([place[2] for place in ANCHORS.values()])


def align(image: np.ndarray, landmarks: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Cut a face out of an image, upright, centered and scaled.

    Beyond the image's border the nearest pixel is repeated. Shrinking averages, so that crops of faces of any size are
    comparable.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (478, 2 or 3), x and y in pixels of the image.
        size: side of the crop in pixels.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        ArgumentError: if an argument has another shape or type, or the landmarks lie all on one point.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ArgumentError(f"align: expected an image (H, W, 3) uint8, got {image.shape} {image.dtype}.")
    if size < 1:
        raise ArgumentError(f"align: expected a size of one pixel or more, got {size}.")
    return warp(image, alignment(landmarks, size), size, fine=True)


def alignment(landmarks: np.ndarray, size: int = SIZE) -> np.ndarray:
    """The transform `align` applies: (2, 3) float64, from pixels of the image to pixels of the crop.

    A similarity by weighted least squares (Umeyama, "Least-squares estimation of transformation parameters between two
    point patterns", 1991). `unalign` gives the way back.

    Raises:
        ArgumentError: if the landmarks have another shape, are not finite, or lie all on one point.
    """
    if landmarks.ndim != 2 or landmarks.shape[0] <= _POINTS.max() or landmarks.shape[1] < 2:
        raise ArgumentError(f"align: expected landmarks (478, 2 or 3), got {landmarks.shape}.")
    source = landmarks[_POINTS, :2].astype(np.float64)
    # Pixel i covers i - 0.5 to i + 0.5, so a share s of the side lies at s * size - 0.5.
    target = _TEMPLATE * size - 0.5
    weights = _WEIGHTS / _WEIGHTS.sum()
    source_mean, target_mean = weights @ source, weights @ target
    source_centered, target_centered = source - source_mean, target - target_mean
    spread = float(weights @ (source_centered**2).sum(axis=1))
    if not np.isfinite(spread) or spread < 1e-12:
        raise ArgumentError("align: the landmarks lie all on one point, or are not finite.")
    # In the plane, a turn with a scale is a complex factor; least squares gives it in closed form.
    x, y = source_centered.T
    u, v = target_centered.T
    a = float(weights @ (x * u + y * v)) / spread
    b = float(weights @ (x * v - y * u)) / spread
    if a * a + b * b < 1e-18:
        raise ArgumentError("align: the landmarks do not have the shape of a face.")
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def unalign(landmarks: np.ndarray, size: int = SIZE) -> np.ndarray:
    """The transform from pixels of the crop back to pixels of the image, (2, 3) float64: undoes `alignment`."""
    return invert(alignment(landmarks, size))
