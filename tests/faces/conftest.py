"""Real pictures for the tests of faces: NASA's portrait of Eileen Collins (public domain) and what can be made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data

from mmemo.faces.search import FaceSearch

Frames = Iterator[tuple[float, np.ndarray]]


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """(512, 512, 3) uint8: one face of 41 pixels between the eyes, at about (225, 125), that smiles."""
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def search() -> FaceSearch:
    return FaceSearch()


@pytest.fixture(scope="session")
def stage(portrait: np.ndarray) -> Callable[..., np.ndarray]:
    """Make a (360, 640, 3) picture with a wall and the portrait's head, of 160 pixels, at each of the given places.

    ``lean`` turns the heads by degrees, ``mirror`` flips those whose index is named.
    """
    head = portrait[10:240, 110:340]
    wall = cv2.resize(skimage.data.brick(), (640, 360))[..., None].repeat(3, axis=2) // 3 + 90

    def make(*places: tuple[float, float], side: int = 160, mirror: tuple[int, ...] = ()) -> np.ndarray:
        picture = wall.copy()
        for index, (x, y) in enumerate(places):
            face = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
            if index in mirror:
                face = np.clip(face[:, ::-1].astype(np.float32) * 0.7, 0, 255).astype(np.uint8)
            left, top = round(x - side / 2), round(y - side / 2)
            x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, 640), min(top + side, 360)
            if x0 < x1 and y0 < y1:
                picture[y0:y1, x0:x1] = face[y0 - top : y1 - top, x0 - left : x1 - left]
        return picture

    return make


@pytest.fixture(scope="session")
def frames() -> Callable[[Path], Frames]:
    """Decode a clip: time in seconds and RGB picture of every frame."""

    def decode(path: Path) -> Frames:
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(container.streams.video[0])):
                time = float(frame.time) if frame.time is not None else index / 25
                yield time, frame.to_ndarray(format="rgb24")

    return decode
