"""Training of the networks for micro-expression recognition, on a few hundred flow images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FRAMES = 4
"""Frames of a sequence made from one flow image."""


@dataclass(frozen=True)
class MicroSchedule:
    """Settings of the training; fixed beforehand, never chosen by the score of a held-out subject.

    Attributes:
        epochs: number of passes.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        batch: images in a batch.
        shift: largest shift of an image either way, in pixels.
        smoothing: label smoothing of the loss.
        balance: power of the inverse class frequencies in the loss; 1 makes classes count equally.
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
        images: (N, 3, 28, 28) float32, normalized.
        target: (N,) int class indices; every class occurs.
        schedule: settings.
        seed: of the weights and of all random numbers.
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
    """Flow images (N, 3, H, W), plain and mirrored, shifted by up to ``shift`` pixels either way: (V, N, …).

    V is 18 for a shift of 1. Computed once, they cost a third less time than computed anew in every epoch.
    """
    height, width = images.shape[2:]
    mirror = images.flip(3) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    shifted = []
    for view in (images, mirror):
        padded = functional.pad(view, (shift,) * 4, mode="replicate")
        for row in range(2 * shift + 1):
            for column in range(2 * shift + 1):
                shifted.append(padded[:, :, row : row + height, column : column + width])
    return torch.stack(shifted)


class GrowingFlow(nn.Module):
    """Adapter of a sequence network to single flow images: it runs on a sequence with linearly growing flow.

    Where only onset and apex are known, the flow between them is taken to grow evenly from zero: each frame is the flow
    image at the apex times 1/T, 2/T … 1. The sequence has no more information than its last image.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("shares", torch.arange(1, FRAMES + 1) / FRAMES, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of flow images (N, 3, H, W)."""
        logits: torch.Tensor = self.network(images[:, None] * self.shares[:, None, None, None])  # type: ignore[index]
        return logits
