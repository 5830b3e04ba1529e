"""Reliance of a fusion head: accuracy with, without and with only each modality, and a collapsed head by name."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.evaluation.reliance import Reliance, reliance
from mmemo.fusion.late import LateFusion, scores_only
from mmemo.labels import EKMAN7

TARGET = np.arange(140) % 7


def logits(right: float) -> np.ndarray:
    """Logits whose highest class is the target's in the first ``right`` of the samples, and the next one in others."""
    shift = np.arange(140) >= right * 140
    return 6.0 * np.eye(7)[(TARGET + shift) % 7]


def test_accuracy_with_and_without_each_modality_by_hand() -> None:
    encodings = {"face": scores_only(logits(0.9)), "voice": scores_only(logits(0.5))}
    measured = reliance(LateFusion(EKMAN7, {"face": 1.0, "voice": 0.3}), encodings, TARGET)
    assert measured.samples == 140
    assert measured.score == pytest.approx(0.9)  # the face has the larger weight
    assert measured.without == pytest.approx({"face": 0.5, "voice": 0.9})
    assert measured.alone == pytest.approx({"face": 0.9, "voice": 0.5})
    assert sum(measured.shares.values()) == pytest.approx(1)
    assert measured.ignored == ()


def test_a_collapsed_head_is_reported_by_name() -> None:
    collapsed = Reliance(
        9, {"face": 0.97, "voice": 0.03}, 0.8, {"face": 0.5, "voice": 0.8}, {"face": 0.8, "voice": 0.5}
    )
    assert collapsed.ignored == ("voice",)
    assert "ignores voice" in str(collapsed)
    useful = Reliance(9, {"face": 0.97, "voice": 0.03}, 0.8, {"face": 0.5, "voice": 0.7}, {"face": 0.8, "voice": 0.5})
    assert useful.ignored == ()
