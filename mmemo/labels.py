"""Label sets of the field, and explicit mappings between them that say what they lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mmemo.errors import LabelError, expected_one_of


@dataclass(frozen=True)
class LabelSet:
    """An ordered set of class names. The order is the order of every score array made with it.

    Raises:
        LabelError: if there are fewer than two labels, or one is named twice.
    """

    name: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise LabelError(f"Label set {self.name!r} needs two or more different labels, got {self.labels}.")

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __getitem__(self, index: int) -> str:
        return self.labels[index]

    def index(self, label: str) -> int:
        """The position of ``label``.

        Raises:
            LabelError: if the set has no such label.
        """
        try:
            return self.labels.index(label)
        except ValueError:
            raise LabelError(expected_one_of(f"Label of {self.name}", self.labels, label)) from None

    def scores(self, values: np.ndarray) -> dict[str, float]:
        """Name the values of an array of shape ``(K,)``."""
        if values.shape != (len(self),):
            raise LabelError(f"{self.name} has {len(self)} labels, got an array of shape {values.shape}.")
        return {label: float(value) for label, value in zip(self.labels, values, strict=True)}


EKMAN7 = LabelSet("ekman7", ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise"))
RAVDESS8 = LabelSet("ravdess8", ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise"))
FER7 = LabelSet("fer7", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))
FER8 = LabelSet("fer8", ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"))
MELD7 = LabelSet("meld7", ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise"))
DAIR6 = LabelSet("dair6", ("sadness", "joy", "love", "anger", "fear", "surprise"))
EMORYNLP7 = LabelSet("emorynlp7", ("neutral", "joyful", "peaceful", "powerful", "mad", "sad", "scared"))
GOEMOTIONS28 = LabelSet(
    "goemotions28",
    (
        "admiration",
        "amusement",
        "anger",
        "annoyance",
        "approval",
        "caring",
        "confusion",
        "curiosity",
        "desire",
        "disappointment",
        "disapproval",
        "disgust",
        "embarrassment",
        "excitement",
        "fear",
        "gratitude",
        "grief",
        "joy",
        "love",
        "nervousness",
        "optimism",
        "pride",
        "realization",
        "relief",
        "remorse",
        "sadness",
        "surprise",
        "neutral",
    ),
)
MEGC3 = LabelSet("megc3", ("negative", "positive", "surprise"))

LABEL_SETS = {
    labels.name: labels for labels in (EKMAN7, RAVDESS8, FER7, FER8, MELD7, DAIR6, EMORYNLP7, GOEMOTIONS28, MEGC3)
}


@dataclass(frozen=True)
class LabelMapping:
    """A many-to-one mapping of one label set into another.

    Args:
        pairs: target label of every source label; None drops the samples of that label.
        loses: what a reader of mapped scores must know, in one sentence; empty if nothing is lost.

    Raises:
        LabelError: if a source label is missing from ``pairs``, or a name is in neither set.
    """

    source: LabelSet
    target: LabelSet
    pairs: Mapping[str, str | None]
    loses: str = ""

    def __post_init__(self) -> None:
        missing = [label for label in self.source if label not in self.pairs]
        if missing:
            raise LabelError(f"Mapping {self.source.name} to {self.target.name} says nothing of {missing}.")
        for label, to in self.pairs.items():
            self.source.index(label)
            if to is not None:
                self.target.index(to)

    def __call__(self, label: str) -> str | None:
        """The target label of one source label, or None where it is dropped."""
        self.source.index(label)
        return self.pairs[label]

    def matrix(self) -> np.ndarray:
        """Zeros and ones of shape ``(len(source), len(target))``, float32: source scores @ matrix = target scores."""
        table = np.zeros((len(self.source), len(self.target)), np.float32)
        for label, to in self.pairs.items():
            if to is not None:
                table[self.source.index(label), self.target.index(to)] = 1.0
        return table


RAVDESS8_TO_EKMAN7 = LabelMapping(
    RAVDESS8,
    EKMAN7,
    {
        "neutral": "neutral",
        "calm": "neutral",
        "happy": "happiness",
        "sad": "sadness",
        "angry": "anger",
        "fear": "fear",
        "disgust": "disgust",
        "surprise": "surprise",
    },
    loses="Calm is counted as neutral.",
)
FER7_TO_EKMAN7 = LabelMapping(
    FER7,
    EKMAN7,
    {
        "angry": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "sad": "sadness",
        "surprise": "surprise",
        "neutral": "neutral",
    },
)
FER8_TO_EKMAN7 = LabelMapping(
    FER8, EKMAN7, {**{label: label for label in EKMAN7}, "contempt": None}, loses="Contempt is dropped."
)
MELD7_TO_EKMAN7 = LabelMapping(
    MELD7, EKMAN7, {**{label: label for label in EKMAN7 if label in MELD7}, "joy": "happiness"}
)
DAIR6_TO_EKMAN7 = LabelMapping(
    DAIR6,
    EKMAN7,
    {
        "sadness": "sadness",
        "joy": "happiness",
        "love": "happiness",
        "anger": "anger",
        "fear": "fear",
        "surprise": "surprise",
    },
    loses="Love is counted as happiness; there is no neutral and no disgust.",
)
EMORYNLP7_TO_EKMAN7 = LabelMapping(
    EMORYNLP7,
    EKMAN7,
    {
        "neutral": "neutral",
        "joyful": "happiness",
        "peaceful": None,
        "powerful": None,
        "mad": "anger",
        "sad": "sadness",
        "scared": "fear",
    },
    loses="Peaceful and powerful have no counterpart and are dropped; there is no disgust and no surprise.",
)
