"""Losses beyond cross-entropy."""

from __future__ import annotations

import torch
from torch.nn import functional


def triplet_loss(features: torch.Tensor, labels: torch.Tensor, margin: float = 0.3) -> torch.Tensor:
    """Batch-hard triplet loss: the farthest sample of the same class should be nearer than the nearest of another.

    ``mean(max(0, margin + max_same d - min_other d))`` over the samples that have both, d the Euclidean distance of the
    features after they are scaled to length 1.

    Source: Hermans et al., "In defense of the triplet loss for person re-identification", 2017 (arXiv:1703.07737).

    Args:
        features: (N, D).
        labels: (N,) int.
        margin: least difference of the two distances, between 0 and 2.

    Returns:
        A scalar; 0 if no sample has both.
    """
    unit = functional.normalize(features.float(), dim=1)
    # Kept off zero, where the root has no gradient.
    distance = (2 - 2 * unit @ unit.T).clamp_min(1e-6).sqrt()
    same = labels[:, None] == labels[None]
    other = ~same
    same = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    farthest = distance.masked_fill(~same, -1).amax(dim=1)
    nearest = distance.masked_fill(~other, 3).amin(dim=1)
    usable = same.any(dim=1) & other.any(dim=1)
    if not usable.any():
        return features.sum() * 0
    return functional.relu(margin + farthest - nearest)[usable].mean()


def masked_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, allowed: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Cross-entropy of each sample among the classes that it could have; the logits of the others get no gradient.

    For training on several corpora: one without disgust says nothing of disgust.

    Args:
        logits: (N, K).
        target: (N,) int, each one of the allowed classes.
        allowed: (N, K) bool.
        smoothing: share of the target that is divided among the allowed classes (label smoothing).

    Returns:
        (N,).
    """
    log_shares = logits.masked_fill(~allowed, -torch.inf).log_softmax(dim=1)
    even = torch.where(allowed, log_shares, 0).sum(dim=1) / allowed.sum(dim=1)
    return -(1 - smoothing) * log_shares.gather(1, target[:, None])[:, 0] - smoothing * even
