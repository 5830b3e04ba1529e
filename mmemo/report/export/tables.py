"""A result as rows of a table, and as a pandas data frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mmemo.errors import require_extra

if TYPE_CHECKING:
    import pandas

    from mmemo.result import EmotionResult, ModalityScores, Person, Scores, Segment

COLUMNS = ("start", "end", "what", "modality", "person", "coverage", "label")
"""Columns of a result's table before those of the scores."""
AFFECT = ("valence", "arousal", "dominance")
"""Columns after them, where a modality has affect; values are in its own rows."""


def rows(result: EmotionResult) -> Iterator[dict[str, Any]]:
    """One flat row for the clip and for each window: fused, by modality, and by person."""
    yield from _rows(
        "clip", result.start, result.start + result.duration, result.label, result.scores, result.modalities
    )
    for segment in result.segments:
        yield from _rows("segment", segment.start, segment.end, segment.label, segment.scores, segment.modalities)
    for person in result.people:
        span = {"start": person.start, "end": person.end, "what": "person", "person": person.id}
        yield from _rows_of_person(span, person, person.modalities, person.coverage)
        for segment in person.segments:
            span = {"start": segment.start, "end": segment.end, "what": "segment", "person": person.id}
            yield from _rows_of_person(span, segment, segment.modalities, None)
    for micro in result.micro_expressions or ():
        face = {"modality": "face", "person": micro.person, "coverage": None, "label": micro.label}
        yield {"start": micro.onset, "end": micro.offset, "what": "micro"} | face


def frame(result: EmotionResult) -> pandas.DataFrame:
    """The rows as a pandas table; see `EmotionResult.to_frame`."""
    require_extra("A data frame", "export", "pandas")
    import pandas

    data = pandas.DataFrame(list(rows(result)))
    return data.astype({"person": "Int64"})[[*COLUMNS, *result.scores, *(AFFECT if result.affect else ())]]


def _rows(
    what: str, start: float, end: float, label: str, scores: Scores, modalities: dict[str, ModalityScores]
) -> Iterator[dict[str, Any]]:
    span = {"start": start, "end": end, "what": what, "person": None}
    yield span | {"modality": "fused", "coverage": None, "label": label} | scores
    for name, modality in modalities.items():
        affect = asdict(modality.affect) if modality.affect else {}
        columns = {"modality": name, "coverage": modality.coverage, "label": modality.label}
        yield span | columns | modality.scores | affect


def _rows_of_person(
    span: dict[str, Any], scores: Person | Segment, modalities: Mapping[str, ModalityScores], coverage: float | None
) -> Iterator[dict[str, Any]]:
    """One row of the face alone; while the person speaks, rows of each modality and of them fused."""
    if len(modalities) < 2:
        face = modalities["face"].coverage if coverage is None else coverage
        yield span | {"modality": "face", "coverage": face, "label": scores.label} | scores.scores
        return
    yield span | {"modality": "fused", "coverage": coverage, "label": scores.label} | scores.scores
    for name, modality in modalities.items():
        columns = {"modality": name, "coverage": modality.coverage, "label": modality.label}
        yield span | columns | modality.scores
