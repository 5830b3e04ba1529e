"""The default face encoder: a small CNN on gray aligned crops, one token a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import cv2
import numpy as np

from mmemo.checkpoint import Checkpoint, checkpoint_kind
from mmemo.document import Count, from_document
from mmemo.encoders.base import Encoder
from mmemo.encoders.face.architecture import FaceArchitecture, SequenceArchitecture
from mmemo.encoders.face.frames import NO_DOUBT, Doubt, FaceFrameEncoder
from mmemo.encoders.network_classifier import ExportedNetwork, NetworkClassifier, Parts
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError
from mmemo.evidence import FaceEvidence
from mmemo.labels import LabelSet

if TYPE_CHECKING:
    from mmemo.encoders.face.network import FaceNetwork
    from mmemo.encoders.face.sequence_network import SequenceNetwork

CHUNK = 64
"""Pictures that go through the network at once: more gains no speed on a CPU and costs memory."""
Network = TypeVar("Network", "FaceNetwork", "SequenceNetwork")


@dataclass(frozen=True)
class _Settings:
    """What a checkpoint says beside the network."""

    frames: Count
    floor: float
    mirror: bool
    turn: float = 0.0
    doubt: Doubt = NO_DOUBT


class GrayCropEncoder(FaceFrameEncoder, NetworkClassifier[Network]):
    """Base of the encoders around a network on gray crops; for the arguments see `FaceEncoder`."""

    def __init__(
        self,
        network: Network | ExportedNetwork,
        labels: LabelSet,
        *,
        frames: int = 8,
        floor: float = 0.05,
        mirror: bool = True,
        turn: float = 0.0,
        doubt: Doubt = NO_DOUBT,
        device: str = "cpu",
        card: Mapping[str, Any] | None = None,
    ) -> None:
        NetworkClassifier.__init__(self, network, labels, device, card)
        self.architecture = (
            self._architecture(network.checkpoint.config)
            if isinstance(network, ExportedNetwork)
            else network.architecture
        )
        image = self.architecture if isinstance(self.architecture, FaceArchitecture) else self.architecture.image
        if image.classes != len(labels):
            raise ArgumentError(
                f"{type(self).__name__}: the network has {image.classes} classes, "
                f"{labels.name} has {len(labels)} labels."
            )
        if not math.isfinite(turn):
            raise ArgumentError(f"{type(self).__name__}: expected turn in degrees, got {turn}.")
        self.size, self.mirror, self.turn = image.size, mirror, float(turn)
        shape = (1, self.size, self.size)
        super().__init__(labels, self.architecture.dim, shape, frames=frames, floor=floor, doubt=doubt)

    @staticmethod
    def _architecture(config: Mapping[str, Any]) -> FaceArchitecture | SequenceArchitecture:
        """The shape of the network of a checkpoint."""
        raise NotImplementedError

    def _inputs(self, face: FaceEvidence, chosen: np.ndarray) -> np.ndarray:
        """(T, 1, S, S) gray crops."""
        return gray_crops(face.crops[chosen], self.size)[:, None]

    def _forward(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, …, D) and log scores (N, …, K) of images (N, …, 1, S, S), with their mirror images if so set."""
        if not self.mirror:
            features, logits = self._run(images)
        else:  # both in one run, which shares its threads better than two
            both = self._run(np.concatenate([images, images[..., ::-1]]))
            features, logits = ((one[: len(images)] + one[len(images) :]) / 2 for one in both)
        return features, log_softmax(logits)

    def _settings(self) -> Parts:
        own: dict[str, Any] = {"frames": self.frames, "floor": self.floor, "mirror": self.mirror, "turn": self.turn}
        own |= {"architecture": self.architecture.to_dict(), "doubt": asdict(self.doubt)}
        return Parts(own, {}, {})

    @classmethod
    def _of(cls, checkpoint: Checkpoint, network: Network | ExportedNetwork, labels: LabelSet, device: str) -> Self:
        own = from_document(_Settings, checkpoint.config)
        return cls(
            network,
            labels,
            frames=own.frames,
            floor=own.floor,
            mirror=own.mirror,
            turn=own.turn,
            doubt=own.doubt,
            device=device,
            card=checkpoint.config,
        )


