"""The network of concatenation fusion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmemo.fusion.network import FusionNetwork, Inputs


class ConcatNetwork(FusionNetwork):
    def __init__(self, dims: tuple[int, ...], classes: int, hidden: int) -> None:
        super().__init__(dims, classes)
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

    def fuse(self, inputs: Inputs, presence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
