"""Sentences made by rule in which the words alone mislead: denial, quantifiers, wishes, past and present, irony.

Corpora have too few of them to learn more from than words. Each rule is a pattern with places for feelings or events;
its label follows from what fills them. The patterns of each language are a file in ``patterns``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain, product

import numpy as np

from mmemo.evidence import Turn
from mmemo.labels import EKMAN7
from mmemo.training.text_corpora import Row

Shares = Mapping[str, float]
"""Label shares of a sentence."""


@dataclass(frozen=True)
class Patterns:
    """The patterns of one language, by what they do to the feeling in ``{a}``; ``{b}`` has another label than it.

    Attributes:
        feelings: words that name a feeling, by label; ``neutral`` names its absence.
        events: clauses that tell what happened, by label; ``neutral`` among them. In English they begin in lower case.
        affirmed: sentences with the label of ``{a}``.
        denied: sentences that deny ``{a}``: neutral for an unpleasant feeling, sad or neutral for joy.
        wished: sentences that wish for ``{a}``, which is joy or calm: sad.
        replaced: sentences of two feelings in which ``{b}`` is the one that holds.
        outweighed: sentences of two events in which ``{b}`` weighs more.
        ironic: praise that means its opposite after an event of bad news.
        fixed: whole sentences and idioms, by label.
        comma: between an exclamation of praise and an event.
        stop: at the end of a sentence.
    """

    feelings: Mapping[str, Sequence[str]]
    events: Mapping[str, Sequence[str]]
    affirmed: Sequence[str]
    denied: Sequence[str]
    wished: Sequence[str]
    replaced: Sequence[str]
    outweighed: Sequence[str]
    ironic: Sequence[str]
    fixed: Mapping[str, Sequence[str]]
    comma: str
    stop: str


LANGUAGES = ("en", "zh", "es")
"""The languages there are patterns of."""
EMOJI: Mapping[str, Sequence[str]] = {
    "neutral": ("👍", "📎", "📅", "🚌", "🙂"),
    "happiness": ("😀", "😄", "😊", "😂", "🤣", "🥰", "😍", "❤️", "🎉", "🥳", "😁", "☀️", "💃", "😎"),
    "sadness": ("😢", "😭", "😔", "💔", "😞", "🥺", "😿", "☹️"),
    "anger": ("😡", "😠", "🤬", "👿", "😤"),
    "fear": ("😨", "😱", "😰", "🫣", "😧"),
    "disgust": ("🤢", "🤮", "💩"),
    "surprise": ("😮", "😲", "🤯", "😯", "🫢"),
}
"""Emoji by the label that a text without a feeling of its own gets from them."""

_BAD = {"anger": 0.6, "sadness": 0.25, "disgust": 0.15}
_NOT_GLAD = {"sadness": 0.5, "anger": 0.2, "neutral": 0.3}
_CALM = {"neutral": 0.85, "happiness": 0.15}
_MISSED = {"sadness": 0.8, "neutral": 0.2}
_UNPLEASANT = ("sadness", "anger", "fear", "disgust")


def constructions(language: str) -> list[Row]:
    """All sentences of a language, "en", "zh" or "es": each group of patterns has about the same number.

    >>> from mmemo.training.constructions import constructions
    >>> rows = {row.text: row for row in constructions("en")}
    >>> rows["I could not be more glad."].target.argmax()
    1
    """
    patterns = _patterns(language)
    groups = [
        list(one)
        for one in (_feelings(patterns), _changes(patterns), _events(patterns), _irony(patterns), _emoji(patterns))
    ]
    fixed = [
        _row(_sentence(text, patterns), {label: 1.0})
        for label, texts in patterns.fixed.items()
        for text in texts
    ]  # fmt: skip
    most = max(map(len, groups))
    # short groups are repeated, so that each is drawn alike
    return list(chain.from_iterable(one * max(1, round(most / len(one))) for one in (*groups, fixed * 2)))


def _patterns(language: str) -> Patterns:
    return Patterns(**tomllib.loads((files("mmemo.training") / "patterns" / f"{language}.toml").read_text("utf-8")))


def _feelings(patterns: Patterns) -> Iterator[Row]:
    for label, words in patterns.feelings.items():
        for word, pattern in product(words, patterns.affirmed):
            yield _row(_sentence(pattern.format(a=word), patterns), {label: 1.0})
        if label == "neutral":
            continue
        denied: Shares = _NOT_GLAD if label == "happiness" else _CALM
        for word, pattern in product(words, patterns.denied):
            yield _row(_sentence(pattern.format(a=word), patterns), denied)
    for word, pattern in product(patterns.feelings["happiness"], patterns.wished):
        yield _row(_sentence(pattern.format(a=word), patterns), _MISSED)


def _changes(patterns: Patterns) -> Iterator[Row]:
    for pattern, first, word, second, other in _pairs(patterns.replaced, patterns.feelings, 2):
        if first != second:
            yield _row(_sentence(pattern.format(a=word, b=other), patterns), {second: 1.0})


def _events(patterns: Patterns) -> Iterator[Row]:
    for label, events in patterns.events.items():
        for event in events:
            yield _row(_sentence(event, patterns), {label: 1.0})
    for pattern, first, event, second, other in _pairs(patterns.outweighed, patterns.events, 3):
        if first != second and second != "neutral":
            shares = {second: 1.0} if first == "neutral" else {second: 0.85, first: 0.15}
            yield _row(_sentence(pattern.format(a=event, b=other), patterns), shares)


def _pairs(
    patterns: Sequence[str], fillings: Mapping[str, Sequence[str]], count: int
) -> Iterator[tuple[str, str, str, str, str]]:
    """Each pattern with some of the fillings of each pair of labels, the same ones each time: all would be too many."""
    rng = np.random.default_rng(0)
    for (first, ours), (second, theirs) in product(fillings.items(), repeat=2):
        for pattern in patterns:
            for _ in range(count):
                yield pattern, first, ours[rng.integers(len(ours))], second, theirs[rng.integers(len(theirs))]


def _irony(patterns: Patterns) -> Iterator[Row]:
    """Praise before or after bad news means the opposite; after other news it means what it says."""
    for label in ("neutral", "happiness", *_UNPLEASANT):
        shares: Shares = _BAD if label in _UNPLEASANT else {"happiness": 1.0}
        for event, praise in product(patterns.events[label], patterns.ironic):
            text = _sentence(praise, patterns)
            yield _row(text, shares, (_sentence(event, patterns),))
            yield _row(_sentence(f"{praise}{patterns.comma}{event}", patterns), shares)


def _emoji(patterns: Patterns) -> Iterator[Row]:
    for label, emoji in EMOJI.items():
        for one in emoji:
            yield _row(one, {label: 1.0})
            yield _row(one * 3, {label: 1.0})
            for event in patterns.events["neutral"]:
                yield _row(f"{_sentence(event, patterns)} {one}", {label: 1.0})
            if label in patterns.events and label != "neutral":
                for event in patterns.events[label]:
                    yield _row(f"{event} {one}", {label: 1.0})


def _sentence(text: str, patterns: Patterns) -> str:
    parts = [part[:1].upper() + part[1:] for part in text.split(". ")]
    return ". ".join(parts) + patterns.stop


def _row(text: str, shares: Shares, before: Sequence[str] = ()) -> Row:
    target = np.array([shares.get(label, 0.0) for label in EKMAN7], np.float32)
    return Row(text, target, text, context=tuple(Turn(line) for line in before), bound=bool(before))
