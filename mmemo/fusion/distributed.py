"""Training a head in several processes at once, as ``accelerate launch`` or ``torchrun`` starts them.

Every process holds all samples, draws the same batches, and takes its part of each; gradients are summed before the
step, so all have the same weights at any time. In one process none of this changes anything.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


def rank_and_count() -> tuple[int, int]:
    """Rank of this process, and the number of processes; (0, 1) without a launcher."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def own_rows(rows: Tensor) -> Tensor:
    """The rows of a batch that this process takes; may be none in the last batch."""
    rank, count = rank_and_count()
    return rows[rank::count]


def sum_gradients(network: nn.Module) -> None:
    """Replace each gradient by the sum over all processes."""
    if rank_and_count()[1] == 1:
        return
    for parameter in network.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)


def broadcast_first(value: float) -> float:
    """The first process's value, so that all take the same decision."""
    if rank_and_count()[1] == 1:
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    if distributed.get_backend() == "nccl":
        shared = shared.cuda()
    distributed.broadcast(shared, src=0)
    return float(shared.item())
