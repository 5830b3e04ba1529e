"""How a phone held its camera: the orientation that EXIF notes in a JPEG, mirror images included.

Source: CIPA DC-008 (EXIF 2.32), section 4.6.4, tag 274; TIFF 6.0 for the layout.
"""

from __future__ import annotations

import struct

import numpy as np

READ = 1 << 17
"""Bytes from the start of a file within which the tag lies: EXIF takes at most 64 KiB, after at most a few headers."""
_TAG = 0x0112


def jpeg_orientation(head: bytes) -> int | None:
    """The orientation, 1 to 8, from the first `READ` bytes of a JPEG; None if it is none, or notes none."""
    if not head.startswith(b"\xff\xd8"):
        return None
    place = 2
    while place + 4 <= len(head) and head[place] == 0xFF and head[place + 1] != 0xDA:
        length = struct.unpack(">H", head[place + 2 : place + 4])[0]
        segment = head[place + 4 : place + 2 + length]
        if head[place + 1] == 0xE1 and segment.startswith(b"Exif\x00\x00"):
            return _orientation(segment[6:])
        place += 2 + length
    return None


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """An image (H, W, 3) as it should be seen, of pixels stored with an orientation 1 to 8."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    # What the transposed picture still needs is what the orientations 1 to 4 need.
    flip = {2: "x", 3: "xy", 4: "y", 6: "x", 7: "xy", 8: "y"}.get(orientation, "")
    image = image[:, ::-1] if "x" in flip else image
    image = image[::-1] if "y" in flip else image
    return np.ascontiguousarray(image)


def _orientation(tiff: bytes) -> int | None:
    """Of the first directory of a TIFF structure."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return None
    start = struct.unpack(order + "I", tiff[4:8])[0]
    count = struct.unpack(order + "H", tiff[start : start + 2])[0] if len(tiff) >= start + 2 else 0
    for place in range(start + 2, start + 2 + 12 * count, 12):
        entry = tiff[place : place + 12]
        if len(entry) == 12 and struct.unpack(order + "H", entry[:2])[0] == _TAG:
            value = struct.unpack(order + "H", entry[8:10])[0]
            return value if 1 <= value <= 8 else None
    return None
