"""A comparison in words: whether fusing wins, by how much, on how many people, from which labels, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mmemo.comparison.measures import SystemMetrics
from mmemo.comparison.missing_modality import RobustnessCurve
from mmemo.comparison.predictions import Predictions, has_prediction, predicted_classes
from mmemo.comparison.significance import PairedTest

_SHOWN_LABELS = 3


def describe_verdict(
    predictions: Predictions,
    unimodal: Sequence[str],
    systems: Sequence[SystemMetrics],
    pairs: Sequence[PairedTest],
    curves: Sequence[RobustnessCurve],
) -> tuple[str, ...]:
    """Sentences on the best fused system against the best one of a single modality; none if either is not there.

    Args:
        predictions: of all systems.
        unimodal: names of the systems of one modality.
        systems, pairs, curves: computed from the predictions.
    """
    accuracy = {system.name: system.accuracy.value for system in systems}
    fused = [name for name in accuracy if name not in unimodal]
    if not fused or not unimodal:
        return ()
    best, alone = (max(names, key=lambda name: accuracy[name]) for names in (fused, unimodal))
    whole = widest(name for name in fused if name.rpartition(": ")[0] == best.rpartition(": ")[0])
    pair = next(one for one in pairs if {one.first, one.second} == {best, alone})
    gain, sign = pair.gain, 1 if pair.second == best else -1
    low, high = sorted((100 * sign * gain.low, 100 * sign * gain.high))
    return (
        _who_wins(predictions, best, alone, accuracy, (100 * sign * gain.value, low, high)),
        *([f"{whole}, all together, is right in {accuracy[whole]:.1%}."] if whole != best and " + " in whole else []),
        *_by_label(predictions, best, alone),
        *_why(predictions, best, alone, unimodal),
        *_missing(predictions, unimodal),
        *_corrupted(best, unimodal, curves),
    )


def widest(names: Iterable[str]) -> str:
    """The system of the most modalities; the first of them.

    >>> widest(["face + voice", "face + voice + text", "late"])
    'face + voice + text'
    """
    return max(names, key=lambda name: name.count(" + "))


def _who_wins(
    predictions: Predictions, best: str, alone: str, accuracy: dict[str, float], points: tuple[float, float, float]
) -> str:
    value, low, high = points
    speakers = predictions.speakers
    clips = f"{len(predictions):,} clips" + ("" if speakers is None else f" of {len(np.unique(speakers))} people")
    verdict = "wins" if low > 0 else "loses" if high < 0 else "does not win"
    difference = f"{abs(value):.1f} points {'more' if value > 0 else 'fewer'}" if value else "no difference"
    chance = "" if low > 0 or high < 0 else ": it may be chance" if value else ""
    return (
        f"Fusing {verdict} on these {clips}: {best} is right in {accuracy[best]:.1%}, {alone}, the best single "
        f"modality, in {accuracy[alone]:.1%}. That is {difference}, with a paired 95% interval from {low:+.1f} to "
        f"{high:+.1f} points{chance}."
    )


def _by_label(predictions: Predictions, best: str, alone: str) -> list[str]:
    """The labels of which the two have different numbers right, the largest difference first."""
    right = {name: predicted_classes(predictions.scores[name]) == predictions.target for name in (best, alone)}
    differences = []
    for number, label in enumerate(predictions.labels):
        here = predictions.target == number
        fused, single = int(right[best][here].sum()), int(right[alone][here].sum())
        if fused != single:
            differences.append((abs(fused - single), f"{fused} of {int(here.sum())} {label} instead of {single}"))
    if not differences:
        return []
    parts = [part for _, part in sorted(differences, key=lambda one: -one[0])]
    more = len(parts) - _SHOWN_LABELS
    rest = f", and {more} more label{'s' * (more > 1)}" if more > 0 else ""
    return [f"By label, fused has right: {'; '.join(parts[:_SHOWN_LABELS])}{rest}."]


def _why(predictions: Predictions, best: str, alone: str, unimodal: Sequence[str]) -> list[str]:
    """The clips that only one of the two has right, and whose label the fused one took in those that it loses."""
    predicted = {name: predicted_classes(one) for name, one in predictions.scores.items()}
    right = {name: predicted[name] == predictions.target for name in (best, alone)}
    won, lost = right[best] & ~right[alone], right[alone] & ~right[best]
    absent = int((won & ~has_prediction(predictions.scores[alone])).sum())
    sentences = []
    if won.any():
        part = "" if absent == won.sum() else f", in {absent} of them"
        how = f"{part} because it is missing there" if absent else ""
        sentences.append(f"In {_clips(won)} fused is right and {alone} is not{how}.")
    if lost.any():
        others = {name: int((lost & (predicted[name] == predicted[best])).sum()) for name in unimodal if name != alone}
        which = [f"{name} in {count}" for name, count in others.items() if count]
        outvoted = f": the wrong label is that of {', '.join(which)}" if which else ""
        sentences.append(f"In {_clips(lost)} {alone} is right and fused is not{outvoted}.")
    return sentences


def _missing(predictions: Predictions, unimodal: Sequence[str]) -> list[str]:
    count = {name: int((~has_prediction(predictions.scores[name])).sum()) for name in unimodal}
    parts = [f"{name} in {number}" for name, number in count.items() if number]
    return [f"Missing, of {len(predictions):,} clips: {', '.join(parts)}."] if parts else []


def _corrupted(best: str, unimodal: Sequence[str], curves: Sequence[RobustnessCurve]) -> list[str]:
    """What the worst level of each corruption leaves of the best fused system, and of the best single modality."""
    sentences = []
    for condition in dict.fromkeys(curve.condition for curve in curves if curve.unit != "share of clips"):
        here = {curve.system: curve for curve in curves if curve.condition == condition}
        single = [name for name in unimodal if name in here]
        if best in here and single:
            curve = here[best]
            strongest = max(single, key=lambda name: here[name].accuracy[-1].value)
            sentences.append(
                f"Under {condition}, at {curve.levels[-1]:g} {curve.unit}, {best} goes from "
                f"{curve.accuracy[0].value:.1%} to {curve.accuracy[-1].value:.1%}; {strongest} has "
                f"{here[strongest].accuracy[-1].value:.1%} there."
            )
    return sentences


def _clips(chosen: np.ndarray) -> str:
    count = int(chosen.sum())
    return f"{count:,} clip{'s' * (count != 1)}"
