"""A result in a few sentences, and short cards of the models behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.report.smoothing import smooth
from mmemo.report.style.clock import clock, length
from mmemo.report.style.wording import name_of, person_title
from mmemo.report.timeline import spans

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Segment

_CLEAR, _LEAD = 0.4, 0.1
"""Share below which no label stands out, and its least lead over the next."""
_MOST_LISTED = 4
_EVIDENCE = {"face": "a face", "voice": "a voice", "text": "words"}
_WEIGHTS = Path(__file__).parent.parent / "weights"
_VARIANTS = ("with_", "prepared", "end_to_end", "windows", "tfidf")
"""Parts of the names of scores that repeat others under other conditions."""
_MOST_SCORES = 8


def summary(result: EmotionResult) -> list[str]:
    """Plain sentences: the label, the modalities, changes over time, the people, and the coverage."""
    sentences = [_verdict(result), *_modalities(result)]
    if result.duration and len(result.segments) > 1:
        sentences.append(_over_time(result.segments, result.duration))
    if len(result.people) > 1:
        sentences.append(_people(result))
    if result.modalities and result.duration:
        sentences.append(_coverage(result))
    return sentences


@dataclass(frozen=True)
class ModelCard:
    """Training data and measured scores of one part of a model.

    Attributes:
        part: display name of the modality, or "Fusion".
        corpora: name and terms of each corpus.
        scores: name of the test, and the unweighted average recall (UAR) with its 95% interval.
    """

    part: str
    corpora: tuple[tuple[str, str], ...]
    scores: tuple[tuple[str, str], ...]


def model_cards(result: EmotionResult) -> list[ModelCard]:
    """A card for each modality with scores, and one for the fusion, from the settings beside their weights.

    Parts without such settings have no card.
    """
    folder = _WEIGHTS if result.model == "default" else Path(result.model)
    cards = []
    for part in (*result.modalities, "fusion"):
        try:
            settings = json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        corpora = settings.get("corpora", {})
        recipe = settings.get("recipe")
        scores = settings.get("scores") or (recipe.get("scores") if isinstance(recipe, dict) else None) or {}
        cards.append(
            ModelCard(
                name_of(part),
                tuple((str(name), str(terms)) for name, terms in corpora.items()) if isinstance(corpora, dict) else (),
                tuple(_recalls(scores))[:_MOST_SCORES] if isinstance(scores, dict) else (),
            )
        )
    return [card for card in cards if card.corpora or card.scores]


def _verdict(result: EmotionResult) -> str:
    over = f"Over {length(result.duration)}, the" if result.duration else "The"
    if len(result.scores) == 1:
        return f"{over} fused scores have a single label: {result.label}."
    (first, share), (second, next_share) = _highest(result)
    if _undecided(result):
        return f"{over} fused scores are undecided: {first} has {share:.0%}, {second} {next_share:.0%}."
    return f"{over} fused scores say {first} ({share:.0%}), then {second} ({next_share:.0%})."


def _highest(result: EmotionResult) -> list[tuple[str, float]]:
    """The two labels with the highest fused scores."""
    return sorted(result.scores.items(), key=lambda item: -item[1])[:2]


def _undecided(result: EmotionResult) -> bool:
    (_, share), *others = _highest(result)
    return share < _CLEAR or any(share - other < _LEAD for _, other in others)


def _modalities(result: EmotionResult) -> list[str]:
    if len(result.modalities) < 2:
        return [f"Only {_the(name)} {'were' if name == 'text' else 'was'} scored." for name in result.modalities]
    clauses, labels = [], []
    for name, scores in result.modalities.items():
        share, plural = scores.scores[scores.label], name == "text"
        if share < _CLEAR:
            clauses.append(f"{_the(name)} {'are' if plural else 'is'} undecided ({scores.label} {share:.0%})")
        else:
            clauses.append(f"{_the(name)} {'say' if plural else 'says'} {scores.label} ({share:.0%})")
            labels.append(scores.label)
    agreement = ""
    if len(set(labels)) > 1:
        agreement = ": they differ"
    elif len(labels) == len(result.modalities) and labels[0] == result.label and not _undecided(result):
        agreement = ": they agree"
    weights = {name: scores.weight for name, scores in result.modalities.items() if scores.weight is not None}
    return [f"{_capital(_join(clauses))}{agreement}.", *_heaviest(weights)]


def _heaviest(weights: Mapping[str, float]) -> list[str]:
    if len(weights) < 2:
        return []
    name = max(weights, key=lambda name: weights[name])
    return [
        f"{_capital(_the(name))} count{'' if name == 'text' else 's'} most, with {weights[name]:.0%} of the weight."
    ]


def _over_time(segments: Sequence[Segment], duration: float) -> str:
    fused, order = spans(segments, "fused"), "In order of time"
    if len(fused) > _MOST_LISTED:
        fused, order = spans(smooth(segments), "fused"), "In order of time, without the flicker of single windows"
    if len({span.label for span in fused}) == 1:
        return f"The fused label stays {fused[0].label} throughout."
    if len(fused) <= _MOST_LISTED:
        return f"{order}: " + _join([f"{s.label} ({clock(s.start)} to {clock(s.end)})" for s in fused]) + "."
    lengths: dict[str, float] = {}
    for span in fused:
        lengths[span.label] = lengths.get(span.label, 0.0) + span.end - span.start
    label = max(lengths, key=lambda label: lengths[label])
    changes = sum(one.label != other.label for one, other in pairwise(fused))
    return (
        f"Without the flicker of single windows the fused label changes {changes} times; {label} holds longest, for "
        f"{lengths[label] / duration:.0%} of the clip."
    )


def _people(result: EmotionResult) -> str:
    listed = [
        f"{person_title(person)} {person.label}{' (who speaks)' if person.speaking else ''}"
        for person in result.people[:_MOST_LISTED]
    ]
    more = len(result.people) - len(listed)
    rest = f", and {more} more" if more else ""
    return f"{len(result.people)} faces were tracked, each by itself: {', '.join(listed)}{rest}."


def _coverage(result: EmotionResult) -> str:
    parts = [f"{_EVIDENCE.get(name, name)} in {scores.coverage:.0%}" for name, scores in result.modalities.items()]
    return f"Of the clip's time there is {_join(parts)}."


def _the(name: str) -> str:
    return f"the {name_of(name).lower()}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _recalls(scores: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in scores.items():
        if not isinstance(value, dict) or any(word in name for word in _VARIANTS):
            continue
        test = f"{path} {name}".strip().replace("/", " ").replace("_", " ")
        figure = _interval(value.get("uar"), value)
        if figure:
            yield test, figure
        else:
            yield from _recalls(value, test)


def _interval(uar: object, siblings: Mapping[str, Any]) -> str:
    if isinstance(uar, list) and len(uar) == 3:
        value, low, high = uar
    elif isinstance(uar, dict) and {"value", "low", "high"} <= uar.keys():
        value, low, high = uar["value"], uar["low"], uar["high"]
    elif isinstance(uar, float) and {"low", "high"} <= siblings.keys():
        value, low, high = uar, siblings["low"], siblings["high"]
    else:
        return ""
    return f"{float(value):.3f} [{float(low):.3f}, {float(high):.3f}]"
