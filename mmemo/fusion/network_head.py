"""What the heads that are torch networks have in common beyond the network: fusing, saving and learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from mmemo.encoders.base import Encoding
from mmemo.fusion.base import check_training, present
from mmemo.fusion.network import FusionNetwork, Training, inputs_of, train
from mmemo.labels import LabelSet


class NetworkFusion:
    """A head that is a network over the tokens and the log scores of all modalities.

    A subclass takes ``labels``, ``dims`` and its network's settings by name, and hands them on with the network.

    Args:
        dims: token width of each modality.
        shape: the network's settings, as the subclass takes them.

    Attributes:
        settings: names of what is in ``shape``.
        training: how it learns unless told otherwise.
    """

    kind: str
    settings: tuple[str, ...]
    training: Training

    def __init__(
        self, labels: LabelSet, dims: Mapping[str, int], network: FusionNetwork, shape: Mapping[str, int]
    ) -> None:
        self.labels = labels
        self.dims = dict(dims)
        self.shape = dict(shape)
        self.network = network.eval()

    @torch.no_grad()
    def _run(self, encodings: Mapping[str, Encoding]) -> tuple[Tensor, Tensor]:
        there = present(self, self.dims, encodings)
        inputs = inputs_of(self.dims, len(self.labels), encodings, len(there))
        logits, shares, _ = self.network(inputs, torch.from_numpy(there))
        return logits / self.network.temperature, shares

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        logits, _ = self._run(encodings)
        return np.asarray(logits.double().softmax(dim=1).numpy())

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row, (B,) float64."""
        _, shares = self._run(encodings)
        return {m: shares[:, column].double().numpy() for column, m in enumerate(self.dims) if m in encodings}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the network's arrays."""
        arrays = {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}
        return {"kind": self.kind, "dims": self.dims, **self.shape}, arrays

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        head = cls._made(labels, settings["dims"], {name: settings[name] for name in cls.settings})
        head.network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        return head

    @classmethod
    def fit(
        cls,
        labels: LabelSet,
        encodings: Mapping[str, Encoding],
        target: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        seed: int = 0,
        training: Training | None = None,
        **shape: int,
    ) -> Self:
        """Learn, with early stopping on groups held out. See `mmemo.fusion.base.FittableHead`.

        Args:
            training: the class's own by default.
            shape: the network's settings, where they are to be others than the defaults.
        """
        encodings, target, groups = check_training(cls.__name__, labels, encodings, target, groups)
        dims = {modality: encodings[modality].tokens.shape[2] for modality in sorted(encodings)}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = cls._made(labels, dims, shape)
            there = torch.from_numpy(present(head, dims, encodings))
            inputs = inputs_of(dims, len(labels), encodings, len(target))
            head.network.standardise(inputs, there)
            train(head.network, inputs, there, target, groups, training or cls.training, seed)
        return head

    @classmethod
    def _made(cls, labels: LabelSet, dims: Mapping[str, int], shape: Mapping[str, int]) -> Self:
        return cls(labels, dims, **shape)  # type: ignore[arg-type]  # a subclass's own arguments
