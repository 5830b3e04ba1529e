"""Label sets of the field, and explicit mappings between them that say what they lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmemo.errors import LabelError, expected_one_of


@dataclass(frozen=True)
class LabelSet:
    """An ordered set of class names. The order is the order of every score array made with it.

    Raises:
        LabelError: if there are fewer than two labels, or one is named twice.

    >>> from mmemo.labels import LabelSet
    >>> moods = LabelSet("moods", ("calm", "tense"))
    >>> moods.index("tense"), moods[0], len(moods)
    (1, 'calm', 2)
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

    def to_config(self) -> dict[str, Any]:
        """The one form of a label set on disk: ``{"name": "mine", "labels": ["calm", "tense"]}``."""
        return {"name": self.name, "labels": list(self.labels)}

    @classmethod
    def from_config(cls, config: Any) -> LabelSet:
        """The label set that `to_config` wrote.

        Weights saved by the first version are read too: they hold the name of a set in `LABEL_SETS`, or the labels
        without a name.

        Raises:
            LabelError: if it is neither, or names a set that is not known.
        """
        match config:
            case {"name": str(name), "labels": [*labels]} if all(isinstance(label, str) for label in labels):
                return cls(name, tuple(labels))
            case str(name) if name in LABEL_SETS:
                return LABEL_SETS[name]
            case [*labels] if all(isinstance(label, str) for label in labels):
                known = (label_set for label_set in LABEL_SETS.values() if label_set.labels == tuple(labels))
                return next(known, None) or cls("own", tuple(labels))
            case str(name):
                raise LabelError(expected_one_of("Label set", LABEL_SETS, name))
        raise LabelError(f'Label set: expected {{"name": …, "labels": […]}}, got {config!r}.')

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

