"""478 face landmarks and a presence score from a region of an image.

Source: MediaPipe's Face Landmarker; the regions follow its graphs. Grishchenko et al., "Attention Mesh:
High-fidelity Face Mesh Prediction in Real-time", 2020 (https://arxiv.org/abs/2006.10962).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmemo.faces.detector import Detection
from mmemo.faces.landmarks import COUNT, LEFT_EYE_OUTER, RIGHT_EYE_OUTER, box_of
from mmemo.faces.model import LANDMARKS, network
from mmemo.faces.warp import invert, similarity, transform, warp

INPUT = 256
OUTSIDE = 128
"""Gray level shown to the models beyond the image's border. In tight crops of faces (FER2013) plain gray detects 95%,
the repeated border that MediaPipe uses 83 to 89%: its streaks look like hair and hands."""


@dataclass(frozen=True)
class Region:
    """A turned square of an image that holds one face, upright within it.

    Attributes:
        x, y: its middle in pixels of the image.
        side: in pixels.
        angle: in radians; positive where the head leans to the right of the picture (clockwise).
    """

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def of_detection(cls, detection: Detection, scale: float = 1.5) -> Region:
        """Around a detected box, upright by the eyes."""
        first, second = detection.keypoints[:2]
        return cls._around(detection.box, first, second, scale)

    @classmethod
    def of_landmarks(cls, landmarks: np.ndarray, scale: float = 1.5) -> Region:
        """Around landmarks (478, 2 or 3), upright by the outer eye corners: the region to use in the next frame."""
        first, second = landmarks[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER], :2].astype(np.float64)
        return cls._around(box_of(landmarks).astype(np.float64), first, second, scale)

    @classmethod
    def _around(cls, box: np.ndarray, first: np.ndarray, second: np.ndarray, scale: float) -> Region:
        x, y = (box[:2] + box[2:]) / 2
        side = float((box[2:] - box[:2]).max()) * scale
        dx, dy = second - first
        return cls(float(x), float(y), max(side, 1.0), float(np.arctan2(dy, dx)))

    def matrix(self, size: int = INPUT) -> np.ndarray:
        """The (2, 3) similarity from image to a square of ``size`` pixels."""
        return similarity(size / self.side, -self.angle, (self.x, self.y), (size / 2, size / 2))


@dataclass(frozen=True, eq=False)
class Mesh:
    """Landmarks of the face in one region.

    Attributes:
        landmarks: (478, 3) float32: x, y in pixels of the image; z in the same scale, growing away from the viewer.
        presence: the probability that there is a face, 0 to 1.
        score: of the detector where it detected the face, the mean if twice; 0 where it did not look.
    """

    landmarks: np.ndarray
    presence: float
    score: float = 0.0


class FaceLandmarker:
    """The landmark model.

    Args:
        threads: CPU threads of one run.
    """

    def __init__(self, threads: int = 1) -> None:
        self._network = network(LANDMARKS, threads)

    def locate(self, image: np.ndarray, region: Region) -> Mesh:
        """Landmarks of the face in a region of an RGB image (H, W, 3) uint8.

        Raises:
            WeightsError: if the model is missing or damaged.
        """
        matrix = region.matrix()
        raw, presence = self._network(warp(image, matrix, INPUT, outside=OUTSIDE)[None])
        points = raw.reshape(COUNT, 3).astype(np.float64)
        landmarks = np.empty((COUNT, 3), np.float32)
        landmarks[:, :2] = transform(invert(matrix), points[:, :2])
        landmarks[:, 2] = points[:, 2] * (region.side / INPUT)
        return Mesh(landmarks, float(1 / (1 + np.exp(-np.float64(presence.item())))))
