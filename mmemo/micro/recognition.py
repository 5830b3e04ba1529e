"""Classifier of micro-expressions: an ensemble of small networks on flow images from onset to apex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmemo.checkpoint import Checkpoint
from mmemo.encoders.network_classifier import ExportedNetwork, NetworkClassifier, Parts
from mmemo.errors import ArgumentError
from mmemo.labels import LabelSet
from mmemo.micro.flow_image import SIDE, mirrored
from mmemo.pretrained import MICRO, verify

if TYPE_CHECKING:
    from torch import nn

    from mmemo.micro.networks import Ensemble


class MicroRecognizer(NetworkClassifier["Ensemble"]):
    """Classifier of micro-expressions: the mean probabilities of several networks.

    Each image is classified together with its mirror image. There is no class for "none".

    Args:
        networks: names of `mmemo.micro.networks.NETWORKS` and trained networks; or an exported ensemble.
        labels: the classes, in the order of the networks' logits.
        card: further entries of the weights' ``config.json``: corpora, protocol, scores.

    Raises:
        ArgumentError: if there is no network, or one whose name is unknown or that takes sequences.
    """

    kind = "micro-recogniser"  # this spelling stands in the files that were saved with it

    def __init__(
        self,
        networks: Sequence[tuple[str, nn.Module]] | ExportedNetwork,
        labels: LabelSet,
        card: Mapping[str, Any] | None = None,
        device: str = "cpu",
    ) -> None:
        if isinstance(networks, ExportedNetwork):
            self.names = tuple(networks.checkpoint.config["networks"])
            super().__init__(networks, labels, device, card)
            return
        from mmemo.micro.networks import Ensemble

        self.names = tuple(name for name, _ in networks)
        super().__init__(Ensemble(networks), labels, device, card)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (N, K) float32 of flow images (N, 3, 28, 28) float32 of `mmemo.micro.flow_image.flow_image`.

        Raises:
            ArgumentError: for another shape.
        """
        if images.ndim != 4 or images.shape[1:] != (3, SIDE, SIDE):
            raise ArgumentError(f"MicroRecognizer: expected images (N, 3, {SIDE}, {SIDE}), got {images.shape}.")
        return np.asarray(np.mean([self._run(part)[0] for part in (images, mirrored(images))], axis=0))

    @staticmethod
    def _build(config: Mapping[str, Any]) -> Ensemble:
        from mmemo.micro.networks import NETWORKS, Ensemble

        classes = len(LabelSet.from_config(config["labels"]))
        return Ensemble([(name, NETWORKS[name](classes)) for name in config["networks"]])

    @classmethod
    def _of(cls, checkpoint: Checkpoint, network: Ensemble | ExportedNetwork, labels: LabelSet, device: str) -> Self:
        if isinstance(network, ExportedNetwork):
            return cls(network, labels, checkpoint.config, device)
        names = checkpoint.config["networks"]
        return cls(list(zip(names, network, strict=True)), labels, checkpoint.config, device)

    def _settings(self) -> Parts:
        return Parts({"networks": list(self.names)}, {}, {})


def load_micro() -> MicroRecognizer:
    """The embedded recognizer of micro-expressions.

    Raises:
        WeightsError: if a file is damaged, or not the one this version was released with.
    """
    verify(MICRO)
    return MicroRecognizer.load(MICRO.folder)