class FaceEncoder(GrayCropEncoder["FaceNetwork"]):
    """Encoder of the modality "face" (see `mmemo.encoders.base.Encoder`): a CNN that scores crops one by one.

    Args:
        network: in torch, trained on inputs made by `gray_crops`; or an exported one.
        labels: its classes, in the order of its logits.
        frames: highest number of crops of one window that are encoded.
        floor: crops of a lower quality are not encoded.
        mirror: score each crop and its mirror image and take the mean; twice the work, a little more accurate.
        turn: degrees by which crops are turned before they are scored, to the one side and the other by turns; a single
            crop is scored both ways. The embedded weights are more often right so, on people of other corpora.
        doubt: flattening of the scores where the quality is low.
        device: of a torch network: "auto", "cpu", "cuda", "mps".
        card: whatever else belongs into the ``config.json`` of the weights: corpora, split, scores.

    Raises:
        ArgumentError: if labels and network differ in the number of classes, or ``turn`` is not finite.

    >>> from mmemo.encoders.face.encoder import FaceEncoder
    >>> from mmemo.encoders.face.architecture import FaceArchitecture
    >>> from mmemo.encoders.face.network import FaceNetwork
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
    _look: tuple[float, bool] | None = None
    """The one way of `looks` to score each crop: the side to turn it to, and whether mirrored."""

    @staticmethod
    def _architecture(config: Mapping[str, Any]) -> FaceArchitecture:
        return FaceArchitecture.from_dict(config["architecture"])

    @classmethod
    def _build(cls, config: Mapping[str, Any]) -> FaceNetwork:
        from mmemo.encoders.face.network import FaceNetwork

        return FaceNetwork(cls._architecture(config))

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

        Raises:
            MissingExtraError: if torch is not installed.
        """
        head = {name: tensor.detach().cpu().numpy() for name, tensor in self.network.head.state_dict().items()}
        logits: np.ndarray = tokens @ head["weight"].T + head["bias"]
        return logits.reshape(*tokens.shape[:-1], -1, len(self.labels))

    def looks(self) -> list[FaceEncoder]:
        """This encoder in parts, each of which scores a crop in one way of those that this one takes the mean of.

        For frames that come one by one, whose scores are averaged afterwards: with the parts by turns that costs a
        fraction, and says the same. They share the network.
        """
        parts = []
        for mirrored in (False, True) if self.mirror else (False,):
            for side in (1.0, -1.0) if self.turn else (0.0,):
                part = copy(self)
                part.mirror, part._look = False, (side, mirrored)
                parts.append(part)
        return parts

    def _score(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        images = np.concatenate(windows)
        if self._look is not None:
            side, mirrored = self._look
            images = turned(images, np.full(len(images), side * self.turn)) if side else images
            return self._in_chunks(np.ascontiguousarray(images[..., ::-1]) if mirrored else images)
        if not self.turn:
            return self._in_chunks(images)
        lengths = np.array([len(window) for window in windows])
        sides = np.concatenate([np.resize([1.0, -1.0], length) for length in lengths])
        alone = np.flatnonzero(np.repeat(lengths == 1, lengths))
        views = np.concatenate([turned(images, self.turn * sides), turned(images[alone], -self.turn * sides[alone])])
        features, scores = self._in_chunks(views)
        own, other = slice(len(images)), slice(len(images), None)
        features[alone] = (features[alone] + features[other]) / 2
        scores[alone] = log_softmax((scores[alone] + scores[other]) / 2)
        return features[own], scores[own]

    def _in_chunks(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = CHUNK // 2 if self.mirror else CHUNK
        parts = [self._forward(images[start : start + step]) for start in range(0, len(images), step)]
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


def turned(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Images (N, 1, S, S) turned about their middle by (N,) degrees, counterclockwise; the rim is repeated."""
    middle = (images.shape[-1] - 1) / 2
    result = np.empty_like(images)
    for row, (image, angle) in enumerate(zip(images[:, 0], degrees.tolist(), strict=True)):
        matrix = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
        result[row, 0] = cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    return result
