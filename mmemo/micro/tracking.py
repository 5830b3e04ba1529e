"""Motion of small areas of one face over time, without the motion of the head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mmemo.evidence import Seconds
from mmemo.faces import BLENDSHAPES, Face
from mmemo.faces.align import alignment
from mmemo.faces.warp import invert, transform, warp
from mmemo.micro.optical_flow import SIZE, dense_flow, without_head_motion
from mmemo.micro.regions import REGIONS, RIGID, pixels

CELL = 8
"""Side in pixels of the areas whose mean motion is followed."""
_KEY_EVERY: Seconds = 0.4
_KEY_BEYOND = 6.0  # pixels of head motion in the crop from which flow is better measured anew
_STEADY: Seconds = 0.08  # over which the place of the crop is averaged: the jitter of landmarks is no motion
_BLINKS = [BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")]


REGION_NAMES = tuple(REGIONS)
STILL = len(REGION_NAMES)
"""The index of the areas that should not move."""


def cells(size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """The areas that are followed: their first rows and columns (C, 2), and the index of their region (C,)."""
    owner = np.full((size // CELL, size // CELL), -1)
    for index, boxes in enumerate((*REGIONS.values(), RIGID)):
        for box in boxes:
            rows, columns = pixels(box, size)
            owner[_inner(rows), _inner(columns)] = index
    corners = np.argwhere(owner >= 0)
    return corners * CELL, owner[owner >= 0]


def _inner(span: slice) -> slice:
    """The cells whose middle lies in a span of pixels."""
    return slice(round(span.start / CELL), round(span.stop / CELL))


CORNERS, OWNERS = cells()


@dataclass(frozen=True, eq=False)
class FaceMotion:
    """One person's face over a stretch of video without a gap; N pictures, C areas.

    Attributes:
        person: id of the face's track.
        times: (N,) seconds, rising.
        numbers: (N,) int, the pictures' numbers in the file.
        moved: (N, C, 2) float32: where each area of `CORNERS` is against its place in the first picture, in pixels of
            the crop, the head's own motion taken out.
        head: (N, 2) float32: where the head is, in pixels of the crop.
        pose: (N, 3) float32: yaw, pitch, roll in degrees.
        blink: (N,) float32 in [0, 1]: how far the eyes are closed.
        places: (N, 2, 3) float64: from pixels of the frame to pixels of the crop.
    """

    person: int
    times: np.ndarray
    numbers: np.ndarray
    moved: np.ndarray
    head: np.ndarray
    pose: np.ndarray
    blink: np.ndarray
    places: np.ndarray


class FaceMotionRecorder:
    """Follows one face from picture to picture.

    Motion is measured from a key picture, which is replaced now and then, not from each picture to the next: errors
    then add up once a key and not once a picture.
    """

    def __init__(self, person: int) -> None:
        self.person = person
        self._rows: list[tuple[float, int, np.ndarray, np.ndarray, np.ndarray, float, np.ndarray]] = []
        self._place: np.ndarray | None = None
        self._key: np.ndarray = np.zeros(0)
        self._key_time: Seconds = 0.0
        self._key_moved = np.zeros((len(CORNERS), 2), np.float32)
        self._anchor = np.full(2, (SIZE - 1) / 2)
        self.seen: Seconds = 0.0
        """Time of the face's last picture."""

    def __len__(self) -> int:
        """Pictures that were measured."""
        return len(self._rows)

    def step(self, image: np.ndarray, time: Seconds, number: int, face: Face) -> None:
        """Add the next picture, (H, W, 3) uint8 RGB, with the last detection of the face."""
        self._place = self._steadied(alignment(face.landmarks, SIZE), time)
        self.seen = time
        crop = gray_crop(image, self._place)
        if not self._rows:
            self._start_key(crop, time, self._key_moved, self._anchor)
            moved, anchor = self._key_moved, self._anchor
        else:
            flow, head = without_head_motion(dense_flow(self._key, crop))
            moved, anchor = self._key_moved + cell_means(flow), self._anchor + head
            if time - self._key_time >= _KEY_EVERY or np.abs(head).max() > _KEY_BEYOND:
                self._start_key(crop, time, moved, anchor)
        unit = 1 / np.hypot(*self._place[:, 0])
        head_at = transform(invert(self._place), anchor[None])[0] / unit
        blink = float(face.blendshapes[_BLINKS].max())
        self._rows.append((time, number, moved, head_at, face.pose, blink, self._place))

    def motion(self) -> FaceMotion:
        """The motion recorded so far."""
        times, numbers, moved, head, pose, blink, places = zip(*self._rows, strict=True)
        return FaceMotion(
            self.person,
            np.array(times),
            np.array(numbers),
            np.stack(moved).astype(np.float32),
            np.stack(head).astype(np.float32),
            np.stack(pose).astype(np.float32),
            np.array(blink, np.float32),
            np.stack(places),
        )

    def _start_key(self, crop: np.ndarray, time: Seconds, moved: np.ndarray, anchor: np.ndarray) -> None:
        self._key, self._key_time, self._key_moved, self._anchor = crop, time, moved, anchor

    def _steadied(self, place: np.ndarray, time: Seconds) -> np.ndarray:
        if self._place is None:
            return place
        share = 1 - np.exp(-(time - self.seen) / _STEADY)
        steadied: np.ndarray = self._place + share * (place - self._place)
        return steadied


def gray_crop(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The crop (SIZE, SIZE) uint8 that ``place`` (2, 3) cuts out of an RGB image: luma (ITU-R BT.601)."""
    return np.asarray(cv2.cvtColor(warp(image, place, SIZE, fine=True), cv2.COLOR_RGB2GRAY))


def cell_means(flow: np.ndarray) -> np.ndarray:
    """Mean flow in each followed area: (C, 2) float32 of (SIZE, SIZE, 2)."""
    count = SIZE // CELL
    means = cv2.resize(flow, (count, count), interpolation=cv2.INTER_AREA)
    rows, columns = (CORNERS // CELL).T
    picked: np.ndarray = means[rows, columns]
    return picked
