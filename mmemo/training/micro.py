"""Training of the small networks that recognise micro-expressions, on some hundred flow images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

MOMENTS = 4
"""Moments of a sequence made from one flow image."""


@dataclass(frozen=True)
class MicroSchedule:
    """How to train; fixed before, never chosen by the score of a held-out subject.

    Attributes:
        shift: largest shift of an image either way, in pixels.
        smoothing: of the labels.
        balance: power of the inverse class frequencies in the loss; 1 makes classes count alike.
    """

    epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    batch: int = 64
    shift: int = 1
    smoothing: float = 0.1
    balance: float = 1.0


def train(
    make: Callable[[], nn.Module], images: np.ndarray, target: np.ndarray, schedule: MicroSchedule, seed: int
) -> nn.Module:
    """A network trained from scratch: AdamW, one cycle of the learning rate, mirrored and shifted images.

    Args:
        make: builds the network, after the seed is set.
        images: (N, 3, 28, 28) float32, normalised.
        target: (N,) int class indices; every class occurs.
        schedule: how.
        seed: of the weights and of all that is random.
    """
    torch.manual_seed(seed)
    network = make()
    pixels, labels = variants(torch.from_numpy(images), schedule.shift), torch.from_numpy(target)
    frequency = torch.bincount(labels).float() / len(labels)
    weights = frequency**-schedule.balance
    weights /= (weights * frequency).sum()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, foreach=True
    )
    steps = schedule.epochs * -(-len(labels) // schedule.batch)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.learning_rate, total_steps=steps, pct_start=0.1)
    network.train()
    for _ in range(schedule.epochs):
        for rows in torch.split(torch.randperm(len(labels)), schedule.batch):
            logits = network(pixels[torch.randint(len(pixels), (len(rows),)), rows])
            loss = functional.cross_entropy(logits, labels[rows], weights, label_smoothing=schedule.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            scheduler.step()
    return network.eval()


def variants(images: torch.Tensor, shift: int) -> torch.Tensor:
    """Flow images (N, 3, H, W) as they are and in a mirror, shifted by up to ``shift`` pixels either way: (V, N, …).

    V is 18 for a shift of 1. Made once, they cost a third less time than making them anew in every epoch.
    """
    height, width = images.shape[2:]
    mirror = images.flip(3) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    shifted = []
    for seen in (images, mirror):
        padded = functional.pad(seen, (shift,) * 4, mode="replicate")
        for row in range(2 * shift + 1):
            for column in range(2 * shift + 1):
                shifted.append(padded[:, :, row : row + height, column : column + width])
    return torch.stack(shifted)


class MadeSequence(nn.Module):
    """A network of sequences, fed with the sequence that one flow image allows: the flow growing evenly.

    Where only onset and apex are known, all that can be said of the time between is that the flow grows from nothing:
    each moment is the flow image at the apex times 1/T, 2/T … 1. The sequence holds no more than its last image.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("shares", torch.arange(1, MOMENTS + 1) / MOMENTS, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of flow images (N, 3, H, W)."""
        logits: torch.Tensor = self.network(images[:, None] * self.shares[:, None, None, None])  # type: ignore[index]
        return logits
