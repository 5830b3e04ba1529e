"""How a picture is to be turned and mirrored to be seen as it was taken: by EXIF, or by a display matrix.

Sources: CIPA DC-008 (EXIF 2.32), section 4.6.4, tag 274; TIFF 6.0 for the layout; ISO 14496-12, 8.3.2 for the matrix.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_TAG = 0x0112
_OF_MATRIX = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
"""EXIF's orientation for the upper left of a display matrix in whole numbers."""
_OF_TURN = (1, 8, 3, 6)
"""EXIF's orientation for quarter turns, counterclockwise."""


def exif_orientation(exif: bytes) -> int | None:
    """The orientation, 1 to 8, from the first directory of a TIFF structure; None if it notes none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    start = struct.unpack(order + "I", exif[4:8])[0]
    count = struct.unpack(order + "H", exif[start : start + 2])[0] if len(exif) >= start + 2 else 0
    for place in range(start + 2, start + 2 + 12 * count, 12):
        entry = exif[place : place + 12]
        if len(entry) == 12 and struct.unpack(order + "H", entry[:2])[0] == _TAG:
            value = struct.unpack(order + "H", entry[8:10])[0]
            return value if 1 <= value <= 8 else None
    return None


def frame_orientation(picture: Any) -> int:
    """The orientation, 1 to 8, that a decoded frame of PyAV has by its display matrix; the nearest quarter turn."""
    turned = _OF_TURN[round(picture.rotation / 90) % 4]
    try:
        matrix = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know all kinds of side data
        return turned
    if matrix is None:
        return turned
    signs = np.sign(np.rint(np.frombuffer(bytes(matrix), np.int32) / 65_536)).astype(int).tolist()
    return _OF_MATRIX.get((signs[0], signs[1], signs[3], signs[4]), turned)


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """An image (H, W, 3) as it should be seen, of pixels stored with an orientation 1 to 8."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    # What the transposed picture still needs is what the orientations 1 to 4 need.
    flip = {2: "x", 3: "xy", 4: "y", 6: "x", 7: "xy", 8: "y"}.get(orientation, "")
    image = image[:, ::-1] if "x" in flip else image
    image = image[::-1] if "y" in flip else image
    return np.ascontiguousarray(image)
