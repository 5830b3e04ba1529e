"""Valence, arousal and dominance, and where the emotion categories lie among them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import numpy as np

from mmemo.document import OMIT_DEFAULT, rounded_to
from mmemo.errors import ArgumentError

Degree = Annotated[float, rounded_to(5, ge=-1, le=1)]
"""From -1 to 1."""
_TERMS: Final = (
    (("neutral",), (0.0, 0.0, 0.0)),
    (("happiness", "happy"), (0.81, 0.51, 0.46)),
    (("joy", "joyful"), (0.76, 0.48, 0.35)),
    (("excitement", "excited"), (0.62, 0.75, 0.38)),
    (("sadness", "sad"), (-0.63, -0.27, -0.33)),
    (("boredom", "bored"), (-0.65, -0.62, -0.33)),
    (("anger", "angry"), (-0.51, 0.59, 0.25)),
    (("contempt", "contemptuous"), (-0.24, 0.31, 0.21)),
    (("fear", "fearful"), (-0.64, 0.60, -0.43)),
    (("disgust", "disgusted"), (-0.60, 0.35, 0.11)),
    (("surprise", "surprised"), (0.40, 0.67, -0.13)),
)
PLACES: Final[Mapping[str, tuple[float, float, float]]] = {word: place for words, place in _TERMS for word in words}
"""Valence, arousal and dominance of each emotion word: how people rated the adjective on average.

Source: J. A. Russell and A. Mehrabian, "Evidence for a three-factor theory of emotions", Journal of Research in
Personality 11 (1977), 273-294, table 4 (pleasure, arousal, dominance). Neutral is the middle of the scale.
"""


@dataclass(frozen=True)
class Affect:
    """Valence, arousal and dominance, each from -1 to 1, with 0 in the middle of the raters' scale.

    Attributes:
        valence: unpleasant to pleasant.
        arousal: calm to excited.
        dominance: controlled to in control.
        derived: whether it follows, wholly or in part, from category scores by `PLACES`; otherwise it was predicted.

    Raises:
        ArgumentError: if a value lies outside.
    """

    valence: Degree
    arousal: Degree
    dominance: Degree
    derived: bool = field(default=False, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        if not all(-1 <= value <= 1 for value in (self.valence, self.arousal, self.dominance)):
            raise ArgumentError(f"Affect: expected values from -1 to 1, got {self}.")


def places_of(labels: Iterable[str]) -> np.ndarray | None:
    """Valence, arousal and dominance (K, 3) float64 of each label; None if any label has no place in `PLACES`."""
    places = [PLACES.get(label.casefold()) for label in labels]
    return None if None in places else np.array(places, float)


def derive_affect(scores: Mapping[str, float]) -> Affect | None:
    """Expectation of valence, arousal and dominance under category scores; None if a label has no place in `PLACES`.

    Raises:
        ArgumentError: if the scores are no shares.

    >>> derive_affect({"happy": 0.5, "neutral": 0.5})
    Affect(valence=0.405, arousal=0.255, dominance=0.23, derived=True)
    >>> derive_affect({"positive": 0.5, "negative": 0.5})
    """
    places = [place for label in scores if (place := PLACES.get(label.casefold()))]
    if len(places) < len(scores):
        return None
    return _mean(places, [round(float(score), 5) for score in scores.values()], derived=True)


def mean_affect(affects: Sequence[Affect], weights: Sequence[float]) -> Affect:
    """Weighted mean, derived if any of them is; weights that are all 0 count equally."""
    values = [[round(float(v), 5) for v in (one.valence, one.arousal, one.dominance)] for one in affects]
    shares = [round(float(weight), 3) for weight in weights]
    return _mean(values, shares if any(shares) else [1.0] * len(shares), any(one.derived for one in affects))


def _mean(values: Sequence[Sequence[float]], weights: Sequence[float], derived: bool) -> Affect:
    """Weighted mean of (N, 3) values. All numbers are those of documents, so that a result read again has the same."""
    total = sum(weights)
    if not (min(weights, default=0.0) >= 0 and 0 < total < math.inf):
        raise ArgumentError(f"Affect: expected shares of 0 or more that are not all 0, got {list(weights)}.")
    valence, arousal, dominance = (  # without NumPy, which takes ten times as long for so few numbers
        round(sum(value * weight for value, weight in zip(column, weights, strict=True)) / total, 5)
        for column in zip(*values, strict=True)
    )
    return Affect(valence, arousal, dominance, derived)
