"""A result in a few sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmemo.report.style.clock import clock, length
from mmemo.report.style.wording import name_of
from mmemo.report.timeline import Span, spans

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

_CLEAR = 0.4
"""Share below which the first label is not said to stand out."""
_MOST_TOLD = 4


def summary(result: EmotionResult) -> list[str]:
    """Plain sentences: the verdict, what the modalities say, the course, the people, and how much was seen."""
    told = [_verdict(result), *_modalities(result)]
    if result.duration and len(result.segments) > 1:
        told.append(_course(spans(result.segments, "fused"), result.duration))
    if len(result.people) > 1:
        told.append(_people(result))
    if result.modalities and result.duration:
        told.append(_coverage(result))
    return told


def _verdict(result: EmotionResult) -> str:
    (first, share), (second, next_share) = sorted(result.scores.items(), key=lambda item: -item[1])[:2]
    over = f"Over {length(result.duration)}, the" if result.duration else "The"
    if share < _CLEAR or share - next_share < 0.1:
        return f"{over} fused scores are undecided: {first} has {share:.0%}, {second} {next_share:.0%}."
    return f"{over} fused scores say {first} ({share:.0%}), then {second} ({next_share:.0%})."


def _modalities(result: EmotionResult) -> list[str]:
    if len(result.modalities) < 2:
        return [f"Only {_the(name)} {'were' if name == 'text' else 'was'} scored." for name in result.modalities]
    said, labels = [], set()
    for name, scores in result.modalities.items():
        share, plural = scores.scores[scores.label], name == "text"
        if share < _CLEAR:
            said.append(f"{_the(name)} {'are' if plural else 'is'} undecided ({scores.label} {share:.0%})")
        else:
            said.append(f"{_the(name)} {'say' if plural else 'says'} {scores.label} ({share:.0%})")
            labels.add(scores.label)
    decided = sum(scores.scores[scores.label] >= _CLEAR for scores in result.modalities.values())
    agree = "" if decided < 2 else ": they agree" if len(labels) == 1 else ": they differ"
    weights = {name: scores.weight for name, scores in result.modalities.items() if scores.weight is not None}
    return [f"{_capital(_listed(said))}{agree}.", *_heaviest(weights)]


def _heaviest(weights: Mapping[str, float]) -> list[str]:
    if len(weights) < 2:
        return []
    name = max(weights, key=lambda name: weights[name])
    return [
        f"{_capital(_the(name))} count{'' if name == 'text' else 's'} most, with {weights[name]:.0%} of the weight."
    ]


def _course(found: Sequence[Span], duration: float) -> str:
    if len(found) == 1:
        return f"The fused label stays {found[0].label} throughout."
    if len(found) <= _MOST_TOLD:
        return "In order of time: " + _listed([f"{s.label} ({clock(s.start)} to {clock(s.end)})" for s in found]) + "."
    longest: dict[str, float] = {}
    for span in found:
        longest[span.label] = longest.get(span.label, 0.0) + span.end - span.start
    label = max(longest, key=lambda label: longest[label])
    share = longest[label] / duration
    return f"The fused label changes {len(found) - 1} times; {label} holds longest, for {share:.0%} of the clip."


def _people(result: EmotionResult) -> str:
    told = [
        f"person {person.id} {person.label}{' (who speaks)' if person.speaking else ''}"
        for person in result.people[:_MOST_TOLD]
    ]
    more = len(result.people) - len(told)
    rest = f", and {more} more" if more else ""
    return f"{len(result.people)} faces were followed, by themselves: {', '.join(told)}{rest}."


def _coverage(result: EmotionResult) -> str:
    kinds = {"face": "a face", "voice": "speech", "text": "words"}
    parts = [f"{kinds.get(name, name)} in {said.coverage:.0%}" for name, said in result.modalities.items()]
    return f"Of the clip's time there is {_listed(parts)}."


def _the(name: str) -> str:
    return f"the {name_of(name).lower()}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
