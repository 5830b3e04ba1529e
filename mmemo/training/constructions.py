"""Sentences made by rule in which the words alone mislead: denial, quantifiers, wishes, past and present, irony.

Corpora have too few of them to learn more from than words. Each rule is a pattern with places for feelings or events;
its label follows from what fills them. The patterns of each language are a file in ``patterns``.
"""

from __future__ import annotations

import re
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
        quoted: sentences in which somebody else says ``{a}``.
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
    quoted: Sequence[str]
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


def constructions(language: str, lines: Sequence[Row] = ()) -> list[Row]:
    """Sentences of a language, "en", "zh" or "es": each group of patterns has about the same number.

    Args:
        lines: of a corpus in this language, with one label each. The shorter ones are events too: joined by "but",
            quoted, followed by an emoji or by praise.

    >>> from mmemo.training.constructions import constructions
    >>> rows = {row.text: row for row in constructions("en")}
    >>> rows["I could not be more glad."].target.argmax()
    1
    """
    patterns = _patterns(language)
    events = {label: [*texts, *_short(lines, label)] for label, texts in patterns.events.items()}
    groups = [
        list(one)
        for one in (
            _feelings(patterns),
            _changes(patterns),
            _events(patterns, events),
            _irony(patterns, events),
            _emoji(patterns, events),
        )
    ]
    fixed = [
        _row(_sentence(text, patterns), {label: 1.0})
        for label, texts in patterns.fixed.items()
        for text in texts
    ]  # fmt: skip
    most = max(map(len, groups))
    # short groups are repeated, so that each is drawn as often
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


def _short(lines: Sequence[Row], label: str) -> list[str]:
    """Lines of one label that fit into a sentence, as clauses, and each once."""
    index = EKMAN7.index(label)
    texts = (row.text for row in lines if row.target[index] == 1 and not row.context)
    clauses = (re.sub(r"\s*[.!?。！？…]+$", "", text.strip()) for text in texts)  # noqa: RUF001
    fitting = (one for one in clauses if 3 <= len(one.split()) <= 9 or (" " not in one and 5 <= len(one) <= 20))
    return list(dict.fromkeys(one for one in fitting if not re.search(r"[][\n\"“”@#*:;?¿\uff1f]|http|- |-$", one)))[
        :400
    ]


def _events(patterns: Patterns, events: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    for label, texts in patterns.events.items():
        for event in texts:
            yield _row(_sentence(event, patterns), {label: 1.0})
    few = {label: texts for label, texts in events.items() if texts}
    for pattern, first, event, second, other in _pairs(patterns.outweighed, few, 4):
        if first != second and second != "neutral":
            shares = {second: 1.0} if first == "neutral" else {second: 0.85, first: 0.15}
            yield _row(_sentence(pattern.format(a=event, b=other), patterns), shares)
    for pattern, first, event, second, other in _pairs(patterns.quoted, few, 4):
        if first != second:
            yield _row(_sentence(pattern.format(a=event, b=other), patterns), {second: 1.0})


def _pairs(
    patterns: Sequence[str], fillings: Mapping[str, Sequence[str]], count: int
) -> Iterator[tuple[str, str, str, str, str]]:
    """Each pattern with some of the fillings of each pair of labels, the same ones each time: all would be too many."""
    rng = np.random.default_rng(0)
    for (first, ours), (second, theirs) in product(fillings.items(), repeat=2):
        for pattern in patterns:
            for _ in range(count):
                one, other = int(rng.integers(len(ours))), int(rng.integers(len(theirs)))
                yield pattern, first, ours[one], second, theirs[other]


def _irony(patterns: Patterns, events: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    """Praise before or after bad news means the opposite; after other news it means what it says."""
    rng = np.random.default_rng(0)
    for label in ("neutral", "happiness", *_UNPLEASANT):
        shares: Shares = _BAD if label in _UNPLEASANT else {"happiness": 1.0}
        for praise in patterns.ironic:
            for event in rng.permutation(events[label])[:12]:
                text = _sentence(praise, patterns)
                yield _row(text, shares, (_sentence(str(event), patterns),))
            for event in patterns.events[label]:
                yield _row(_sentence(f"{praise}{patterns.comma}{event}", patterns), shares)


def _emoji(patterns: Patterns, events: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    for label, emoji in EMOJI.items():
        for one in emoji:
            yield _row(one, {label: 1.0})
            yield _row(one * 3, {label: 1.0})
            for event in (*patterns.events["neutral"], *rng.permutation(events["neutral"])[:8]):
                yield _row(f"{_sentence(str(event), patterns)} {one}", {label: 1.0})
            if label != "neutral":
                for event in rng.permutation(events[label])[:8]:
                    yield _row(f"{event} {one}", {label: 1.0})


def _sentence(text: str, patterns: Patterns) -> str:
    parts = [part[:1].upper() + part[1:] for part in text.split(". ")]
    return ". ".join(parts) + patterns.stop


def _row(text: str, shares: Shares, before: Sequence[str] = ()) -> Row:
    target = np.array([shares.get(label, 0.0) for label in EKMAN7], np.float32)
    return Row(text, target, text, context=tuple(Turn(line) for line in before), bound=bool(before))
