"""Concatenation: the pooled embeddings of all modalities side by side, and a small network over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from mmemo.encoders.base import Encoding
from mmemo.fusion.base import check_training, present
from mmemo.fusion.network import FusionNetwork, Inputs, inputs_of, train
from mmemo.labels import LabelSet


class ConcatFusion:
    """Early fusion: each modality's mean token and its expert's log scores, side by side, through one hidden layer.

    Tokens are standardised with the mean and deviation of the training samples. An absent modality is zeros and an
    indicator; modality dropout in training makes that a known sight.

    Args:
        dims: token width of each modality.
        hidden: width of the hidden layer.
    """

    kind = "concat"

    def __init__(self, labels: LabelSet, dims: Mapping[str, int], hidden: int = 128) -> None:
        self.labels = labels
        self.dims = dict(dims)
        self.hidden = hidden
        self.network = _Network(tuple(self.dims.values()), len(labels), hidden).eval()

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
        """Share of each modality: how far its part of the input moves the hidden layer, against all parts."""
        _, shares = self._run(encodings)
        return {m: shares[:, column].double().numpy() for column, m in enumerate(self.dims) if m in encodings}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings, and the network's arrays."""
        arrays = {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}
        return {"kind": self.kind, "dims": self.dims, "hidden": self.hidden}, arrays

    @classmethod
    def from_state(cls, labels: LabelSet, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        head = cls(labels, settings["dims"], settings["hidden"])
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
        hidden: int = 128,
        epochs: int = 60,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.1,
        modality_dropout: float = 0.3,
        patience: int = 8,
    ) -> Self:
        """Learn, with early stopping on groups held out. See `mmemo.fusion.base.FittableHead`.

        Args:
            modality_dropout: chance that a modality is hidden from a training sample.
            patience: epochs without progress on the groups held out before it stops.
        """
        encodings, target, groups = check_training(cls.__name__, labels, encodings, target, groups)
        dims = {modality: encodings[modality].tokens.shape[2] for modality in sorted(encodings)}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head: Self = cls(labels, dims, hidden)
            there = torch.from_numpy(present(head, dims, encodings))
            inputs = inputs_of(dims, len(labels), encodings, len(target))
            head.network.standardise(inputs, there)
            train(
                head.network,
                inputs,
                there,
                target,
                groups,
                seed=seed,
                epochs=epochs,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                modality_dropout=modality_dropout,
                patience=patience,
            )
        return head


class _Network(FusionNetwork):
    def __init__(self, dims: tuple[int, ...], classes: int, hidden: int) -> None:
        super().__init__()
        self.means = nn.ParameterList(nn.Parameter(torch.zeros(dim), requires_grad=False) for dim in dims)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(dim), requires_grad=False) for dim in dims)
        self.parts = nn.ModuleList(nn.Linear(dim + classes + 1, hidden) for dim in dims)
        self.own = nn.ModuleList(nn.Linear(hidden, classes) for _ in dims)
        self.dropout, self.out = nn.Dropout(0.4), nn.Linear(hidden, classes)

    def standardise(self, inputs: Inputs, there: Tensor) -> None:
        """Take mean and deviation of each modality's pooled tokens from the rows that have it."""
        for column, (mean, scale) in enumerate(zip(self.means, self.scales, strict=True)):
            rows = there[:, column]
            if rows.any():
                pooled = _pooled(inputs, column)[rows]
                mean.data.copy_(pooled.mean(dim=0))
                scale.data.copy_(pooled.std(dim=0, correction=0).clamp(min=1e-3))

    def forward(self, inputs: Inputs, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        moved, own = [], []
        for column, part in enumerate(self.parts):
            seen = there[:, column, None].float()
            pooled = (_pooled(inputs, column) - self.means[column]) / self.scales[column]
            # A value far outside what was trained on says that it is foreign, not that it is extreme.
            values = torch.cat([pooled.clamp(-5, 5), inputs.scores[column]], dim=1) * seen
            step = part(torch.cat([self.dropout(values), seen], dim=1)) * seen
            moved.append(step)
            own.append(self.own[column](self.dropout(torch.relu(step))))
        steps = torch.stack(moved, dim=1)
        size = (steps.norm(dim=2) + 1e-6) * there
        logits = self.out(self.dropout(torch.relu(steps.sum(dim=1))))
        return logits, size / size.sum(dim=1, keepdim=True), torch.stack(own, dim=1)


def _pooled(inputs: Inputs, column: int) -> Tensor:
    """(B, D): the mean valid token; zeros where there is none."""
    tokens, mask = inputs.tokens[column], inputs.masks[column].unsqueeze(2).float()
    return (tokens * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
