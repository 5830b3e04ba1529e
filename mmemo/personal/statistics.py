"""Log scores of several clips in few numbers, and how far their mean is a person's habit and not a mood."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
from msgspec import Meta

from mmemo.document import OMIT_DEFAULT, rounded_to
from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError

LogScore = Annotated[float, rounded_to(4)]
SHRINKAGE = 3.0
"""The mean of n clips counts n / (n + 3). 1 to 5 measure the same."""
SPREAD_SHRINKAGE = 20.0
"""The deviations of n clips count n / (n + 20), beside their mean over the labels."""
VARIETY, STEEPNESS = 0.38, 2.51
"""Nats of variety from which on clips rather show several moods than one, and how steeply the odds rise with it.

Learned from sets of 2 to 20 clips of one speaker, of one emotion or of several, one and a half times as careful with
those of one: held-out speakers of RAVDESS, nEMO, ASED and TurEV-DB, EMOVO and CASIA (``benchmarks/baselines.py``).
"""
_LEAST_VARIETY = 0.02
_LARGEST = 1e4
_CLARITY = (0.0, 0.1)
"""Relative gain in variety by removing a place's mean at which that counts not at all, and fully."""
MARGIN = 2.0
"""Of a clip's own label before the others, in log scores of unseen speakers: about 2 for neutral ones."""
NEUTRAL_WEIGHT = 2.0
"""Weight of a clip that is known to be neutral, beside one of unknown mood."""


