"""Face detection: BlazeFace (short range) on a square view of an image.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019
(https://arxiv.org/abs/1907.05047); anchors and weighted suppression as in MediaPipe's face detector graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mmemo.faces.model import DETECTOR, network
from mmemo.faces.warp import similarity, warp

INPUT = 128
OUTSIDE = 128  # gray level beyond the image's border; MediaPipe's black hides dark hair and costs faces in tight crops
MIN_SCORE = 0.5
MIN_OVERLAP = 0.3  # intersection over union above which two boxes are the same face
_BATCH = 8  # views of one run: more are no faster, and take more memory


@dataclass(frozen=True)
class View:
    """A square of an image, in pixels, that the detector looks at; it may reach beyond the image.

    A face is detected if its height is between about a sixth and the whole of the view's side, and its roll within
    some 45 degrees of ``turn`` quarter turns, clockwise.
    """

    left: float
    top: float
    side: float
    turn: int = 0

    @property
    def corner(self) -> tuple[float, float]:
        """The corner of the square that is the upper left one of the detector's input, in pixels."""
        right, down = ((0, 0), (1, 0), (1, 1), (0, 1))[self.turn]
        return self.left - 0.5 + right * self.side, self.top - 0.5 + down * self.side

    def matrix(self) -> np.ndarray:
        """The (2, 3) transform from the image to the detector's input, in pixels whose centers are whole."""
        return similarity(INPUT / self.side, -self.turn * np.pi / 2, self.corner, (-0.5, -0.5))

    def pixels(self, shares: np.ndarray) -> np.ndarray:
        """Points (N, 2) in shares of the detector's input, as pixels of the image."""
        for _ in range(self.turn):
            shares = np.stack([-shares[:, 1], shares[:, 0]], axis=1)
        placed: np.ndarray = shares * self.side + self.corner
        return placed


@dataclass(frozen=True, eq=False)
class Detection:
    """One detected face.

    Attributes:
        box: (4,) float64: left, top, right, bottom in pixels of the image; brow to chin, ear to ear.
        keypoints: (6, 2) float64: the eye on the left of the picture, the eye on the right, nose tip, mouth,
            and the ears likewise, in pixels of the image.
        score: 0 to 1.
        turn: that of the view it was detected in: the face's roll in quarter turns, clockwise.
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float
    turn: int = 0


class FaceDetector:
    """BlazeFace.

    Args:
        min_score: faces below this score are dropped, 0 to 1.
        threads: CPU threads of one run.
    """

    def __init__(self, min_score: float = MIN_SCORE, threads: int = 1) -> None:
        self.min_score = min_score
        self._network = network(DETECTOR, threads)
        self._anchors = _anchors()

    def detect(self, image: np.ndarray, *views: View) -> list[Detection]:
        """The faces in views of an RGB image (H, W, 3) uint8, view after view, in each the best first.

        Without a view, those in the whole image.

        Raises:
            WeightsError: if the model is missing or damaged.
        """
        views = views or (whole(image),)
        detections = []
        for start in range(0, len(views), _BATCH):
            batch = views[start : start + _BATCH]
            squares = np.stack([warp(image, view.matrix(), INPUT, outside=OUTSIDE) for view in batch])
            for view, raw, logits in zip(batch, *self._network(squares), strict=True):
                detections += self._detections(view, raw, logits)
        return detections

    def _detections(self, view: View, raw: np.ndarray, logits: np.ndarray) -> list[Detection]:
        """The faces of one view, from its boxes (896, 16) and logits (896, 1)."""
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits.reshape(-1).astype(np.float64), -100, 100)))
        keep = np.flatnonzero(scores >= self.min_score)
        if not len(keep):
            return []
        values = raw[keep].astype(np.float64) / INPUT
        centers = self._anchors[keep]
        middle = values[:, :2] + centers
        half = values[:, 2:4] / 2
        keypoints = values[:, 4:].reshape(-1, 6, 2) + centers[:, None]
        points = np.concatenate([(middle - half)[:, None], (middle + half)[:, None], keypoints], axis=1)
        faces = []
        for shares, score in suppress(points, scores[keep]):
            pixels = view.pixels(shares)
            if view.turn:  # another two of its corners are now the left top and the right bottom one
                pixels[:2].sort(axis=0)
            faces.append(Detection(box=pixels[:2].reshape(4), keypoints=pixels[2:], score=score, turn=view.turn))
        return faces


def whole(image: np.ndarray, margin: float = 0.0) -> View:
    """The smallest square around an image, widened on each side by ``margin`` of the image's longer side."""
    height, width = image.shape[:2]
    side = max(height, width) * (1 + 2 * margin)
    return View((width - side) / 2, (height - side) / 2, side)


def suppress(points: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Weighted non-maximum suppression: boxes of the same face are averaged by score, so that they don't jitter.

    Args:
        points: (N, P, 2): left top, right bottom of the box, then keypoints.
        scores: (N,).

    Returns:
        The averaged points (P, 2) and the highest score of each face, best first.
    """
    order = np.argsort(-scores, kind="stable")
    merged = []
    while len(order):
        best = order[0]
        same = overlaps(points[order, :2].reshape(-1, 4), points[best, :2].reshape(4)) > MIN_OVERLAP
        same[0] = True  # a box of no area overlaps nothing, not even itself
        group = order[same]
        merged.append((np.average(points[group], axis=0, weights=scores[group]), float(scores[best])))
        order = order[~same]
    return merged


def overlaps(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union of each of (N, 4) boxes with one (4,) box: (N,) float64."""
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, 2:], box[2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    union = areas + np.clip(box[2:] - box[:2], 0, None).prod() - common
    ratio: np.ndarray = np.divide(common, union, out=np.zeros(len(boxes)), where=union > 0)
    return ratio


@lru_cache(maxsize=1)
def _anchors() -> np.ndarray:
    """Centers of the 896 anchors, (896, 2) float64 in shares of the view: 2 a cell of 16 x 16, 6 a cell of 8 x 8."""
    layers = []
    for cells, anchors in ((16, 2), (8, 6)):
        ticks = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(ticks, ticks, indexing="ij")
        layers.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), anchors, axis=0))
    return np.concatenate(layers)
