"""The face encoder: aligned crops of one window in, one token a frame and class scores out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from mmemo.checkpoint import checkpoint_kind, load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.face.frames import Doubt, choose_frames, pool_frames
from mmemo.encoders.face.network import FaceArchitecture, FaceNetwork
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import Evidence
from mmemo.labels import LABEL_SETS, LabelSet

KIND = "face-encoder"
_NO_DOUBT = Doubt()
CHUNK = 64
"""Crops that go through the network at once: more gains no speed on a CPU and costs memory."""


class FaceEncoder:
    """Encoder of the modality "face" (see `mmemo.encoders.base.Encoder`).

    Args:
        network: trained on inputs made by `gray_crops`.
        labels: its classes, in the order of its logits.
        frames: the most crops of one window that are looked at.
        floor: crops of a lower quality are not looked at.
        mirror: score each crop and its mirror image and take the mean; twice the work, a little more
            accurate.
        doubt: how far scores are flattened where the quality is low.
        device: of torch: "cpu", "cuda", "mps" …
        card: what else its weights' ``config.json`` says: corpora, split, scores.

    Raises:
        ArgumentError: if labels and network don't agree on the number of classes.
    """

    modality = "face"

    def __init__(
        self,
        network: FaceNetwork,
        labels: LabelSet,
        *,
        frames: int = 8,
        floor: float = 0.05,
        mirror: bool = True,
        doubt: Doubt = _NO_DOUBT,
        device: str = "cpu",
        card: dict[str, Any] | None = None,
    ) -> None:
        if network.architecture.classes != len(labels):
            raise ArgumentError(
                f"FaceEncoder: the network has {network.architecture.classes} classes, "
                f"{labels.name} has {len(labels)} labels."
            )
        self.labels = labels
        self.dim = network.dim
        self.size = network.architecture.size
        self.frames, self.floor, self.mirror, self.device = frames, floor, mirror, device
        self.doubt, self.card = doubt, dict(card or {})
        self.network = network.eval()
        self._fast = copy.deepcopy(network).fold_batchnorm().to(device)

    @staticmethod
    def from_pretrained(name_or_path: str | Path, **settings: Any) -> Encoder:
        """A face encoder from any checkpoint: one of ours, of Hugging Face (image classification), or an ONNX file.

        Args:
            name_or_path: a folder that `save` or a recipe wrote, a folder with a Hugging Face checkpoint, an ``.onnx``
                file, or the name of a checkpoint on the Hugging Face Hub. Only such a name makes mmemo use the network.
            settings: ``device``; for a checkpoint of another project, what
                `mmemo.encoders.face.backbone.load_image_backbone` takes: what its labels mean, above all.

        Raises:
            UnknownModelError: if nothing of that name is found.
            WeightsError: if it is damaged, or no image classifier.
            LabelError: if the meaning of its labels is not known.
            MissingExtraError: if transformers or onnxruntime is needed and not installed.
        """
        if checkpoint_kind(name_or_path) == KIND:
            return FaceEncoder.load(name_or_path, **settings)
        from mmemo.encoders.face.backbone import SETTINGS, ImageBackboneEncoder, load_image_backbone

        if (Path(name_or_path).expanduser() / SETTINGS).is_file():
            return ImageBackboneEncoder.load(Path(name_or_path).expanduser(), **settings)
        return load_image_backbone(name_or_path, **settings)

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The crops of one window that the network sees.

        Returns:
            (T, 2, S, S) float32 with T at most ``frames``: plane 0 is the grey crop, black 0 and white 1;
            plane 1 is the crop's quality at every pixel, which `encode` weights it by. None if the window
            has no face, or none of at least the quality ``floor``.
        """
        face = evidence.face
        if face is None:
            return None
        chosen = choose_frames(face.times, face.quality, self.frames, self.floor)
        if not len(chosen):
            return None
        prepared = np.empty((len(chosen), 2, self.size, self.size), np.float32)
        prepared[:, 0] = gray_crops(face.crops[chosen], self.size)
        prepared[:, 1] = face.quality[chosen, None, None]
        return prepared

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows.

        Tokens are the pooled features of each crop. The logits of a window are the mean of its crops' log
        scores, weighted by quality: a product of experts that a few blurred or turned-away frames can't
        outvote.

        Raises:
            ArgumentError: if the batch is empty, or a window is not of the shape that `prepare` gives.
        """
        if not len(batch):
            raise ArgumentError("FaceEncoder.encode: expected at least one window, got an empty batch.")
        for window in batch:
            if window.ndim != 4 or not len(window) or window.shape[1:] != (2, self.size, self.size):
                raise ArgumentError(
                    f"FaceEncoder.encode: expected windows (T, 2, {self.size}, {self.size}), got {window.shape}."
                )
        features, scores = self._run(np.concatenate([window[:, :1] for window in batch]))
        return pool_frames(features, scores, [window[:, 1, 0, 0] for window in batch], self.doubt)

    def readings(self, tokens: np.ndarray) -> np.ndarray:
        """What each head of the network says of tokens (…, D): logits (…, H, K), in the order of `labels`.

        The scores of a crop are their mean. The embedded weights have two heads: the first was trained on the
        labels of FER2013, the second on the votes of FER+.
        """
        with torch.inference_mode():
            flat = torch.from_numpy(np.ascontiguousarray(tokens.reshape(-1, self.dim), np.float32)).to(self.device)
            said: np.ndarray = self._fast.readings(flat).float().cpu().numpy()
        return said.reshape(*tokens.shape[:-1], *said.shape[1:])

    def _run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, D) and log scores (N, K) of images (N, 1, S, S)."""
        features, scores = [], []
        with torch.inference_mode():
            for start in range(0, len(images), CHUNK):
                chunk = torch.from_numpy(images[start : start + CHUNK]).to(self.device)
                feature, logit = self._fast(chunk)
                if self.mirror:
                    other_feature, other_logit = self._fast(chunk.flip(3))
                    feature, logit = (feature + other_feature) / 2, (logit + other_logit) / 2
                features.append(feature.float().cpu().numpy())
                scores.append(torch.log_softmax(logit.float(), dim=1).cpu().numpy())
        return np.concatenate(features), np.concatenate(scores)

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` (matrices in float16) into ``folder``."""
        settings = {
            **self.card,
            "kind": KIND,
            "labels": self.labels.name,
            "architecture": self.network.architecture.to_dict(),
            "frames": self.frames,
            "floor": self.floor,
            "mirror": self.mirror,
            "doubt": asdict(self.doubt),
        }
        tensors = {}
        for name, tensor in self.network.state_dict().items():
            # Vectors stay as they are: a batch norm's variance may be too small for float16.
            array = tensor.detach().float().cpu().numpy()
            tensors[name] = array.astype(np.float16) if array.ndim > 1 else array
        return save_checkpoint(folder, settings, tensors)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> FaceEncoder:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no checkpoint.
            WeightsError: if it is damaged, or not one of a face encoder.
        """
        checkpoint = load_checkpoint(folder, KIND)
        config = checkpoint.config
        try:
            network = FaceNetwork(FaceArchitecture.from_dict(config["architecture"]))
            labels = LABEL_SETS[config["labels"]]
            settings = {name: config[name] for name in ("frames", "floor", "mirror")}
            settings["doubt"] = Doubt(**config.get("doubt", {}))
            network.load_state_dict({n: torch.from_numpy(a).float() for n, a in checkpoint.tensors.items()})
        except (KeyError, TypeError, RuntimeError) as error:
            raise WeightsError(f"{folder} does not hold a face encoder of this version: {error}") from None
        return cls(network, labels, **settings, device=device, card=config)


def gray_crops(crops: np.ndarray, size: int) -> np.ndarray:
    """Aligned crops as the network takes them: luma (ITU-R BT.601), area interpolation.

    Args:
        crops: (N, H, H, 3) uint8 RGB.
        size: S in pixels.

    Returns:
        (N, S, S) float32, black 0 and white 1. The contrast is normalised by the network itself.
    """
    gray = np.empty((len(crops), size, size), np.float32)
    for row, crop in enumerate(crops):
        luma = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
        gray[row] = cv2.resize(luma, (size, size), interpolation=cv2.INTER_AREA)
    return gray / np.float32(255)
