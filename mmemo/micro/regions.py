"""Regions of an aligned crop: where a face moves, where it does not, and the part that the recognizer is shown.

Boxes are (left, top, right, bottom) in shares of the side of a crop of `mmemo.faces.align`: the eyes' centres at
(0.3175, 0.37) and (0.6825, 0.37), the corners of the mouth at a height of 0.75.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Box = tuple[float, float, float, float]

REGIONS: dict[str, tuple[Box, ...]] = {
    "brows": ((0.17, 0.17, 0.33, 0.30), (0.33, 0.17, 0.46, 0.31), (0.54, 0.17, 0.67, 0.31), (0.67, 0.17, 0.83, 0.30)),
    "eyes": ((0.20, 0.32, 0.43, 0.44), (0.57, 0.32, 0.80, 0.44)),
    "nose": ((0.36, 0.50, 0.47, 0.65), (0.53, 0.50, 0.64, 0.65)),
    "mouth": (
        (0.25, 0.66, 0.40, 0.81),
        (0.60, 0.66, 0.75, 0.81),
        (0.40, 0.65, 0.60, 0.74),
        (0.40, 0.76, 0.60, 0.87),
    ),
}
"""Parts of the face that micro-expressions move; left and right of the picture, and their middle, apart."""

PARTS: tuple[tuple[str, Box], ...] = tuple((name, box) for name, boxes in REGIONS.items() for box in boxes)
"""Every box with the name of its region, in a fixed order."""

RIGID: tuple[Box, ...] = (
    (0.43, 0.32, 0.57, 0.55),  # nose bridge, inner corners of the eyes
    (0.12, 0.32, 0.20, 0.50),  # temples
    (0.80, 0.32, 0.88, 0.50),
    (0.22, 0.48, 0.34, 0.58),  # cheekbones
    (0.66, 0.48, 0.78, 0.58),
    (0.38, 0.05, 0.62, 0.13),  # forehead
)
"""Where skin lies on bone and moves with the head alone."""

FRAME: Box = (0.158, 0.123, 0.842, 0.989)
"""The recognizer's input. The composite of MEGC2019 shows faces from the brows to the chin and from ear to ear, a
little stretched in width: the median landmarks of its apex faces lie so in a square (eyes 0.535 of the width apart at
0.285 of the height, mouth at 0.72). This box of our crop, brought to a square, shows the same."""


def pixels(box: Box, size: int) -> tuple[slice, slice]:
    """Rows and columns of a box in a crop of ``size`` pixels."""
    left, top, right, bottom = (round(side * size) for side in box)
    return slice(top, bottom), slice(left, right)


@lru_cache(maxsize=4)
def rigid_mask(size: int) -> np.ndarray:
    """(S, S) bool: where skin lies on bone and moves with the head alone."""
    mask = np.zeros((size, size), bool)
    for box in RIGID:
        mask[pixels(box, size)] = True
    return mask


@lru_cache(maxsize=4)
def moving_mask(size: int) -> np.ndarray:
    """(S, S) bool: the boxes of `REGIONS` together."""
    mask = np.zeros((size, size), bool)
    for _, box in PARTS:
        mask[pixels(box, size)] = True
    return mask
