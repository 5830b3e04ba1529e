"""Cross-attention fusion: the tokens of all modalities meet in a few bottleneck tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmemo.errors import ArgumentError
from mmemo.fusion.network import FusionNetwork, Inputs, NetworkFusion, Training
from mmemo.labels import LabelSet

MOST_PARAMETERS = 3_000_000
"""A larger network overfits the few thousand clips that corpora have."""


class CrossAttentionFusion(NetworkFusion):
    """Token-level fusion by attention bottlenecks.

    In every layer the tokens of each modality, and one made of its expert's log scores, attend to each other and to a
    few bottleneck tokens that all modalities share; the bottlenecks take the mean of the updates by those present. So
    each modality attends to the others through a narrow place, which costs little and overfits less than attention of
    all to all. Each modality then has logits of its own, weighted by a gate. Source: Nagrani et al., "Attention
    bottlenecks for multimodal fusion", NeurIPS 2021.

    Args:
        labels: classes of every expert, and of the fused scores.
        dims: token width of each modality.
        width: of the tokens inside.
        layers: number of layers.
        heads: of attention, in each layer.
        bottlenecks: number of tokens through which the modalities exchange information.

    Raises:
        ArgumentError: if that makes more than 3 million parameters, or ``width`` is no multiple of ``heads``.

    >>> import numpy as np
    >>> from mmemo.fusion.cross_attention import CrossAttentionFusion
    >>> from mmemo.fusion.late import scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = CrossAttentionFusion(LabelSet("two", ("calm", "tense")), {"face": 1, "voice": 1}, width=16, layers=1)
    >>> head.fuse({"face": scores_only(np.zeros((3, 2)))}).shape
    (3, 2)
    """

    kind = "cross-attention"
    settings = ("width", "layers", "heads", "bottlenecks")
    training = Training(epochs=40, patience=6)

    def __init__(
        self,
        labels: LabelSet,
        dims: Mapping[str, int],
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        bottlenecks: int = 4,
    ) -> None:
        if width % heads:
            raise ArgumentError(f"CrossAttentionFusion: width {width} must be a multiple of {heads} heads.")
        shape = {"width": width, "layers": layers, "heads": heads, "bottlenecks": bottlenecks}
        super().__init__(labels, dims, _Network(tuple(dims.values()), len(labels), **shape), shape)
        size = sum(parameter.numel() for parameter in self.network.parameters())
        if size > MOST_PARAMETERS:
            raise ArgumentError(
                f"CrossAttentionFusion would have {size:,} parameters, more than {MOST_PARAMETERS:,}: "
                "choose a smaller width or fewer layers."
            )


class _Network(FusionNetwork):
    def __init__(
        self, dims: tuple[int, ...], classes: int, width: int, layers: int, heads: int, bottlenecks: int
    ) -> None:
        super().__init__()
        self.means = nn.ParameterList(nn.Parameter(torch.zeros(dim), requires_grad=False) for dim in dims)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(dim), requires_grad=False) for dim in dims)
        self.token_in = nn.ModuleList(nn.Linear(dim, width) for dim in dims)
        self.score_in = nn.ModuleList(nn.Linear(classes, width) for _ in dims)
        self.embedding = nn.Parameter(0.02 * torch.randn(len(dims), width))
        self.bottlenecks = nn.Parameter(0.02 * torch.randn(bottlenecks, width))
        self.layers = nn.ModuleList(nn.ModuleList(_Layer(width, heads) for _ in dims) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.3)
        self.own = nn.ModuleList(nn.Linear(2 * width, classes) for _ in dims)
        self.gate = nn.Linear(2 * width, 1)
        # Exponent of the number of modalities present: how far they strengthen each other.
        self.agreement = nn.Parameter(torch.tensor(0.5))

    def standardize(self, inputs: Inputs, presence: Tensor) -> None:
        """Take mean and deviation of each modality's tokens from the valid ones."""
        del presence  # the masks hold it too
        for column, (mean, scale) in enumerate(zip(self.means, self.scales, strict=True)):
            valid = inputs.tokens[column][inputs.masks[column]]
            if len(valid):
                mean.data.copy_(valid.mean(dim=0))
                scale.data.copy_(valid.std(dim=0, correction=0).clamp(min=1e-3))

    def forward(self, inputs: Inputs, presence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, shared = len(presence), len(self.bottlenecks)
        sequences, padding = [], []
        for column, token_in in enumerate(self.token_in):
            tokens = ((inputs.tokens[column] - self.means[column]) / self.scales[column]).clamp(-5, 5)
            scores = self.score_in[column](inputs.scores[column])[:, None]
            x = torch.cat([scores, token_in(self.dropout(tokens))], dim=1) + self.embedding[column]
            present = presence[:, column, None]
            valid = torch.cat([present, inputs.masks[column] & present], dim=1)
            # The bottlenecks are always valid keys, so a row that is all masked has something to attend to: no NaN.
            valid = torch.cat([torch.ones(rows, shared, dtype=torch.bool, device=presence.device), valid], dim=1)
            sequences.append(x)
            padding.append(_padding(valid))
        meeting = self.bottlenecks.expand(rows, -1, -1)
        weight = presence.float() / presence.sum(dim=1, keepdim=True).clamp(min=1)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            update = torch.zeros_like(meeting)
            for column in range(len(sequences)):
                x = layer[column](torch.cat([meeting, sequences[column]], dim=1), padding[column])
                sequences[column] = x[:, shared:]
                update = update + weight[:, column, None, None] * x[:, :shared]
            meeting = update
        common = self.norm(meeting).mean(dim=1)
        ends = [torch.cat([self.norm(x[:, 0]), common], dim=1) for x in sequences]
        own = torch.stack([out(self.dropout(end)) for out, end in zip(self.own, ends, strict=True)], dim=1)
        gates = torch.cat([self.gate(end) for end in ends], dim=1).masked_fill(~presence, -torch.inf)
        shares = gates.softmax(dim=1)
        count = presence.sum(dim=1, keepdim=True).float()
        return (shares[:, :, None] * own).sum(dim=1) * count**self.agreement, shares, own


class _Layer(nn.Module):
    """Self-attention and a feed-forward step, each with its norm before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        normed = self.norm(x)
        mixed, _ = self.attention(normed, normed, normed, key_padding_mask=padding, need_weights=False)
        x = x + self.dropout(mixed)
        inner: Tensor = self.dropout(self.down(functional.gelu(self.up(self.inner_norm(x)))))
        return x + inner


def _padding(valid: Tensor) -> Tensor:
    """Torch's ``key_padding_mask``, True = padding. The only place where masks change sense: ours are True = valid."""
    return ~valid
