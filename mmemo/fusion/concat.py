"""Concatenation: the pooled embeddings of all modalities side by side, and a small network over them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmemo.fusion.network import FusionNetwork, Inputs, Training
from mmemo.fusion.network_head import NetworkFusion
from mmemo.labels import LabelSet


class ConcatFusion(NetworkFusion):
    """Early fusion: each modality's mean token and its expert's log scores, side by side, through one hidden layer.

    Tokens are standardised with the mean and deviation of the training samples. An absent modality is zeros and an
    indicator; modality dropout in training makes that a known sight. A modality's share is how far its part of the
    input moves the hidden layer, against all parts.

    Args:
        dims: token width of each modality.
        hidden: width of the hidden layer.
    """

    kind = "concat"
    settings = ("hidden",)
    training = Training(epochs=60, patience=8)

    def __init__(self, labels: LabelSet, dims: Mapping[str, int], hidden: int = 128) -> None:
        super().__init__(labels, dims, _Network(tuple(dims.values()), len(labels), hidden), {"hidden": hidden})


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
