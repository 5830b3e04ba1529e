from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmemo.training.losses import masked_cross_entropy, triplet_loss


def test_triplet_loss_by_its_definition() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(12, 5), torch.tensor([0, 1, 2] * 4)
    unit = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    distance = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    expected = []
    for i in range(12):
        same = [distance[i, j] for j in range(12) if j != i and labels[j] == labels[i]]
        other = [distance[i, j] for j in range(12) if labels[j] != labels[i]]
        expected.append(max(0.0, 0.3 + max(same) - min(other)))
    assert float(triplet_loss(features, labels)) == pytest.approx(np.mean(expected), abs=1e-4)


def test_classes_that_lie_apart_lose_nothing_and_mixed_ones_are_pulled_apart() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    assert float(triplet_loss(apart, labels)) == pytest.approx(0, abs=1e-3)
    mixed = torch.tensor([[1.0, 0.1], [0.1, 1.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    before = triplet_loss(mixed, labels)
    before.backward()
    assert mixed.grad is not None
    assert torch.isfinite(mixed.grad).all()
    assert float(triplet_loss(mixed.detach() - 0.1 * mixed.grad, labels)) < float(before.detach())


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [4]])
def test_without_a_triplet_there_is_no_loss(labels: list[int]) -> None:
    features = torch.randn(len(labels), 3, requires_grad=True)
    loss = triplet_loss(features, torch.tensor(labels))
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(features.grad.abs().sum()) == 0


def test_equal_features_have_a_finite_gradient() -> None:
    features = torch.ones(4, 3, requires_grad=True)
    triplet_loss(features, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(features.grad).all()


def test_cross_entropy_of_the_classes_that_a_sample_could_have() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(5, 4, requires_grad=True), torch.tensor([0, 1, 2, 1, 0])
    every = torch.ones(5, 4, dtype=torch.bool)
    expected = functional.cross_entropy(logits, target, reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(masked_cross_entropy(logits, target, every, 0.1), expected)
    allowed = every.clone()
    allowed[:, 3] = False
    among = functional.cross_entropy(logits[:, :3], target, reduction="none", label_smoothing=0.1)
    losses = masked_cross_entropy(logits, target, allowed, 0.1)
    torch.testing.assert_close(losses, among)
    losses.sum().backward()
    assert not logits.grad[:, 3].any()
    assert logits.grad[:, :3].all()
