"""Classifier of micro-expressions: an ensemble of small networks on flow images from onset to apex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.errors import ArgumentError, LabelError, WeightsError, expected_one_of
from mmemo.labels import LabelSet
from mmemo.micro.flow_image import SIDE, mirrored
from mmemo.micro.networks import NETWORKS, OF_SEQUENCES
from mmemo.pretrained import MICRO, verify

KIND = "micro-recogniser"  # this spelling stands in the files that were saved with it


class MicroRecognizer:
    """Classifier of micro-expressions: the mean probabilities of several networks.

    Each image is classified together with its mirror image. There is no class for "none".

    Args:
        networks: names of `mmemo.micro.networks.NETWORKS` and trained networks.
        labels: the classes, in the order of the networks' logits.
        card: further entries of the weights' ``config.json``: corpora, protocol, scores.

    Raises:
        ArgumentError: if there is no network, or one whose name is unknown or that takes sequences.
    """

    def __init__(
        self, networks: Sequence[tuple[str, nn.Module]], labels: LabelSet, card: dict[str, Any] | None = None
    ) -> None:
        images = [name for name in NETWORKS if name not in OF_SEQUENCES]
        for name, _ in networks:
            if name not in images:
                raise ArgumentError(expected_one_of("Network of MicroRecognizer", images, name))
        if not networks:
            raise ArgumentError("MicroRecognizer: expected at least one network.")
        self.labels = labels
        self.card = dict(card or {})
        self._networks = [(name, network.eval()) for name, network in networks]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (N, K) float32 of flow images (N, 3, 28, 28) float32 of `mmemo.micro.flow_image.flow_image`.

        Raises:
            ArgumentError: for another shape.
        """
        if images.ndim != 4 or images.shape[1:] != (3, SIDE, SIDE):
            raise ArgumentError(f"MicroRecognizer: expected images (N, 3, {SIDE}, {SIDE}), got {images.shape}.")
        return np.asarray(np.mean([probabilities(network, images) for _, network in self._networks], axis=0))

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` (matrices in float16) into ``folder``."""
        config = {
            **self.card,
            "kind": KIND,
            "labels": self.labels.to_config(),
            "networks": [name for name, _ in self._networks],
        }
        tensors = {}
        for number, (_, network) in enumerate(self._networks):
            for key, tensor in network.state_dict().items():
                array = tensor.detach().cpu().numpy()
                wide = array.ndim > 1 and array.dtype == np.float32
                tensors[f"{number}.{key}"] = array.astype(np.float16) if wide else array
        return save_checkpoint(folder, config, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> MicroRecognizer:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no checkpoint.
            WeightsError: if it is damaged, or not those of a recognizer of micro-expressions.
        """
        checkpoint = load_checkpoint(folder, KIND)
        config = checkpoint.config
        try:
            labels = LabelSet.from_config(config["labels"])
            networks = []
            for number, name in enumerate(config["networks"]):
                network = NETWORKS[name](len(labels))
                own = {
                    key.split(".", 1)[1]: torch.from_numpy(array)
                    for key, array in checkpoint.tensors.items()
                    if key.startswith(f"{number}.")
                }
                network.load_state_dict(own)
                networks.append((name, network))
            return cls(networks, labels, config)
        except (KeyError, TypeError, RuntimeError, ArgumentError, LabelError) as error:
            raise WeightsError(f"{folder} does not hold a recognizer of this version: {error}") from None


def probabilities(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Mean of a network's probabilities for flow images (N, 3, 28, 28) and for their mirror images: (N, K) float32."""
    with torch.inference_mode():
        both = [network(torch.from_numpy(part)).softmax(dim=1).numpy() for part in (images, mirrored(images))]
    return np.asarray(np.mean(both, axis=0))


def load_micro() -> MicroRecognizer:
    """The embedded recognizer of micro-expressions.

    Raises:
        WeightsError: if a file is damaged, or not the one this version was released with.
    """
    verify(MICRO)
    return MicroRecognizer.load(MICRO.folder)