CREMAD6 = LabelSet("cremad6", ("neutral", "happy", "sad", "anger", "fear", "disgust"))
SAVEE7 = LabelSet("savee7", ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise"))
EMODB7 = LabelSet("emodb7", ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "boredom"))
NEMO6 = LabelSet("nemo6", ("neutral", "happiness", "sadness", "anger", "fear", "surprise"))
TESS7 = LabelSet("tess7", ("neutral", "happy", "sad", "angry", "fear", "disgust", "pleasant surprise"))
ASED5 = LabelSet("ased5", ("neutral", "fear", "happy", "sad", "angry"))
TUREV4 = LabelSet("turev4", ("calm", "happy", "sad", "angry"))
IEMOCAP10 = LabelSet(
    "iemocap10",
    (
        "neutral",
        "happiness",
        "excited",
        "sadness",
        "anger",
        "frustration",
        "fear",
        "surprise",
        "disgust",
        "other",
    ),
)
AFFECTNET8 = LabelSet(
    "affectnet8", ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
)
RAFDB7 = LabelSet("rafdb7", ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"))
CK8 = LabelSet("ck8", ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"))
XED9 = LabelSet("xed9", ("neutral", "anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust"))
SMP6 = LabelSet("smp6", ("neutral", "happy", "angry", "sad", "fear", "surprise"))
BRIGHTER7 = LabelSet("brighter7", ("neutral", "anger", "disgust", "fear", "joy", "sadness", "surprise"))
EMOEVENT7 = LabelSet("emoevent7", ("anger", "disgust", "fear", "joy", "sadness", "surprise", "others"))
AETD8 = LabelSet("aetd8", ("none", "joy", "love", "sympathy", "sadness", "anger", "fear", "surprise"))
CPED13 = LabelSet(
    "cped13",
    (
        "happy",
        "grateful",
        "relaxed",
        "positive-other",
        "neutral",
        "anger",
        "sadness",
        "fear",
        "depress",
        "disgust",
        "astonished",
        "worried",
        "negative-other",
    ),
)
EMPATHETIC32 = LabelSet(
    "empathetic32",
    (
        "afraid",
        "angry",
        "annoyed",
        "anticipating",
        "anxious",
        "apprehensive",
        "ashamed",
        "caring",
        "confident",
        "content",
        "devastated",
        "disappointed",
        "disgusted",
        "embarrassed",
        "excited",
        "faithful",
        "furious",
        "grateful",
        "guilty",
        "hopeful",
        "impressed",
        "jealous",
        "joyful",
        "lonely",
        "nostalgic",
        "prepared",
        "proud",
        "sad",
        "sentimental",
        "surprised",
        "terrified",
        "trusting",
    ),
)
MOSEI6 = LabelSet("mosei6", ("happiness", "sadness", "anger", "surprise", "disgust", "fear"))
SENTIMENT3 = LabelSet("sentiment3", ("negative", "neutral", "positive"))
CASME7 = LabelSet("casme7", ("happiness", "disgust", "repression", "surprise", "fear", "sadness", "others"))
SAMM8 = LabelSet("samm8", ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise", "other"))

LABEL_SETS = {
    labels.name: labels
    for labels in (
        EKMAN7,
        RAVDESS8,
        FER7,
        FER8,
        MELD7,
        DAIR6,
        EMORYNLP7,
        GOEMOTIONS28,
        MEGC3,
        CREMAD6,
        SAVEE7,
        EMODB7,
        NEMO6,
        TESS7,
        ASED5,
        TUREV4,
        IEMOCAP10,
        AFFECTNET8,
        RAFDB7,
        CK8,
        XED9,
        SMP6,
        BRIGHTER7,
        EMOEVENT7,
        AETD8,
        CPED13,
        EMPATHETIC32,
        MOSEI6,
        SENTIMENT3,
        CASME7,
        SAMM8,
    )
}


@dataclass(frozen=True)
class LabelMapping:
    """A many-to-one mapping of one label set into another.

    Args:
        pairs: target label of every source label; None drops the samples of that label.
        loses: what a reader of mapped scores must know, in one sentence; empty if nothing is lost.

    Raises:
        LabelError: if a source label is missing from ``pairs``, or a name is in neither set.

    >>> import numpy as np
    >>> from mmemo.labels import LabelMapping, LabelSet
    >>> moods = LabelSet("moods", ("calm", "tense"))
    >>> mapping = LabelMapping(
    ...     LabelSet("mine", ("relaxed", "stressed", "unclear")),
    ...     moods,
    ...     {"relaxed": "calm", "stressed": "tense", "unclear": None},
    ... )
    >>> mapping("stressed")
    'tense'
    >>> np.array([0.5, 0.25, 0.25]) @ mapping.matrix()
    array([0.5 , 0.25])
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


_SAME_WORD = {
    **{label: label for label in EKMAN7},
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "angry": "anger",
}


def _to_ekman7(source: LabelSet, loses: str = "", **others: str | None) -> LabelMapping:
    """Labels that are the same emotion by another word keep it; ``others`` says what becomes of the rest."""
    pairs = {label: _SAME_WORD[label] for label in source if label in _SAME_WORD}
    return LabelMapping(source, EKMAN7, pairs | {name.replace("_", " "): to for name, to in others.items()}, loses)


RAVDESS8_TO_EKMAN7 = _to_ekman7(RAVDESS8, "Calm is counted as neutral.", calm="neutral")
FER7_TO_EKMAN7 = _to_ekman7(FER7)
FER8_TO_EKMAN7 = _to_ekman7(FER8, "Contempt is dropped.", contempt=None)
MELD7_TO_EKMAN7 = _to_ekman7(MELD7)
DAIR6_TO_EKMAN7 = _to_ekman7(
    DAIR6, "Love is counted as happiness; there is no neutral and no disgust.", love="happiness"
)
EMORYNLP7_TO_EKMAN7 = _to_ekman7(
    EMORYNLP7,
    "Peaceful and powerful have no counterpart and are dropped; there is no disgust and no surprise.",
    joyful="happiness",
    mad="anger",
    scared="fear",
    peaceful=None,
    powerful=None,
)
CREMAD6_TO_EKMAN7 = _to_ekman7(CREMAD6, "There is no surprise.")
SAVEE7_TO_EKMAN7 = _to_ekman7(SAVEE7)
EMODB7_TO_EKMAN7 = _to_ekman7(EMODB7, "Boredom is dropped; there is no surprise.", boredom=None)
NEMO6_TO_EKMAN7 = _to_ekman7(NEMO6, "There is no disgust.")
TESS7_TO_EKMAN7 = _to_ekman7(TESS7, "Surprise is of the pleasant kind only.", pleasant_surprise="surprise")
ASED5_TO_EKMAN7 = _to_ekman7(ASED5, "There is no disgust and no surprise.")
TUREV4_TO_EKMAN7 = _to_ekman7(
    TUREV4, "Calm is counted as neutral; there is no fear, no disgust and no surprise.", calm="neutral"
)
IEMOCAP10_TO_EKMAN7 = _to_ekman7(
    IEMOCAP10,
    "Excited is counted as happiness, as is usual; frustration and other are dropped.",
    excited="happiness",
    frustration=None,
    other=None,
)
AFFECTNET8_TO_EKMAN7 = _to_ekman7(AFFECTNET8, "Contempt is dropped.", contempt=None)
RAFDB7_TO_EKMAN7 = _to_ekman7(RAFDB7)
CK8_TO_EKMAN7 = _to_ekman7(CK8, "Contempt is dropped.", contempt=None)
XED9_TO_EKMAN7 = _to_ekman7(XED9, "Anticipation and trust are dropped.", anticipation=None, trust=None)
SMP6_TO_EKMAN7 = _to_ekman7(SMP6, "There is no disgust.")
BRIGHTER7_TO_EKMAN7 = _to_ekman7(BRIGHTER7, "Not every language has all labels.")
EMOEVENT7_TO_EKMAN7 = _to_ekman7(EMOEVENT7, "Others, mostly without emotion, are counted as neutral.", others="neutral")
AETD8_TO_EKMAN7 = _to_ekman7(
    AETD8,
    "Love is counted as happiness, sympathy is dropped; there is no disgust.",
    none="neutral",
    love="happiness",
    sympathy=None,
)
CPED13_TO_EKMAN7 = LabelMapping(
    CPED13,
    EKMAN7,
    {
        "happy": "happiness",
        "grateful": "happiness",
        "relaxed": "happiness",
        "positive-other": None,
        "neutral": "neutral",
        "anger": "anger",
        "sadness": "sadness",
        "depress": "sadness",
        "fear": "fear",
        "worried": "fear",
        "disgust": "disgust",
        "astonished": "surprise",
        "negative-other": None,
    },
    loses="Grateful and relaxed are counted as happiness, depressed as sadness, worried as fear; other positive and "
    "negative emotions are dropped.",
)
_EMPATHETIC_GROUPS = {
    "happiness": ("content", "excited", "grateful", "joyful", "proud"),
    "sadness": ("devastated", "disappointed", "lonely", "sad"),
    "anger": ("angry", "annoyed", "furious"),
    "fear": ("afraid", "anxious", "apprehensive", "terrified"),
    "disgust": ("disgusted",),
    "surprise": ("surprised",),
}
EMPATHETIC32_TO_EKMAN7 = LabelMapping(
    EMPATHETIC32,
    EKMAN7,
    dict.fromkeys(EMPATHETIC32) | {label: group for group, labels in _EMPATHETIC_GROUPS.items() for label in labels},
    loses="14 emotions of social life, such as pride of others, guilt and trust, are dropped; there is no neutral.",
)
MOSEI6_TO_EKMAN7 = _to_ekman7(MOSEI6, "There is no neutral.")
CASME7_TO_EKMAN7 = _to_ekman7(CASME7, "Repression and others are dropped.", repression=None, others=None)
SAMM8_TO_EKMAN7 = _to_ekman7(SAMM8, "Contempt and other are dropped.", contempt=None, other=None)

_GOEMOTIONS_GROUPS = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "happiness": (
        "admiration",
        "amusement",
        "approval",
        "caring",
        "desire",
        "excitement",
        "gratitude",
        "joy",
        "love",
        "optimism",
        "pride",
        "relief",
    ),
    "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
    "surprise": ("confusion", "curiosity", "realization", "surprise"),
    "neutral": ("neutral",),
}
GOEMOTIONS28_TO_EKMAN7 = LabelMapping(
    GOEMOTIONS28,
    EKMAN7,
    {label: group for group, labels in _GOEMOTIONS_GROUPS.items() for label in labels},
    loses="The grouping of the corpus itself: every pleasant emotion is counted as happiness, curiosity as surprise.",
)
_NEGATIVE = dict.fromkeys(("anger", "contempt", "disgust", "fear", "repression", "sadness"), "negative")
_MEGC = {**_NEGATIVE, "happiness": "positive", "surprise": "surprise", "other": None, "others": None}
CASME7_TO_MEGC3 = LabelMapping(CASME7, MEGC3, {label: _MEGC[label] for label in CASME7}, loses="Others are dropped.")
SAMM8_TO_MEGC3 = LabelMapping(SAMM8, MEGC3, {label: _MEGC[label] for label in SAMM8}, loses="Other is dropped.")

MAPPINGS = tuple(one for one in list(globals().values()) if isinstance(one, LabelMapping))
"""Every mapping of this module."""


def find_mapping(source: LabelSet, target: LabelSet) -> LabelMapping | None:
    """The mapping of one label set into another; None if there is none.

    >>> from mmemo.labels import EKMAN7, RAVDESS8, find_mapping
    >>> find_mapping(RAVDESS8, EKMAN7)("calm")
    'neutral'
    """
    return next((one for one in MAPPINGS if one.source == source and one.target == target), None)


def to_ekman7(source: LabelSet) -> LabelMapping:
    """The mapping into `EKMAN7` of a label set of this module, or of one whose labels are words for the seven.

    Raises:
        LabelError: if labels of ``source`` are known to none of the mappings; give a `LabelMapping` of your own.

    >>> from mmemo.labels import LabelSet, to_ekman7
    >>> to_ekman7(LabelSet("mine", ("happy", "sad")))("happy")
    'happiness'
    """
    try:
        return find_mapping(source, EKMAN7) or _to_ekman7(source)
    except LabelError as error:
        raise LabelError(f"{error} Map them with a LabelMapping of your own, or take those rows out.") from None


__all__ = ["LABEL_SETS", "MAPPINGS", "LabelMapping", "LabelSet", "find_mapping", "to_ekman7"]
__all__ += [name for name, value in list(globals().items()) if isinstance(value, LabelSet | LabelMapping)]


def __dir__() -> list[str]:
    return __all__
