"""A face encoder that explains itself: 52 blendshapes, the head's pose and its movement, and a small network on them.

It sees no pixels: what it goes by can be read as "the corners of the mouth are up, the cheeks squint". It is the worked
example of `docs/how_to/add_an_encoder.md`, and needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.encoders.face.frames import choose_frames, pool_frames
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.faces import BLENDSHAPES
from mmemo.labels import LABEL_SETS, LabelSet
from mmemo.softmax import log_softmax

KIND = "blendshape-encoder"
FEATURES = (*BLENDSHAPES, "yaw", "pitch", "roll", "right", "down", "nearer")
"""Names of the 58 values of a frame. Blendshapes 0 to 1; angles in degrees; the last three are the face's movement
against the middle of the window, in widths of the face, and the logarithm of its size: zero in a still image."""
_MIRRORED = np.array(
    [FEATURES.index(name.replace("Left", "?").replace("Right", "Left").replace("?", "Right")) for name in FEATURES],
    dtype=np.intp,
)
_SIGNS = np.array([-1.0 if name in ("yaw", "roll", "right") else 1.0 for name in FEATURES], np.float32)
_PARTS = ("mean", "scale", "weight1", "bias1", "weight2", "bias2")


def features(face: FaceEvidence) -> np.ndarray:
    """(N, 58) float32 of the N frames of one face, in the order of `FEATURES`."""
    box = face.box.astype(np.float64)
    middle, width = (box[:, :2] + box[:, 2:]) / 2, np.maximum(box[:, 2] - box[:, 0], 1e-6)
    usual = np.median(width)
    moved = (middle - np.median(middle, axis=0)) / usual
    nearer = np.log(width / usual)[:, None]
    return np.concatenate([face.blendshapes, face.pose, moved, nearer], axis=1, dtype=np.float32)


def mirror(values: np.ndarray) -> np.ndarray:
    """Features (…, 58) of the mirror image: left and right are exchanged, the head turns and leans the other way."""
    return np.asarray(values[..., _MIRRORED] * _SIGNS, np.float32)


class BlendshapeEncoder:
    """Encoder of blendshapes and head pose (see `mmemo.encoders.base.Encoder`).

    Args:
        weights: of a network with one hidden layer: ``mean`` and ``scale`` (58,), which the features are multiplied by
            after the mean is taken off; ``weight1`` (58, D), ``bias1`` (D,), ``weight2`` (D, K), ``bias2`` (K,).
        labels: its K classes.
        modality: "blendshapes" beside another face encoder; "face" to take its place.
        frames: the most frames of one window that are looked at.
        floor: frames of a lower quality are not looked at.
        card: what else its weights' ``config.json`` says: corpora, split, scores.

    Raises:
        ArgumentError: if the weights don't fit together.
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        labels: LabelSet,
        *,
        modality: str = "blendshapes",
        frames: int = 8,
        floor: float = 0.05,
        card: dict[str, Any] | None = None,
    ) -> None:
        shapes = {name: np.shape(weights[name]) for name in _PARTS if name in weights}
        hidden = shapes.get("bias1", (0,))[0]
        wanted = ((len(FEATURES),), (len(FEATURES),), (len(FEATURES), hidden), (hidden,), (hidden, len(labels)))
        if shapes != dict(zip(_PARTS, (*wanted, (len(labels),)), strict=True)):
            raise ArgumentError(
                f"BlendshapeEncoder: expected {_PARTS} for {len(FEATURES)} features and {len(labels)} labels, "
                f"got the shapes {shapes}."
            )
        self.modality, self.labels, self.dim = modality, labels, hidden
        self.frames, self.floor, self.card = frames, floor, dict(card or {})
        self._weights = {name: np.asarray(weights[name], np.float32) for name in _PARTS}

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(T, 59) float32: the features of up to ``frames`` frames, and their quality. None without a usable face."""
        face = evidence.face
        if face is None:
            return None
        chosen = choose_frames(face.times, face.quality, self.frames, self.floor)
        if not len(chosen):
            return None
        return np.column_stack([features(face)[chosen], face.quality[chosen]])

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Tokens are the hidden layer, one a frame; logits the mean of the frames' log scores, weighted by quality.

        Raises:
            ArgumentError: if the batch is empty, or a window is not of the shape that `prepare` gives.
        """
        if not len(batch) or any(w.ndim != 2 or not len(w) or w.shape[1] != len(FEATURES) + 1 for w in batch):
            raise ArgumentError(
                f"BlendshapeEncoder.encode: expected one or more windows (T, {len(FEATURES) + 1}), "
                f"got {[window.shape for window in batch]}."
            )
        hidden, scores = self._run(np.concatenate([window[:, :-1] for window in batch]))
        return pool_frames(hidden, log_softmax(scores), [window[:, -1] for window in batch])

    def _run(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden layer (M, D) and logits (M, K) of M frames, each the mean over the face and its mirror image."""
        w = self._weights
        both = np.stack([values, mirror(values)])
        hidden = np.maximum((both - w["mean"]) * w["scale"] @ w["weight1"] + w["bias1"], 0).mean(axis=0)
        return hidden, hidden @ w["weight2"] + w["bias2"]

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` (float32) into ``folder``."""
        settings = {
            **self.card,
            "kind": KIND,
            "labels": self.labels.name,
            "modality": self.modality,
            "features": list(FEATURES),
            "frames": self.frames,
            "floor": self.floor,
        }
        return save_checkpoint(folder, settings, self._weights)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> BlendshapeEncoder:  # noqa: ARG003 - as every encoder has it
        """Read what `save` wrote. It runs on the CPU, whatever ``device`` is: there is nothing to speed up.

        Raises:
            UnknownModelError: if there is no checkpoint.
            WeightsError: if it is damaged, or not one of this encoder.
        """
        checkpoint = load_checkpoint(folder, KIND)
        config = checkpoint.config
        try:
            settings = {name: config[name] for name in ("modality", "frames", "floor")}
            return cls(checkpoint.tensors, LABEL_SETS[config["labels"]], **settings, card=config)
        except (KeyError, ArgumentError) as error:
            raise WeightsError(f"{folder} does not hold a blendshape encoder of this version: {error}") from None
