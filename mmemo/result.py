"""What an analysis found: plain dataclasses, and their way to dictionaries, tables and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.errors import ArgumentError
from mmemo.evidence import Seconds
from mmemo.micro.expression import MicroExpression
from mmemo.notes import Note
from mmemo.speech.transcript import Transcript

if TYPE_CHECKING:
    import pandas

Scores = dict[str, float]


def _validate(scores: Mapping[str, float]) -> None:
    if not scores or abs(sum(scores.values()) - 1) > 1e-3 or min(scores.values()) < -1e-6:
        raise ArgumentError(f"Scores must be shares that sum to 1, got {dict(scores)}.")


def _best(scores: Mapping[str, float]) -> str:
    return max(scores, key=lambda label: scores[label])


@dataclass(frozen=True)
class ModalityScores:
    """What one modality says.

    Attributes:
        scores: share of each label, summing to 1.
        coverage: share of the time with evidence, 0 to 1.
        weight: its share in the fused scores, 0 to 1; None where the fusion head has no such share.
    """

    scores: Scores
    coverage: float
    weight: float | None = None

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return _best(self.scores)


@dataclass(frozen=True)
class Segment:
    """One window: ``start`` and ``end`` in seconds, the fused scores, and what each modality says.

    Windows overlap. A window without any evidence is no segment, so the gaps show.
    """

    start: Seconds
    end: Seconds
    scores: Scores
    modalities: dict[str, ModalityScores]

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return _best(self.scores)


@dataclass(frozen=True)
class Person:
    """One face track. Its scores are those of the face alone: who speaks is not decided here.

    Attributes:
        id: stable within the result, from 0 in order of appearance.
        start: seconds at which it is first seen; ``end`` at which it is last seen.
        coverage: share of the clip in which it was found, 0 to 1.
        box: mean position: left, top, right, bottom as shares of the picture's width and height.
        segments: the windows in which it was found.
    """

    id: int
    start: Seconds
    end: Seconds
    coverage: float
    box: tuple[float, float, float, float]
    scores: Scores
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return _best(self.scores)


@dataclass(frozen=True)
class EmotionResult:
    """The analysis of one clip. Scores tell the apparent expression, not what a person feels.

    Attributes:
        source: the file, or None for text alone.
        duration: seconds; 0 for a still image and for text alone.
        scores: fused scores of the whole clip, summing to 1.
        modalities: the same by modality; an absent modality has no key.
        segments: windows over time, in order.
        people: face tracks in order of appearance.
        transcript: the words and where they came from, or None.
        notes: what a reader must know.
        model: name of the model.
        micro_expressions: in order of their onset; None unless they were looked for. Their persons are numbered as
            they were followed at the full frame rate, mostly but not always as in ``people``.
    """

    source: str | None
    duration: Seconds
    scores: Scores
    modalities: dict[str, ModalityScores]
    segments: tuple[Segment, ...] = ()
    people: tuple[Person, ...] = ()
    transcript: Transcript | None = None
    notes: tuple[Note, ...] = ()
    model: str = field(default="default")
    micro_expressions: tuple[MicroExpression, ...] | None = None

    def __post_init__(self) -> None:
        _validate(self.scores)

    @property
    def label(self) -> str:
        """The label with the highest fused score."""
        return _best(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, ready for JSON."""
        transcript = self.transcript
        return {
            "source": self.source,
            "model": self.model,
            "duration": round(self.duration, 3),
            "label": self.label,
            "scores": _rounded(self.scores),
            "modalities": {name: _modality(scores) for name, scores in self.modalities.items()},
            "segments": [_segment(segment) for segment in self.segments],
            "people": [
                {
                    "id": person.id,
                    "start": round(person.start, 3),
                    "end": round(person.end, 3),
                    "coverage": round(person.coverage, 3),
                    "box": [round(side, 4) for side in person.box],
                    "label": person.label,
                    "scores": _rounded(person.scores),
                    "segments": [_segment(segment) for segment in person.segments],
                }
                for person in self.people
            ],
            "transcript": None
            if transcript is None
            else {
                "source": transcript.source,
                "detail": transcript.detail,
                "language": transcript.language,
                "lines": [
                    {
                        "start": round(line.start, 3),
                        "end": round(line.end, 3),
                        "text": line.text,
                        "confidence": round(line.confidence, 3),
                    }
                    for line in transcript.lines
                ],
            },
            "micro_expressions": None
            if self.micro_expressions is None
            else [expression.to_dict() for expression in self.micro_expressions],
            "notes": [{"code": note.code, "message": note.message} for note in self.notes],
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The same as `to_dict`, as a JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_frame(self) -> pandas.DataFrame:
        """One row for the whole clip and one for each window, fused and by modality and person (extra ``export``).

        Columns: ``start``, ``end``, ``what`` ("clip", "segment", "person" or "micro"), ``modality`` ("fused", "face"
        …), ``person`` (id or missing), ``coverage``, ``label``, and one of each label's score; a micro-expression has
        a label of its own classes and no scores.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        from mmemo.report.tables import frame

        return frame(self)

    def save(self, path: str | Path) -> Path:
        """Write ``.json``, ``.csv``, ``.parquet`` or ``.html`` by the suffix of ``path``; whole or not at all.

        Raises:
            ArgumentError: for another suffix.
            MissingExtraError: if the format needs packages that are not installed.
        """
        from mmemo.report.files import save

        return save(self, Path(path))


def _rounded(scores: Mapping[str, float]) -> Scores:
    return {label: round(score, 5) for label, score in scores.items()}


def _modality(scores: ModalityScores) -> dict[str, Any]:
    return {
        "label": scores.label,
        "scores": _rounded(scores.scores),
        "coverage": round(scores.coverage, 3),
        "weight": None if scores.weight is None else round(scores.weight, 3),
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "label": segment.label,
        "scores": _rounded(segment.scores),
        "modalities": {name: _modality(scores) for name, scores in segment.modalities.items()},
    }
