"""What the heads that are torch networks share: tensors, modality dropout, training with early stopping."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmemo.encoders.base import Encoding
from mmemo.fusion.base import hold_out
from mmemo.fusion.distributed import add_up_gradients, of_the_first, own_part, rank_and_count
from mmemo.softmax import log_softmax

log = logging.getLogger(__name__)

_HELD = 0.2
"""Share of the groups held out to stop early."""
_FLOOR = 0.1
"""A mean share below this, over rows where a modality is with others, is held to be on the way to collapse."""


@dataclass(frozen=True)
class Training:
    """How a head's network learns.

    Attributes:
        epochs: at most so many passes over the samples.
        modality_dropout: chance that a modality is hidden from a training sample.
        patience: epochs without progress on the groups held out before it stops.
        batch: samples a step.
        guard: weight of what pushes a modality back up whose mean share falls below a tenth.
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


class FusionNetwork(nn.Module):
    """Gives logits (B, K), shares (B, M) and, for each modality, its own logits (B, M, K).

    Attributes:
        temperature: scalar that the logits are divided by in use; `train` fits it on the groups held out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, inputs: Inputs, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``there`` (B, M) bool, True = present; what is hidden there must not change the outputs."""
        raise NotImplementedError

    def standardise(self, inputs: Inputs, there: Tensor) -> None:
        """Take from the training samples what brings all values to one scale."""
        raise NotImplementedError


class Inputs:
    """Encodings as tensors: for each modality tokens (B, T, D), mask (B, T) True = valid, and log scores (B, K)."""

    def __init__(self, tokens: list[Tensor], masks: list[Tensor], scores: list[Tensor]) -> None:
        self.tokens, self.masks, self.scores = tokens, masks, scores

    def rows(self, chosen: Tensor) -> Inputs:
        """Some rows."""
        return Inputs(*([part[chosen] for part in parts] for parts in (self.tokens, self.masks, self.scores)))

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        return Inputs(*([part.to(device) for part in parts] for parts in (self.tokens, self.masks, self.scores)))


def inputs_of(dims: Mapping[str, int], classes: int, encodings: Mapping[str, Encoding], rows: int) -> Inputs:
    """Tensors in the order of ``dims``; zeros for a modality that is not given, and where it is absent."""
    tokens, masks, scores = [], [], []
    for modality, dim in dims.items():
        if modality not in encodings:
            tokens.append(torch.zeros(rows, 1, dim))
            masks.append(torch.zeros(rows, 1, dtype=torch.bool))
            scores.append(torch.zeros(rows, classes))
            continue
        encoding = encodings[modality]
        # Values of absent rows may be anything, NaN even; zero times NaN is NaN, so they must not enter.
        valid = np.where(encoding.mask[:, :, None], encoding.tokens, 0).astype(np.float32)
        said = np.where(encoding.present[:, None], encoding.logits, 0).astype(np.float64)
        centred = log_softmax(said)
        centred = np.maximum(centred, -12.0)
        centred -= centred.mean(axis=1, keepdims=True)
        tokens.append(torch.from_numpy(valid))
        masks.append(torch.from_numpy(encoding.mask))
        scores.append(torch.from_numpy(centred.astype(np.float32)))
    return Inputs(tokens, masks, scores)


def drop_modalities(there: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Hide each modality of each row with some chance, but never all that a row has: modality dropout."""
    kept = there & (torch.rand(there.shape, generator=generator) >= chance)
    # A row that lost everything keeps one of its own, at random.
    lost = ~kept.any(dim=1)
    if lost.any():
        draw = torch.where(there, torch.rand(there.shape, generator=generator), torch.tensor(-1.0))
        kept = kept | (lost[:, None] & functional.one_hot(draw.argmax(dim=1), there.shape[1]).bool())
    return kept


def train(
    network: FusionNetwork,
    inputs: Inputs,
    there: Tensor,
    target: np.ndarray,
    groups: np.ndarray,
    training: Training,
    seed: int,
) -> None:
    """Train in place, and go back to the epoch that was best by the log loss on groups held out.

    Beside the fused loss each modality's own logits are trained, so that no expert is left behind, and a modality whose
    mean share falls below a tenth is pushed back up: the guard against collapse. At the end the temperature is fitted
    on the groups held out.

    Launched in several processes they share each batch, on their CUDA devices if they have any
    (`mmemo.fusion.distributed`); the network is on the CPU again at the end.
    """
    device = torch.device("cuda" if rank_and_count()[1] > 1 and torch.cuda.is_available() else "cpu")
    network.to(device)
    inputs, there = inputs.to(device), there.to(device)
    generator = torch.Generator().manual_seed(seed)
    right = torch.from_numpy(target).to(device)
    held = torch.from_numpy(hold_out(groups, target, _HELD, seed))
    fitted = torch.nonzero(~held)[:, 0]
    held = held.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    best, best_state, waited = float("inf"), copy.deepcopy(network.state_dict()), 0
    for epoch in range(training.epochs):
        network.train()
        order = fitted[torch.randperm(len(fitted), generator=generator)]
        for shared in torch.split(order, training.batch):
            # All processes draw what is dropped from the whole batch, so that their generators stay alike.
            dropped = drop_modalities(there[shared.to(device)].cpu(), training.modality_dropout, generator)
            rows, kept = own_part(shared).to(device), own_part(dropped).to(device)
            optimizer.zero_grad(set_to_none=True)
            if len(rows):
                loss = _loss(network, inputs.rows(rows), kept, right[rows], training)
                torch.autograd.backward(loss * (len(rows) / len(shared)))
            add_up_gradients(network)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        if not held.any():
            continue
        network.eval()
        with torch.no_grad():
            logits, _, _ = network(inputs.rows(held), there[held])
            score = of_the_first(float(functional.cross_entropy(logits, right[held])))
        if score < best - 1e-4:
            best, best_state, waited = score, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
            if waited >= training.patience:
                log.debug("stopped after epoch %d", epoch)
                break
    if held.any():
        network.load_state_dict(best_state)
        network.eval()
        with torch.no_grad():
            logits, _, _ = network(inputs.rows(held), there[held])
        _calibrate(network, logits, right[held])
    network.cpu().eval()


def _loss(network: FusionNetwork, inputs: Inputs, kept: Tensor, right: Tensor, training: Training) -> Tensor:
    logits, shares, own = network(inputs, kept)
    loss = functional.cross_entropy(logits, right, label_smoothing=training.smoothing)
    wide = right[:, None].expand(kept.shape)
    loss = loss + 0.3 * functional.cross_entropy(own[kept], wide[kept], label_smoothing=training.smoothing)
    together = kept & (kept.sum(dim=1, keepdim=True) > 1)
    mean = (shares * together).sum(dim=0) / together.sum(dim=0).clamp(min=1)
    guarded: Tensor = loss + training.guard * ((_FLOOR - mean).clamp(min=0) * together.any(dim=0)).sum()
    return guarded


def _calibrate(network: FusionNetwork, logits: Tensor, right: Tensor) -> None:
    """Fit the temperature, on a grid from 0.4 to 2.5: finer than the few samples held out can tell."""
    grid = torch.logspace(-0.4, 0.4, 33)
    losses = torch.stack([functional.cross_entropy(logits / value, right) for value in grid])
    network.temperature.data.copy_(grid[int(losses.argmin())])
