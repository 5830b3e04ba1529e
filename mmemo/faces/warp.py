"""Resampling of a piece of an image through a similarity transform, without aliasing."""

from __future__ import annotations

import cv2
import numpy as np

_MARGIN = 3  # pixels kept around the piece for interpolation


def similarity(scale: float, angle: float, source: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    """The (2, 3) float64 matrix that turns by ``angle`` radians, scales, and brings ``source`` to ``target``.

    A positive angle turns x towards y: clockwise on the screen.
    """
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    (x, y), (u, v) = source, target
    return np.array([[a, -b, u - a * x + b * y], [b, a, v - b * x - a * y]])


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a (2, 3) affine matrix, (2, 3) float64."""
    (a, b, x), (c, d, y) = matrix.tolist()
    size = a * d - b * c
    a, b, c, d = d / size, -b / size, -c / size, a / size
    return np.array([[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)]])


def transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a (2, 3) affine matrix to points (N, 2)."""
    moved: np.ndarray = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def warp(
    image: np.ndarray, matrix: np.ndarray, size: int, *, outside: int | None = None, fine: bool = False
) -> np.ndarray:
    """The piece of ``image`` that ``matrix`` maps onto a square.

    Shrinking by two or more begins with the mean over whole blocks of pixels, which removes what the square can't show.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3), a similarity from image to square, in pixels whose centers are at whole numbers.
        size: side of the square in pixels.
        outside: gray level shown beyond the image's border, 0 to 255; None repeats the nearest pixel of the image.
        fine: shrink what is left, less than two, at twice the size and then by the mean: a face of any size then
            is resampled in the same way, at some cost.

    Returns:
        (size, size, 3) uint8.
    """
    shrink = 1.0 / max(float(np.hypot(*matrix[:, 0])), 1e-9)
    factor = max(int(shrink), 1)
    piece, left, top = _piece(image, matrix, size, factor)
    # Pixel i of the shrunken piece covers the pixels factor * i .. factor * i + factor - 1 of the image.
    to_image = np.array([[factor, 0.0, left + (factor - 1) / 2], [0.0, factor, top + (factor - 1) / 2]])
    linear = matrix[:, :2] @ to_image[:, :2]
    offset = matrix[:, :2] @ to_image[:, 2] + matrix[:, 2]
    oversample = 2 if fine and shrink / factor > 1.05 else 1
    matrix = np.column_stack([linear, offset]) * oversample
    matrix[:, 2] += (oversample - 1) / 2
    side = size * oversample
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    color = (outside or 0,) * 4
    # OpenCV interpolates four channels three times as fast as three, with the same result.
    piece = cv2.cvtColor(piece, cv2.COLOR_RGB2RGBA)
    square = cv2.warpAffine(piece, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=color)
    if oversample > 1:
        square = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_RGBA2RGB))


def _piece(image: np.ndarray, matrix: np.ndarray, size: int, factor: int) -> tuple[np.ndarray, int, int]:
    """The part of the image that the square shows, shrunken by a whole factor, and its left top corner."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64) - 0.5
    corners = transform(invert(matrix), corners)
    margin = _MARGIN * factor
    low = np.floor(corners.min(axis=0)) - margin
    high = np.ceil(corners.max(axis=0)) + margin
    # A piece wholly beyond the border shows the border: keep at least one pixel of the image.
    left, right = _span(low[0], high[0], width)
    top, bottom = _span(low[1], high[1], height)
    piece = image[top:bottom, left:right]
    if factor > 1:
        columns, rows = -(-piece.shape[1] // factor), -(-piece.shape[0] // factor)
        missing_rows, missing_columns = rows * factor - piece.shape[0], columns * factor - piece.shape[1]
        if missing_rows or missing_columns:
            piece = cv2.copyMakeBorder(piece, 0, missing_rows, 0, missing_columns, cv2.BORDER_REPLICATE)
        piece = cv2.resize(piece, (columns, rows), interpolation=cv2.INTER_AREA)
    return piece, left, top


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """A range of at least one pixel within ``0 .. length``."""
    start = int(np.clip(low, 0, length - 1))
    return start, int(np.clip(high + 1, start + 1, length))
