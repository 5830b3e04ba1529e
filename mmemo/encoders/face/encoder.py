"""The default face encoder: a small CNN on gray aligned crops, one token a frame."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import cv2
import numpy as np
import torch

from mmemo.checkpoint import checkpoint_kind, load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoder
from mmemo.encoders.face.frames import Doubt, FaceFrameEncoder
from mmemo.encoders.face.network import FaceArchitecture, FaceNetwork
from mmemo.encoders.face.sequence_network import SequenceNetwork
from mmemo.errors import ArgumentError, LabelError, WeightsError
from mmemo.evidence import FaceEvidence
from mmemo.labels import LabelSet

CHUNK = 64
"""Crops that go through the network at once: more gains no speed on a CPU and costs memory."""
_NO_DOUBT = Doubt()
Network = TypeVar("Network", FaceNetwork, SequenceNetwork)


class GrayCropEncoder(FaceFrameEncoder, Generic[Network]):
    """Base of the encoders around a network on gray crops; for the arguments see `FaceEncoder`."""

    kind: ClassVar[str]

    def __init__(
        self,
        network: Network,
        labels: LabelSet,
        *,
        frames: int = 8,
        floor: float = 0.05,
        mirror: bool = True,
        doubt: Doubt = _NO_DOUBT,
        device: str = "cpu",
        card: dict[str, Any] | None = None,
    ) -> None:
        if network.classes != len(labels):
            raise ArgumentError(
                f"{type(self).__name__}: the network has {network.classes} classes, "
                f"{labels.name} has {len(labels)} labels."
            )
        self.size = network.size
        super().__init__(labels, network.dim, (1, self.size, self.size), frames=frames, floor=floor, doubt=doubt)
        self.mirror, self.device, self.card = mirror, device, dict(card or {})
        self.network: Network = network.eval().to(device)
        self._fast: Network = self._faster(self.network)

    @staticmethod
    def _faster(network: Network) -> Network:
        """A network of the same values for inference."""
        return network

    @staticmethod
    def _build(architecture: dict[str, Any]) -> Network:
        """An untrained network of a saved architecture."""
        raise NotImplementedError

    def _inputs(self, face: FaceEvidence, chosen: np.ndarray) -> np.ndarray:
        """(T, 1, S, S) gray crops."""
        return gray_crops(face.crops[chosen], self.size)[:, None]

    def _forward(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (…, D) and log scores (…, K) of images (…, 1, S, S)."""
        with torch.inference_mode():
            inputs = torch.from_numpy(images).to(self.device)
            features, logits = self._fast(inputs)
            if self.mirror:
                mirrored_features, mirrored_logits = self._fast(inputs.flip(-1))
                features, logits = (features + mirrored_features) / 2, (logits + mirrored_logits) / 2
            return features.float().cpu().numpy(), torch.log_softmax(logits.float(), dim=-1).cpu().numpy()

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` (matrices in float16) into ``folder``."""
        config = {
            **self.card,
            "kind": self.kind,
            "labels": self.labels.to_config(),
            "architecture": self.network.architecture.to_dict(),
            "frames": self.frames,
            "floor": self.floor,
            "mirror": self.mirror,
            "doubt": asdict(self.doubt or _NO_DOUBT),
        }
        tensors = {}
        for name, tensor in self.network.state_dict().items():
            # Vectors stay as they are: a batch norm's variance may be too small for float16.
            array = tensor.detach().float().cpu().numpy()
            tensors[name] = array.astype(np.float16) if array.ndim > 1 else array
        return save_checkpoint(folder, config, tensors)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Self:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no checkpoint.
            WeightsError: if it is damaged, or not one of this encoder.
        """
        checkpoint = load_checkpoint(folder, cls.kind)
        config = checkpoint.config
        try:
            network = cls._build(config["architecture"])
            labels = LabelSet.from_config(config["labels"])
            settings = {name: config[name] for name in ("frames", "floor", "mirror")}
            settings["doubt"] = Doubt(**config.get("doubt", {}))
            network.load_state_dict({n: torch.from_numpy(a).float() for n, a in checkpoint.tensors.items()})
        except (KeyError, TypeError, RuntimeError, LabelError) as error:
            raise WeightsError(f"{folder} does not hold a {cls.__name__} of this version: {error}") from None
        return cls(network, labels, **settings, device=device, card=config)


class FaceEncoder(GrayCropEncoder[FaceNetwork]):
    """Encoder of the modality "face" (see `mmemo.encoders.base.Encoder`): a CNN that scores crops one by one.

    Args:
        network: trained on inputs made by `gray_crops`.
        labels: its classes, in the order of its logits.
        frames: highest number of crops of one window that are encoded.
        floor: crops of a lower quality are not encoded.
        mirror: score each crop and its mirror image and take the mean; twice the work, a little more accurate.
        doubt: flattening of the scores where the quality is low.
        device: of torch: "cpu", "cuda", "mps" …
        card: whatever else belongs into the ``config.json`` of the weights: corpora, split, scores.

    Raises:
        ArgumentError: if labels and network differ in the number of classes.

    >>> from mmemo.encoders.face.encoder import FaceEncoder
    >>> from mmemo.encoders.face.network import FaceArchitecture, FaceNetwork
    >>> from mmemo.labels import EKMAN7
    >>> network = FaceNetwork(FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1)))
    >>> encoder = FaceEncoder(network, EKMAN7, frames=4)
    >>> encoder.modality, encoder.dim, encoder.labels.name
    ('face', 16, 'ekman7')
    >>> encoder.save("my-face").name
    'my-face'
    >>> FaceEncoder.load("my-face").frames
    4
    """

    kind = "face-encoder"

    @staticmethod
    def _faster(network: FaceNetwork) -> FaceNetwork:
        return copy.deepcopy(network).fold_batchnorm()

    @staticmethod
    def _build(architecture: dict[str, Any]) -> FaceNetwork:
        return FaceNetwork(FaceArchitecture.from_dict(architecture))

    @staticmethod
    def from_pretrained(name_or_path: str | Path, **settings: Any) -> Encoder:
        """A face encoder from any checkpoint: of mmemo, of Hugging Face (image classification), or an ONNX file.

        Args:
            name_or_path: a folder that `save` or a recipe wrote, a folder with a Hugging Face checkpoint, an ``.onnx``
                file, or the name of a checkpoint on the Hugging Face Hub. Only such a name makes mmemo use the network.
            settings: ``device``; for a checkpoint of another project, what
                `mmemo.encoders.face.backbone.load_image_backbone` takes: the meaning of its labels, above all.

        Raises:
            UnknownModelError: if there is nothing of that name.
            WeightsError: if it is damaged, or no image classifier.
            LabelError: if the meaning of its labels is not known.
            MissingExtraError: if transformers or onnxruntime is needed and not installed.
        """
        if checkpoint_kind(name_or_path) == FaceEncoder.kind:
            return FaceEncoder.load(name_or_path, **settings)
        from mmemo.encoders.external import SETTINGS
        from mmemo.encoders.face.backbone import ImageBackboneEncoder, load_image_backbone

        if (Path(name_or_path).expanduser() / SETTINGS).is_file():
            return ImageBackboneEncoder.load(Path(name_or_path).expanduser(), **settings)
        return load_image_backbone(name_or_path, **settings)

    def head_logits(self, tokens: np.ndarray) -> np.ndarray:
        """Logits of each head of the network (…, H, K), in the order of `labels`, from tokens (…, D).

        The scores of a crop are the mean over its heads. The embedded weights have two heads: the first was trained on
        the labels of FER2013, the second on the votes of FER+.
        """
        with torch.inference_mode():
            flat = torch.from_numpy(np.ascontiguousarray(tokens.reshape(-1, self.dim), np.float32)).to(self.device)
            logits: np.ndarray = self._fast.head_logits(flat).float().cpu().numpy()
        return logits.reshape(*tokens.shape[:-1], *logits.shape[1:])

    def _run(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        images = np.concatenate(windows)
        parts = [self._forward(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
        features, scores = zip(*parts, strict=True)
        return np.concatenate(features), np.concatenate(scores)


def gray_crops(crops: np.ndarray, size: int) -> np.ndarray:
    """Network input from aligned crops: luma (ITU-R BT.601), resized by area interpolation.

    Args:
        crops: (N, H, H, 3) uint8 RGB.
        size: S in pixels.

    Returns:
        (N, S, S) float32, black 0 and white 1. The contrast is normalized by the network itself.
    """
    gray = np.empty((len(crops), size, size), np.float32)
    for row, crop in enumerate(crops):
        luma = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
        gray[row] = cv2.resize(luma, (size, size), interpolation=cv2.INTER_AREA)
    return gray / np.float32(255)
