"""Corrections of a model that few clips can bear: of its temperatures, its priors, and the weights of its experts.

Each is drawn to the model as it is by a penalty that weighs as much as some clips do, so that few clips change little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.evaluation.calibration import golden_section
from mmemo.fusion.base import FusionHead, SavableHead
from mmemo.model import EmotionModel

_STEPS, _SWEEPS, _PRECISION = 30, 2, 0.05
_SCALES = 0.2, 5.0
"""Least and largest factor of the logits."""
_WIDEST = 1.5
"""Logarithm of the largest factor of a weight: 4.5."""


@dataclass(frozen=True, eq=False)
class Corrections:
    """What is changed of a model.

    Attributes:
        scales: factor of the log scores, by modality: the temperature is divided by it.
        offsets: (K,) added to the log scores then, by modality: they go into the prior that is divided out.
        weights: factor of the expert's weight in the fusion head, by modality; empty if the head has no such weights.
    """

    scales: Mapping[str, float] = field(default_factory=dict)
    offsets: Mapping[str, np.ndarray] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def of(self, model: EmotionModel) -> EmotionModel:
        """The model, corrected."""
        labels = model.labels
        temperatures = {m: one / self.scales.get(m, 1.0) for m, one in model.temperatures.items()}
        priors = {}
        for modality in model.modalities:
            log_prior = np.log(model.priors.get(modality, np.full(len(labels), 1 / len(labels))))
            log_prior = self.scales.get(modality, 1.0) * log_prior - self.offsets.get(modality, 0.0)
            priors[modality] = labels.scores(softmax(log_prior))
        head = _reweighted(model.fusion, self.weights) if self.weights else model.fusion
        return EmotionModel(list(model.encoders.values()), head, temperatures, model.name, priors)


def fit_corrections(
    model: EmotionModel, raw: Mapping[str, Encoding], target: np.ndarray, strength: float
) -> Corrections:
    """The corrections with the least penalized log loss.

    Only labels that some sample has are learned of: the loss is that of choosing among these, under their own shares
    among the samples, so that a label that is frequent here is not taken for one that is scored too low.

    Args:
        model: the model as it is.
        raw: what its encoders gave, of N samples.
        target: (N,) int class indices, of two classes at least.
        strength: the number of clips that the penalty weighs as much as.
    """
    classes, counts = np.unique(target, return_counts=True)
    shares, place = np.log(counts / counts.sum()), np.searchsorted(classes, target)
    scales, offsets = {}, {}
    for modality, one in raw.items():
        rows = one.present
        if rows.any():
            logits = model.calibrate_logits(modality, one.logits[rows]).astype(float)[:, classes]
            scale, offset = _fit_scale_and_offset(log_softmax(logits), shares, place[rows], strength)
            scales[modality] = scale
            offsets[modality] = np.zeros(len(model.labels))
            offsets[modality][classes] = offset
    corrected = Corrections(scales, offsets).of(model)
    encodings = {modality: corrected.calibrate(modality, one) for modality, one in raw.items()}
    weights = _fit_weights(corrected.fusion, encodings, classes, shares, place, strength)
    return Corrections(scales, offsets, weights)


def log_loss(scores: np.ndarray, target: np.ndarray, classes: np.ndarray, log_shares: np.ndarray) -> np.ndarray:
    """(N,) log loss of choosing among some classes, whose shares are known, by scores (N, K) under equal shares."""
    with np.errstate(divide="ignore"):
        among = log_softmax(np.log(np.maximum(scores[:, classes], 1e-12)) + log_shares)
    return np.asarray(-among[np.arange(len(target)), np.searchsorted(classes, target)])


def _fit_scale_and_offset(
    logits: np.ndarray, fixed: np.ndarray, target: np.ndarray, strength: float
) -> tuple[float, np.ndarray]:
    """Scale a and offset b (K,) of ``softmax(a * logits + b + fixed)`` by Newton's method; the loss is convex."""
    size = logits.shape[1]
    inputs = np.concatenate([logits[:, :, None], np.broadcast_to(np.eye(size), (len(logits), size, size))], axis=2)
    flat, start = inputs.reshape(-1, size + 1), np.append(1.0, np.zeros(size))
    parameters = start

    def loss(parameters: np.ndarray) -> float:
        log_scores = log_softmax(inputs @ parameters + fixed)
        penalty = strength / 2 * float(np.square(parameters - start).sum())
        return penalty - float(log_scores[np.arange(len(target)), target].sum())

    now = loss(parameters)
    for _ in range(_STEPS):
        scores = softmax(inputs @ parameters + fixed)
        gradient = flat.T @ (scores - np.eye(size)[target]).ravel() + strength * (parameters - start)
        mean = (scores[:, :, None] * inputs).sum(axis=1)
        hessian = flat.T @ (flat * scores.reshape(-1, 1)) - mean.T @ mean + strength * np.eye(size + 1)
        step, length = np.linalg.solve(hessian, gradient), 1.0
        while (then := loss(parameters - length * step)) > now and length > 1e-6:
            length /= 2
        parameters, before, now = parameters - length * step, now, then
        if before - now < 1e-6:
            break
    return float(np.clip(parameters[0], *_SCALES)), parameters[1:]


def _fit_weights(
    head: FusionHead,
    encodings: Mapping[str, Encoding],
    classes: np.ndarray,
    log_shares: np.ndarray,
    place: np.ndarray,
    strength: float,
) -> dict[str, float]:
    """Factors of the head's weights, one after the other, as long as that helps; none if it has no weights."""
    rows = np.flatnonzero(np.sum([one.present for one in encodings.values()], axis=0) > 1)
    known = _weights_of(head)
    modalities = [modality for modality in encodings if modality in known and encodings[modality].present[rows].any()]
    if len(modalities) < 2 or not isinstance(head, SavableHead):
        return {}
    some = {modality: one.rows(rows) for modality, one in encodings.items()}
    logs = dict.fromkeys(modalities, 0.0)

    def loss(modality: str, log_factor: float) -> float:
        factors = {name: math.exp(log_factor if name == modality else one) for name, one in logs.items()}
        scores = _reweighted(head, factors).fuse(some)
        penalty = strength / 2 * sum(math.log(one) ** 2 for one in factors.values())
        return float(log_loss(scores, classes[place[rows]], classes, log_shares).sum()) + penalty

    for _ in range(_SWEEPS):
        for modality in modalities:
            logs[modality] = golden_section(lambda x, m=modality: loss(m, x), -_WIDEST, _WIDEST, _PRECISION)  # type: ignore[misc]
    return {modality: math.exp(one) for modality, one in logs.items()}


def _weights_of(head: FusionHead) -> Mapping[str, Any]:
    """The weights of the modalities, as a product of experts has them; nothing for other heads."""
    weights = head.state()[0].get("weights", {})
    return weights if isinstance(weights, Mapping) else {}


def _reweighted(head: FusionHead, factors: Mapping[str, float]) -> FusionHead:
    """The head with its weights multiplied; all else of it stays."""
    settings, arrays = head.state()
    weights = {
        modality: (np.asarray(weight, float) * factors.get(modality, 1.0)).tolist()
        for modality, weight in settings["weights"].items()
    }
    known = cast(SavableHead, head)  # as every head that has weights; the check of a protocol takes as long as fusing
    return known.from_state(known.labels, {**settings, "weights": weights}, arrays)
