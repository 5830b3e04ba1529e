"""A result as rows of a table, and as a pandas data frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mmemo.errors import require_extra

if TYPE_CHECKING:
    import pandas

    from mmemo.result import EmotionResult, ModalityScores, Person, Segment

COLUMNS = ("start", "end", "what", "modality", "person", "coverage", "label")
"""Columns of a result's table before those of the scores."""
AFFECT = ("valence", "arousal", "dominance", "derived")
"""Columns after them, where there is affect: fields of `mmemo.affect.Affect`."""
VOCAL_BURST = "vocal_burst"
"""Last column, where an encoder predicts it: `mmemo.result.ModalityScores.vocal_burst`."""
NAME = "name"
"""Column after that, where the transcript names a person: `mmemo.result.Person.name`."""


def rows(result: EmotionResult) -> Iterator[dict[str, Any]]:
    """One flat row for the clip and for each window: fused, by modality, and by person."""
    yield from _rows("clip", result.start, result.start + result.duration, result)
    for segment in result.segments:
        yield from _rows("segment", segment.start, segment.end, segment)
    for person in result.people:
        named = {} if person.name is None else {NAME: person.name}
        span = {"start": person.start, "end": person.end, "what": "person", "person": person.id} | named
        yield from _rows_of_person(span, person, person.coverage)
        for segment in person.segments:
            span = {"start": segment.start, "end": segment.end, "what": "segment", "person": person.id} | named
            yield from _rows_of_person(span, segment, None)
    for micro in result.micro_expressions or ():
        face = {"modality": "face", "person": micro.person, "coverage": None, "label": micro.label}
        yield {"start": micro.onset, "end": micro.offset, "what": "micro"} | face


def frame(result: EmotionResult) -> pandas.DataFrame:
    """The rows as a pandas table; see `EmotionResult.to_frame`."""
    require_extra("A data frame", "export", "pandas")
    import pandas

    data = pandas.DataFrame(list(rows(result)), columns=columns(result))
    return data.astype({"person": "Int64"} | ({"derived": "boolean"} if result.affect else {}))


def columns(result: EmotionResult) -> list[str]:
    """Columns of a result's table."""
    predicted = any(scores.vocal_burst is not None for scores in result.modalities.values())
    last = [*([VOCAL_BURST] if predicted else []), *([NAME] if any(person.name for person in result.people) else [])]
    return [*COLUMNS, *result.scores, *(AFFECT if result.affect else ()), *last]


def _rows(what: str, start: float, end: float, part: EmotionResult | Segment) -> Iterator[dict[str, Any]]:
    span = {"start": start, "end": end, "what": what, "person": None}
    yield _row(span, "fused", None, part)
    for name, modality in part.modalities.items():
        yield _row(span, name, modality.coverage, modality)


def _rows_of_person(span: dict[str, Any], part: Person | Segment, coverage: float | None) -> Iterator[dict[str, Any]]:
    """One row of the face alone; while the person speaks, rows of each modality and of them fused."""
    if len(part.modalities) < 2:
        yield _row(span, "face", part.modalities["face"].coverage if coverage is None else coverage, part)
        return
    yield _row(span, "fused", coverage, part)
    for name, modality in part.modalities.items():
        yield _row(span, name, modality.coverage, modality)


def _row(
    span: dict[str, Any],
    modality: str,
    coverage: float | None,
    scored: EmotionResult | Segment | Person | ModalityScores,
) -> dict[str, Any]:
    more = asdict(scored.affect) if scored.affect else {}
    burst = getattr(scored, VOCAL_BURST, None)
    more |= {} if burst is None else {VOCAL_BURST: burst}
    return span | {"modality": modality, "coverage": coverage, "label": scored.label} | scored.scores | more
