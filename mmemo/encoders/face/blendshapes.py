"""Interpretable face encoder: a small network on 52 blendshapes, the head's pose and its movement.

It takes no pixels: its features read like "the corners of the mouth are up, the cheeks squint". It is the worked
example of `docs/how_to/add_an_encoder.md`, and needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.face.frames import FaceFrameEncoder
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError, LabelError, WeightsError
from mmemo.evidence import FaceEvidence
from mmemo.faces import BLENDSHAPES
from mmemo.labels import LabelSet

KIND = "blendshape-encoder"
FEATURES = (*BLENDSHAPES, "yaw", "pitch", "roll", "right", "down", "nearer")
"""Names of the 58 values of a frame. Blendshapes 0 to 1; angles in degrees; the last three are the face's offset from
its median position in the window, in widths of the face, and the logarithm of its relative size; 0 in a still image."""
_MIRRORED = np.array(
    [FEATURES.index(name.replace("Left", "?").replace("Right", "Left").replace("?", "Right")) for name in FEATURES],
    dtype=np.intp,
)
_SIGNS = np.array([-1.0 if name in ("yaw", "roll", "right") else 1.0 for name in FEATURES], np.float32)
_PARTS = ("mean", "scale", "weight1", "bias1", "weight2", "bias2")


def features(face: FaceEvidence) -> np.ndarray:
    """Features (N, 58) float32 of the N frames of one face, in the order of `FEATURES`."""
    box = face.box.astype(np.float64)
    middle, width = (box[:, :2] + box[:, 2:]) / 2, np.maximum(box[:, 2] - box[:, 0], 1e-6)
    median = np.median(width)
    moved = (middle - np.median(middle, axis=0)) / median
    nearer = np.log(width / median)[:, None]
    return np.concatenate([face.blendshapes, face.pose, moved, nearer], axis=1, dtype=np.float32)


def mirror(values: np.ndarray) -> np.ndarray:
    """Features (…, 58) of the mirror image: left and right are exchanged, the head turns and leans the other way."""
    return np.asarray(values[..., _MIRRORED] * _SIGNS, np.float32)


class BlendshapeEncoder(FaceFrameEncoder):
    """Encoder of blendshapes and head pose (see `mmemo.encoders.base.Encoder`).

    A token is the hidden layer of one frame.

    Args:
        weights: of a network with one hidden layer: ``mean`` and ``scale`` (58,), which is subtracted from the features
            and multiplied with them; ``weight1`` (58, D), ``bias1`` (D,), ``weight2`` (D, K), ``bias2`` (K,).
        labels: its K classes.
        modality: "blendshapes" beside another face encoder; "face" to take its place.
        frames: highest number of frames of one window that are encoded.
        floor: frames of a lower quality are not encoded.
        card: whatever else belongs into the ``config.json`` of the weights: corpora, split, scores.

    Raises:
        ArgumentError: if the weights don't fit together.

    >>> import numpy as np
    >>> from mmemo.encoders.face.blendshapes import FEATURES, BlendshapeEncoder
    >>> from mmemo.labels import EKMAN7
    >>> shapes = {"mean": 58, "scale": 58, "weight1": (58, 4), "bias1": 4, "weight2": (4, 7), "bias2": 7}
    >>> encoder = BlendshapeEncoder({name: np.zeros(shape) for name, shape in shapes.items()}, EKMAN7)
    >>> encoder.encode([np.zeros((3, len(FEATURES) + 1), np.float32)]).tokens.shape
    (1, 3, 4)
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
        super().__init__(labels, hidden, (len(FEATURES),), frames=frames, floor=floor, modality=modality)
        self.card = dict(card or {})
        self._weights = {name: np.asarray(weights[name], np.float32) for name in _PARTS}

    def _inputs(self, face: FaceEvidence, chosen: np.ndarray) -> np.ndarray:
        """(T, 58), whose movement is that within the whole window."""
        inputs: np.ndarray = features(face)[chosen]
        return inputs

    def _score(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Hidden layer and log scores, each the mean over the face and its mirror image."""
        w, values = self._weights, np.concatenate(windows)
        both = np.stack([values, mirror(values)])
        hidden = np.maximum((both - w["mean"]) * w["scale"] @ w["weight1"] + w["bias1"], 0).mean(axis=0)
        return hidden, np.asarray(log_softmax(hidden @ w["weight2"] + w["bias2"]))

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` (float32) into ``folder``."""
        config = {
            **self.card,
            "kind": KIND,
            "labels": self.labels.to_config(),
            "modality": self.modality,
            "features": list(FEATURES),
            "frames": self.frames,
            "floor": self.floor,
        }
        return save_checkpoint(folder, config, self._weights)

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
            return cls(checkpoint.tensors, LabelSet.from_config(config["labels"]), **settings, card=config)
        except (KeyError, ArgumentError, LabelError) as error:
            raise WeightsError(f"{folder} does not hold a blendshape encoder of this version: {error}") from None
