"""Concatenation fusion: the pooled tokens of all modalities side by side, and a small network over them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmemo.fusion.network import FusionNetwork, Inputs, NetworkFusion, Training
from mmemo.labels import LabelSet


class ConcatFusion(NetworkFusion):
    """Early fusion: each modality's mean token and its expert's log scores, side by side, through one hidden layer.

    Tokens are standardized with the mean and deviation of the training samples. An absent modality is zeros and an
    indicator; modality dropout in training makes the network used to that. A modality's share is how far its part of
    the input moves the hidden layer, against all parts.

    Args:
        labels: classes of every expert, and of the fused scores.
        dims: token width of each modality.
        hidden: width of the hidden layer.

    >>> import numpy as np
    >>> from mmemo.fusion.concat import ConcatFusion
    >>> from mmemo.fusion.late import scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = ConcatFusion(LabelSet("two", ("calm", "tense")), {"face": 1, "voice": 1}, hidden=8)
    >>> head.fuse({"face": scores_only(np.zeros((3, 2)))}).shape
    (3, 2)
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

    def standardize(self, inputs: Inputs, presence: Tensor) -> None:
        """Take mean and deviation of each modality's pooled tokens from the rows that have it."""
        for column, (mean, scale) in enumerate(zip(self.means, self.scales, strict=True)):
            rows = presence[:, column]
            if rows.any():
                pooled = _pooled(inputs, column)[rows]
                mean.data.copy_(pooled.mean(dim=0))
                scale.data.copy_(pooled.std(dim=0, correction=0).clamp(min=1e-3))

    def forward(self, inputs: Inputs, presence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts, own = [], []
        for column, part in enumerate(self.parts):
            indicator = presence[:, column, None].float()
            pooled = (_pooled(inputs, column) - self.means[column]) / self.scales[column]
            # A value far outside the training data is foreign rather than extreme.
            values = torch.cat([pooled.clamp(-5, 5), inputs.scores[column]], dim=1) * indicator
            step = part(torch.cat([self.dropout(values), indicator], dim=1)) * indicator
            parts.append(step)
            own.append(self.own[column](self.dropout(torch.relu(step))))
        steps = torch.stack(parts, dim=1)
        size = (steps.norm(dim=2) + 1e-6) * presence
        logits = self.out(self.dropout(torch.relu(steps.sum(dim=1))))
        return logits, size / size.sum(dim=1, keepdim=True), torch.stack(own, dim=1)


def _pooled(inputs: Inputs, column: int) -> Tensor:
    """(B, D): the mean valid token; zeros where there is none."""
    tokens, mask = inputs.tokens[column], inputs.masks[column].unsqueeze(2).float()
    return (tokens * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
