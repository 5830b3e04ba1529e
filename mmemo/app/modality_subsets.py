"""Results of subsets of the modalities, computed from the scores in a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from mmemo.errors import ArgumentError, expected_one_of
from mmemo.model import EmotionModel
from mmemo.pipeline.rescore import check_rescorable, encoding_of
from mmemo.pipeline.score import over_time
from mmemo.result import EmotionResult, Scores, Segment


def narrowed(result: EmotionResult, model: EmotionModel, modalities: Sequence[str]) -> EmotionResult:
    """The result of these modalities alone; nothing is analyzed again.

    Late fusion depends on nothing but each modality's scores and the confidence of the words, and a result has them,
    so this is exact: the figures are those of `mmemo.analyze` with ``modalities=``, as long as speech and transcript
    are the same.

    Args:
        model: the one the result came from.
        modalities: some of the result's.

    Raises:
        ArgumentError: if none is given, the result lacks one, or the model's fusion head looks at more than scores.
    """
    check_rescorable(model)
    if not modalities:
        raise ArgumentError("Choose at least one modality.")
    for modality in modalities:
        if modality not in result.modalities:
            raise ArgumentError(expected_one_of("Modality of this result", result.modalities, modality))
    segments = _segments(model, result, modalities)
    scores, weights = over_time(segments)
    kept = {name: replace(result.modalities[name], weight=weights[name]) for name in modalities}
    shown = tuple(segments) if result.segments else ()
    settings = result.settings and replace(result.settings, modalities=tuple(modalities))
    return replace(result, scores=scores, modalities=kept, segments=shown, settings=settings)


def subsets(result: EmotionResult, model: EmotionModel) -> dict[tuple[str, ...], Scores]:
    """The fused scores of the whole clip by every subset of its modalities, the smallest first."""
    names = list(result.modalities)
    chosen = [group for size in range(1, len(names) + 1) for group in combinations(names, size)]
    return {group: over_time(_segments(model, result, group))[0] for group in chosen}


def _segments(model: EmotionModel, result: EmotionResult, modalities: Sequence[str]) -> list[Segment]:
    """The windows that have any of these modalities, fused anew; a result without windows is one window."""
    windows = result.segments or (Segment(result.start, result.start, result.scores, result.modalities),)
    segments = []
    for window in windows:
        own = {modality: window.modalities[modality] for modality in modalities if modality in window.modalities}
        if own:
            encodings = {modality: encoding_of(model, [scores]) for modality, scores in own.items()}
            shares = model.fusion.shares(encodings)
            weighted = {
                modality: replace(scores, weight=float(shares[modality][0])) for modality, scores in own.items()
            }
            fused = model.labels.scores(model.fuse(encodings)[0])
            segments.append(Segment(window.start, window.end, fused, weighted, window.speaker))
    return segments
