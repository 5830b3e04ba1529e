"""The base of fusion heads that are networks: trained in torch, used there or, once exported, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import missing_extra
from mmemo.files import GRAPH
from mmemo.fusion.base import check_training, present
from mmemo.labels import LabelSet
from mmemo.onnx_network import OnnxNetwork

if TYPE_CHECKING:
    from mmemo.encoders.torch_network import TorchNetwork
    from mmemo.fusion.network import FusionNetwork

_LEAST_SCORE = -12.0
"""Log scores are cut off here: an expert that is sure and wrong must not outvote all others."""


@dataclass(frozen=True)
class Training:
    """Hyperparameters of training a head's network.

    Attributes:
        epochs: the most passes over the samples.
        patience: epochs without progress on the groups held out before training stops.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        modality_dropout: probability that a modality is hidden from a training sample.
        batch: samples a step.
        guard: weight of the loss that pushes a modality back up whose mean share falls below a tenth.
        smoothing: of the labels.
    """

    epochs: int
    patience: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    modality_dropout: float = 0.3
    batch: int = 64
    guard: float = 1.0
    smoothing: float = 0.05


class NetworkFusion:
    """The base of heads that are a network over the tokens and the log scores of all modalities.

    A subclass takes ``labels``, ``dims`` and its network's settings by name, and hands them on.

    Args:
        labels: classes of every expert, and of the fused scores.
        dims: token width of each modality.
        shape: the network's settings, as the subclass takes them.
        exported: the network in ONNX Runtime; without it one is built in torch.

    Attributes:
        settings: names of the settings in ``shape``.
        training: the default hyperparameters of `fit`.
    """

    kind: str
    settings: tuple[str, ...]
    training: Training

    def __init__(
        self,
        labels: LabelSet,
        dims: Mapping[str, int],
        shape: Mapping[str, int],
        exported: OnnxNetwork | None = None,
    ) -> None:
        self.labels, self.dims, self.shape = labels, dict(dims), dict(shape)
        self._arrays: Mapping[str, np.ndarray] = {}
        self._run: OnnxNetwork | TorchNetwork
        if exported is not None:
            self._run = exported
            return
        try:
            from mmemo.encoders.torch_network import TorchNetwork
        except ModuleNotFoundError as error:
            raise missing_extra(f"{type(self).__name__} in torch", error) from None
        self._run = TorchNetwork(self._build())

    def _build(self) -> FusionNetwork:
        """An untrained network, in torch."""
        raise NotImplementedError

    @cached_property
    def network(self) -> FusionNetwork:
        """The network in torch; that of an exported head is a copy."""
        if not isinstance(self._run, OnnxNetwork):
            return self._run.module  # type: ignore[return-value]  # it is the one that was built
        return type(self).from_state(self.labels, self.state()[0], self._arrays).network

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64."""
        return softmax(self._outputs(encodings)[0].astype(np.float64))

    def shares(self, encodings: Mapping[str, Encoding]) -> dict[str, np.ndarray]:
        """Share of each modality in each row, (B,) float64."""
        shares = self._outputs(encodings)[1].astype(np.float64)
        return {m: shares[:, column] for column, m in enumerate(self.dims) if m in encodings}

    def _outputs(self, encodings: Mapping[str, Encoding]) -> list[np.ndarray]:
        """Logits (B, K) and shares (B, M)."""
        presence = present(self, self.dims, encodings)
        return self._run(*inputs_of(self.dims, len(self.labels), encodings, presence))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the network's arrays."""
        arrays = self._arrays
        if not isinstance(self._run, OnnxNetwork):
            arrays = {name: tensor.cpu().numpy() for name, tensor in self.network.state_dict().items()}
        return {"kind": self.kind, "dims": self.dims, **self.shape}, dict(arrays)

    def graphs(self) -> dict[str, bytes]:
        """The file of the exported network, which is saved beside the arrays; nothing for one in torch."""
        return {GRAPH: self._run.path.read_bytes()} if isinstance(self._run, OnnxNetwork) else {}

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave, in torch."""
        from mmemo.encoders.torch_network import load_state

        head = cls(labels, settings["dims"], **{name: settings[name] for name in cls.settings})
        load_state(head.network, {name: np.array(array) for name, array in arrays.items()})
        return head

    @classmethod
    def from_graph(
        cls,
        labels: LabelSet,
        settings: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        network: OnnxNetwork,
    ) -> Self:
        """Rebuild from what `state` gave, around the exported network."""
        head = cls(labels, settings["dims"], **{name: settings[name] for name in cls.settings}, exported=network)
        head._arrays = dict(arrays)
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
            shape: the network's settings, where they differ from the defaults.

        Raises:
            MissingExtraError: if torch is not installed.
        """
        encodings, target, groups = check_training(cls.__name__, labels, encodings, target, groups)
        dims = {modality: encodings[modality].tokens.shape[2] for modality in sorted(encodings)}
        try:
            import torch

            from mmemo.fusion.network import Inputs, train
        except ModuleNotFoundError as error:
            raise missing_extra(f"Training {cls.__name__}", error) from None
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = cls(labels, dims, **shape)  # type: ignore[arg-type]  # a subclass's own arguments
            arrays = inputs_of(dims, len(labels), encodings, present(head, dims, encodings))
            *tensors, presence = map(torch.from_numpy, arrays)
            inputs = Inputs.of(tensors)
            head.network.standardize(inputs, presence)
            train(head.network, inputs, presence, target, groups, training or cls.training, seed)
        return head


def inputs_of(
    dims: Mapping[str, int], classes: int, encodings: Mapping[str, Encoding], presence: np.ndarray
) -> list[np.ndarray]:
    """The arrays that a network of a head takes.

    Args:
        dims: token width of each modality that the head knows.
        presence: (B, M) bool, of `mmemo.fusion.base.present`.

    Returns:
        For each modality, in the order of ``dims``, tokens (B, T, D) float32, mask (B, T) bool and centered log scores
        (B, K) float32, zeros where it is absent; and ``presence``.
    """
    inputs: list[np.ndarray] = []
    rows = len(presence)
    for modality, dim in dims.items():
        if modality not in encodings:
            inputs += [np.zeros((rows, 1, dim), np.float32), np.zeros((rows, 1), bool)]
            inputs.append(np.zeros((rows, classes), np.float32))
            continue
        encoding = encodings[modality]
        # Values of absent rows may be anything, NaN even, and zero times NaN is NaN.
        valid = np.where(encoding.mask[:, :, None], encoding.tokens, 0).astype(np.float32)
        logits = np.where(encoding.present[:, None], encoding.logits, 0).astype(np.float64)
        centered = np.maximum(log_softmax(logits), _LEAST_SCORE)
        centered -= centered.mean(axis=1, keepdims=True)
        inputs += [valid, encoding.mask, centered.astype(np.float32)]
    return [*inputs, presence]
