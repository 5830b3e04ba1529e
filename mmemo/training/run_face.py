"""The face of an exported model, without mmemo: ``python run.py PICTURE_OR_VIDEO`` prints its scores as JSON.

`mmemo.training.export_onnx.export_model` copies this file beside the networks. It takes NumPy, OpenCV and ONNX Runtime,
and follows the one clearest face of a video; several people, windows, voice and words take mmemo.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime


class FaceModel:
    """What finds a face, and what scores it; ``run.json`` says how pictures are prepared."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        paths = self.settings["networks"]
        self.detector, self.landmarks, self.classifier = (
            _network(folder / paths[name]) for name in ("detector", "landmarks", "classifier")
        )

    def __call__(self, path: str) -> dict[str, float]:
        """Share of each label for the face of a picture or video: the mean log scores of up to 15 frames a second."""
        found, known = [], None
        for picture in _pictures(path, self.settings["rate"]):
            image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            known = self.detect(image) if known is None else known
            if known is None:
                continue
            points, presence = self.locate(image, *known)
            known = None
            if presence > 0.5:
                found.append(self.log_scores(self.align(image, points)))
                known = np.array([points.min(axis=0), points.max(axis=0)]), points[self.settings["eyes"]]
        if not found:
            raise SystemExit(f"{path}: there is no face in it, or it can't be read.")
        mean = np.mean(found, axis=0)
        shares = np.exp(mean - mean.max())
        return dict(zip(self.settings["labels"], (shares / shares.sum()).round(5).tolist(), strict=True))

    def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Box (2, 2) and eyes (2, 2) of the clearest face of an RGB image, in pixels; None without one. BlazeFace."""
        height, width = image.shape[:2]
        side, middle = max(height, width), np.array([(width - 1) / 2, (height - 1) / 2])
        ticks = [np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2), -1).reshape(-1, 2) for n in (16, 8)]
        anchors = np.concatenate([np.repeat(ticks[0], 2, axis=0), np.repeat(ticks[1], 6, axis=0)])
        raw, logits = self.detector(_cut(image, _similarity(128 / side, 0, middle, (63.5, 63.5)), 128)[None])
        scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1), -50, 50)))
        values = raw[0] / 128
        centers, best = values[:, :2] + anchors, scores.argmax()
        if scores[best] < self.settings["min_score"]:
            return None
        same = np.linalg.norm(centers - centers[best], axis=1) < values[best, 2] / 2
        same &= scores >= self.settings["min_score"]
        points = np.stack([centers - values[:, 2:4] / 2, centers + values[:, 2:4] / 2], axis=1)
        points = np.concatenate([points, values[:, 4:8].reshape(-1, 2, 2) + anchors[:, None]], axis=1)
        pixels = (np.average(points[same], axis=0, weights=scores[same]) - 0.5) * side + middle
        return pixels[:2], pixels[2:]

    def locate(self, image: np.ndarray, box: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, float]:
        """Landmarks (478, 2) of the face in a box, and the probability that there is one."""
        side, (dx, dy) = 1.5 * float(np.ptp(box, axis=0).max()), eyes[1] - eyes[0]
        matrix = _similarity(256 / side, -np.arctan2(dy, dx), box.mean(axis=0), (128, 128))
        raw, presence = self.landmarks(_cut(image, matrix, 256)[None])
        points = (raw.reshape(478, 3)[:, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        return points, float(1 / (1 + np.exp(-presence.item())))

    def align(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The gray crop (S, S) as in training: landmarks go to their places by weighted least squares (Umeyama)."""
        anchors, crop, size = self.settings["anchors"], self.settings["crop"], self.settings["size"]
        weights = np.array(anchors["weights"]) / np.sum(anchors["weights"])
        source, target = points[anchors["landmarks"]], np.array(anchors["places"]) * crop - 0.5
        from_middle, to_middle = weights @ source, weights @ target
        u, v = (source - from_middle) @ (1, 1j), (target - to_middle) @ (1, 1j)
        factor = (weights * u.conj()) @ v / (weights @ abs(u) ** 2)
        matrix = _similarity(abs(factor), np.angle(factor), from_middle, to_middle)
        gray = cv2.cvtColor(_cut(image, matrix, crop, cv2.BORDER_REPLICATE), cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.resize(gray, (size, size), interpolation=cv2.INTER_AREA), np.float32) / 255

    def log_scores(self, crop: np.ndarray) -> np.ndarray:
        """Log scores (K,) of a crop: the mean over its views, calibrated, without the habits of the training data."""
        middle, turn = (len(crop) - 1) / 2, self.settings["turn"]
        turns = [cv2.getRotationMatrix2D((middle, middle), angle, 1.0) for angle in {turn, -turn}]
        views = [cv2.warpAffine(crop, one, crop.shape, borderMode=cv2.BORDER_REPLICATE) for one in turns]
        logits = self.classifier(np.stack(views)[:, None])[1]
        if self.settings["mirror"]:
            logits = (logits + self.classifier(np.stack([view[:, ::-1] for view in views])[:, None])[1]) / 2
        scores = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).mean(axis=0)
        return np.asarray(scores / self.settings["temperature"] - np.log(self.settings["prior"]))


def _pictures(path: str, rate: float) -> Iterator[np.ndarray]:
    """A picture, or the frames of a video, at most about so many a second."""
    picture, due = cv2.imread(path), 0.0
    if picture is not None:
        yield picture
        return
    video = cv2.VideoCapture(path)
    while video.grab():
        time = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if time >= due:
            due = time + 0.9 / rate
            yield video.retrieve()[1]


def _network(path: Path) -> Callable[[np.ndarray], list[np.ndarray]]:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait would keep cores busy
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, {name: batch})
        return outputs

    return run


def _similarity(scale: float, angle: float, source: Any, target: Any) -> np.ndarray:
    """The (2, 3) transform that scales, turns, and takes one point to another."""
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, np.array(target) - linear @ source])


def _cut(image: np.ndarray, matrix: np.ndarray, size: int, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """The square piece of an image that a transform shows; it shrinks by the mean. Gray, or repeated, at the rim."""
    factor = max(1, int(np.ceil(1 / np.hypot(*matrix[:, 0]))))
    large = matrix * factor
    large[:, 2] += (factor - 1) / 2
    side, gray = (size * factor, size * factor), (128, 128, 128)
    square = cv2.warpAffine(image, large, side, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=gray)
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    print(json.dumps(FaceModel(Path(__file__).parent)(sys.argv[1]), indent=2))