@dataclass(frozen=True)
class ScoreStatistics:
    """Log scores of one modality over several clips, centered to a mean of 0 over the labels.

    Attributes:
        clips: how many there are.
        mean: (K,) of the clips.
        spread: (K,) their standard deviation.
        variety: mutual information of clip and label, in nats, without the bias of few clips: how much the scores of
            the clips differ from one another. Near 0 for clips of one mood.
        clarity: by what share the variety grows if the mean is removed.
        neutral: how many further clips are known to be neutral.
        neutral_mean: (K,) mean of these.
    """

    clips: Annotated[int, Meta(ge=0, le=10**9)]
    mean: tuple[LogScore, ...]
    spread: tuple[LogScore, ...]
    variety: Annotated[float, rounded_to(4)]
    clarity: Annotated[float, rounded_to(4)]
    neutral: Annotated[int, Meta(ge=0, le=10**9)] = field(default=0, metadata=OMIT_DEFAULT)
    neutral_mean: tuple[LogScore, ...] = field(default=(), metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        values = np.array([*self.mean, *self.spread, *self.neutral_mean, self.variety, self.clarity])
        if len(self.mean) != len(self.spread) or len(self.neutral_mean) not in (0, len(self.mean)):
            raise ArgumentError("ScoreStatistics: mean and spread must have a value for each label.")
        if bool(self.neutral) != bool(self.neutral_mean):
            raise ArgumentError(
                "ScoreStatistics: clips that are known to be neutral need their mean, and a mean clips."
            )
        if not (np.abs(values) <= _LARGEST).all() or min(self.spread, default=0) < 0:
            raise ArgumentError(f"ScoreStatistics: values must be finite, up to {_LARGEST:g}, deviations not negative.")

    @classmethod
    def of(cls, log_scores: np.ndarray, neutral: np.ndarray | None = None) -> ScoreStatistics:
        """Statistics of N clips.

        Args:
            log_scores: (N, K) of clips of unknown moods.
            neutral: (M, K) of clips that are known to be neutral.
        """
        width = log_scores.shape[1]
        scores = centered(log_scores)
        mean = scores.mean(axis=0) if len(scores) else np.zeros(width)
        spread = scores.std(axis=0, ddof=1) if len(scores) > 1 else np.zeros(width)
        variety = variety_of(scores)
        clarity = variety_of(scores - mean) / max(variety, _LEAST_VARIETY) - 1 if len(scores) > 1 else 0.0
        some = neutral is not None and len(neutral) > 0
        return cls(
            len(scores),
            tuple(mean.tolist()),
            tuple(spread.tolist()),
            variety,
            float(clarity),
            len(neutral) if some and neutral is not None else 0,
            tuple(centered(neutral).mean(axis=0).tolist()) if some and neutral is not None else (),
        )

    @property
    def mixed(self) -> float:
        """How sure it is that the clips show several moods, 0 to 1: 0 at even odds or worse."""
        if self.clips < 2:
            return 0.0
        odds = ((max(self.variety, 0.0) + _LEAST_VARIETY) / VARIETY) ** (STEEPNESS * np.log(self.clips))
        return float(max(0.0, 2 * odds / (1 + odds) - 1))

    @property
    def clearer(self) -> float:
        """How far scores tell clips better apart without the mean, 0 to 1."""
        low, high = _CLARITY
        return float(np.clip((self.clarity - low) / (high - low), 0, 1))

    @property
    def material(self) -> float:
        """How much the mean can be trusted for its number of clips, 0 to 1."""
        return self.clips / (self.clips + SHRINKAGE)


@dataclass(frozen=True, eq=False)
class ScoreCorrection:
    """Affine correction of the log scores of one modality: ``(centered log scores - offset) * scale``.

    Attributes:
        offset: (K,) float64.
        scale: (K,) float64.
    """

    offset: np.ndarray
    scale: np.ndarray

    def __call__(self, encoding: Encoding) -> Encoding:
        """The encoding with corrected logits."""
        logits = (centered(log_softmax(encoding.logits.astype(float))) - self.offset) * self.scale
        return replace(encoding, logits=logits.astype(np.float32))


def correction(
    own: ScoreStatistics, strength: float, place: np.ndarray | None = None, neutral: int | None = None
) -> ScoreCorrection:
    """The correction of a person's scores.

    Args:
        own: of the person's clips.
        strength: of their mean, 0 to 1, before it is shrunk for its number of clips.
        place: (K,) offset of the recording situation, which the person's is shrunk towards; none by default.
        neutral: index of the label "neutral"; without it clips that are known to be neutral don't count.
    """
    base = np.zeros(len(own.mean)) if place is None else place
    amount = strength * own.material
    offset = base + amount * (np.array(own.mean) - base)
    if own.neutral and neutral is not None:
        offset += neutral_share(own, strength) * (np.array(own.neutral_mean) - margins(len(base))[neutral] - offset)
    return ScoreCorrection(offset, equalizing(np.array(own.spread), own.clips) ** amount)


def equalizing(spread: np.ndarray, clips: int) -> np.ndarray:
    """(K,) scale that makes the log scores of all labels vary equally, shrunk towards 1 where there are few clips."""
    if clips < 2 or not spread.any():
        return np.ones(len(spread))
    variance, freedom = spread**2, clips - 1
    deviation = np.sqrt((freedom * variance + SPREAD_SHRINKAGE * variance.mean()) / (freedom + SPREAD_SHRINKAGE))
    return np.asarray(deviation.mean() / deviation)


def margins(labels: int) -> np.ndarray:
    """(K, K) centered log scores of a typical clip of each label, without a baseline."""
    return np.asarray(MARGIN * (np.eye(labels) - 1 / labels))


def neutral_share(own: ScoreStatistics, strength: float) -> float:
    """Weight of the clips that are known to be neutral, beside the others and none, from 0 to 1."""
    known = NEUTRAL_WEIGHT * own.neutral
    return known / (known + SHRINKAGE + strength * own.clips)


def centered(log_scores: np.ndarray) -> np.ndarray:
    """Log scores (…, K) float64 with a mean of 0 over the labels."""
    scores = np.asarray(log_scores, float)
    return np.asarray(scores - scores.mean(axis=-1, keepdims=True))


def variety_of(log_scores: np.ndarray) -> float:
    """Mutual information of clip and label in nats, from log scores (N, K); 0 for fewer than two clips."""
    if len(log_scores) < 2:
        return 0.0
    scores = softmax(log_scores)
    information = _entropy(scores.mean(axis=0)) - _entropy(scores).mean()
    return float(information * len(scores) / (len(scores) - 1))


def _entropy(scores: np.ndarray) -> np.ndarray:
    """In nats, over the last axis."""
    return np.asarray(-(scores * np.log(np.maximum(scores, 1e-12))).sum(axis=-1))
