"""Cross-attention: the tokens of all modalities meet in a few bottleneck tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmemo.errors import ArgumentError
from mmemo.fusion.network import FusionNetwork, Inputs, Training
from mmemo.fusion.network_head import NetworkFusion
from mmemo.labels import LabelSet

MOST_PARAMETERS = 3_000_000


class CrossAttentionFusion(NetworkFusion):
    """Token-level fusion by attention bottlenecks.

    In every layer the tokens of each modality, and one made of its expert's log scores, attend to each other and to a
    few bottleneck tokens that all modalities share; the bottlenecks take the mean of what those present wrote into
    them. So each modality attends to the others through a narrow place, which costs little and overfits less than
    attention of all to all. Each modality then gives logits of its own, and a gate says how much each counts. Source:
    Nagrani et al., "Attention bottlenecks for multimodal fusion", NeurIPS 2021.

    Args:
        dims: token width of each modality.
        width: of the tokens inside.
        layers: how many there are.
        heads: of attention, in each layer.
        bottlenecks: tokens through which the modalities exchange what they know.

    Raises:
        ArgumentError: if that makes more than 3 million parameters, or ``width`` is no multiple of ``heads``.
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
        # How much more is sure when n modalities say it.
        self.agreement = nn.Parameter(torch.tensor(0.5))

    def standardise(self, inputs: Inputs, there: Tensor) -> None:
        """Take mean and deviation of each modality's tokens from the valid ones."""
        del there  # the masks say as much
        for column, (mean, scale) in enumerate(zip(self.means, self.scales, strict=True)):
            valid = inputs.tokens[column][inputs.masks[column]]
            if len(valid):
                mean.data.copy_(valid.mean(dim=0))
                scale.data.copy_(valid.std(dim=0, correction=0).clamp(min=1e-3))

    def forward(self, inputs: Inputs, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, shared = len(there), len(self.bottlenecks)
        sequences, hidden = [], []
        for column, token_in in enumerate(self.token_in):
            tokens = ((inputs.tokens[column] - self.means[column]) / self.scales[column]).clamp(-5, 5)
            said = self.score_in[column](inputs.scores[column])[:, None]
            x = torch.cat([said, token_in(self.dropout(tokens))], dim=1) + self.embedding[column]
            seen = there[:, column, None]
            valid = torch.cat([seen, inputs.masks[column] & seen], dim=1)
            # The bottlenecks are always valid keys, so a row that is all masked has something to attend to: no NaN.
            valid = torch.cat([torch.ones(rows, shared, dtype=torch.bool, device=there.device), valid], dim=1)
            sequences.append(x)
            hidden.append(_not_valid(valid))
        meeting = self.bottlenecks.expand(rows, -1, -1)
        weight = there.float() / there.sum(dim=1, keepdim=True).clamp(min=1)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            written = torch.zeros_like(meeting)
            for column in range(len(sequences)):
                x = layer[column](torch.cat([meeting, sequences[column]], dim=1), hidden[column])
                sequences[column] = x[:, shared:]
                written = written + weight[:, column, None, None] * x[:, :shared]
            meeting = written
        common = self.norm(meeting).mean(dim=1)
        ends = [torch.cat([self.norm(x[:, 0]), common], dim=1) for x in sequences]
        own = torch.stack([out(self.dropout(end)) for out, end in zip(self.own, ends, strict=True)], dim=1)
        gates = torch.cat([self.gate(end) for end in ends], dim=1).masked_fill(~there, -torch.inf)
        shares = gates.softmax(dim=1)
        count = there.sum(dim=1, keepdim=True).float()
        return (shares[:, :, None] * own).sum(dim=1) * count**self.agreement, shares, own


class _Layer(nn.Module):
    """Self-attention and a feed-forward step, each with its norm before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor, not_valid: Tensor) -> Tensor:
        normed = self.norm(x)
        mixed, _ = self.attention(normed, normed, normed, key_padding_mask=not_valid, need_weights=False)
        x = x + self.dropout(mixed)
        inner: Tensor = self.dropout(self.down(functional.gelu(self.up(self.inner_norm(x)))))
        return x + inner


def _not_valid(valid: Tensor) -> Tensor:
    """The only place where masks change sense: ours say True = valid, torch's ``key_padding_mask`` True = leave out."""
    return ~valid
