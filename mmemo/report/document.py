"""A result as plain dictionaries for JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.box_tracks import BoxTrack
from mmemo.errors import ArgumentError, MmemoError
from mmemo.micro_expression import MicroExpression
from mmemo.notes import Note
from mmemo.result import Affect, EmotionResult, ModalityScores, Person, Scores, Segment
from mmemo.speech.prosody import STEP, Prosody
from mmemo.speech.transcript import Line, Transcript, Word


def to_dict(result: EmotionResult) -> dict[str, Any]:
    """See `EmotionResult.to_dict`."""
    return {
        "source": result.source,
        "model": result.model,
        "start": round(result.start, 3),
        "duration": round(result.duration, 3),
        "label": result.label,
        "scores": _rounded(result.scores),
        "affect": None if result.affect is None else _rounded(asdict(result.affect)),
        "modalities": _modalities(result.modalities),
        "segments": [_segment(segment) for segment in result.segments],
        "people": [_person(person) for person in result.people],
        "speech": None if result.speech is None else [_times(*span) for span in result.speech],
        "transcript": None if result.transcript is None else _transcript(result.transcript),
        "micro_expressions": None
        if result.micro_expressions is None
        else [expression.to_dict() for expression in result.micro_expressions],
        "prosody": None if result.prosody is None else _prosody(result.prosody),
        "notes": [{"code": note.code, "message": note.message} for note in result.notes],
    }


def load(path: Path) -> EmotionResult:
    """See `EmotionResult.load`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{path} can't be read as a result: {error}.") from None
    if not isinstance(document, dict):
        raise ArgumentError(f"{path} holds no result: expected an object, got {type(document).__name__}.")
    return from_dict(document)


def from_dict(document: Mapping[str, Any]) -> EmotionResult:
    """See `EmotionResult.from_dict`. Keys that are not known are passed over, so newer files can be read."""
    try:
        return EmotionResult(
            source=document["source"],
            duration=float(document["duration"]),
            scores=_scores(document["scores"]),
            modalities=_read_modalities(document["modalities"]),
            segments=tuple(_read_segment(segment) for segment in document["segments"]),
            people=tuple(_read_person(person) for person in document["people"]),
            transcript=None if document["transcript"] is None else _read_transcript(document["transcript"]),
            notes=tuple(Note(note["code"], note["message"]) for note in document["notes"]),
            model=document["model"],
            start=float(document.get("start", 0.0)),
            speech=None
            if document.get("speech") is None
            else tuple((float(start), float(end)) for start, end in document["speech"]),
            micro_expressions=None
            if document.get("micro_expressions") is None
            else tuple(MicroExpression.from_dict(expression) for expression in document["micro_expressions"]),
            prosody=None if document.get("prosody") is None else _read_prosody(document["prosody"]),
        )
    except MmemoError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArgumentError(f"The document is no result of mmemo: {type(error).__name__} {error}.") from None


def _rounded(scores: Mapping[str, float]) -> Scores:
    return {label: round(score, 5) for label, score in scores.items()}


def _scores(scores: Mapping[str, Any]) -> Scores:
    return {str(label): float(score) for label, score in scores.items()}


def _times(*times: float) -> list[float]:
    return [round(time, 3) for time in times]


def _modalities(modalities: Mapping[str, ModalityScores]) -> dict[str, Any]:
    return {
        name: {
            "label": said.label,
            "scores": _rounded(said.scores),
            "coverage": round(said.coverage, 3),
            "weight": None if said.weight is None else round(said.weight, 3),
            **({} if said.affect is None else {"affect": _rounded(asdict(said.affect))}),
        }
        for name, said in modalities.items()
    }


def _read_modalities(document: Mapping[str, Any]) -> dict[str, ModalityScores]:
    return {
        name: ModalityScores(
            _scores(said["scores"]),
            float(said["coverage"]),
            said["weight"],
            Affect(**_scores(said["affect"])) if said.get("affect") else None,
        )
        for name, said in document.items()
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "label": segment.label,
        "scores": _rounded(segment.scores),
        "modalities": _modalities(segment.modalities),
    }


def _read_segment(document: Mapping[str, Any]) -> Segment:
    return Segment(
        float(document["start"]),
        float(document["end"]),
        _scores(document["scores"]),
        _read_modalities(document["modalities"]),
    )


def _person(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "start": round(person.start, 3),
        "end": round(person.end, 3),
        "coverage": round(person.coverage, 3),
        "box": [round(side, 4) for side in person.box],
        "label": person.label,
        "scores": _rounded(person.scores),
        "speaking": None if person.speaking is None else round(person.speaking, 3),
        "modalities": _modalities(person.modalities),
        "segments": [_segment(segment) for segment in person.segments],
        "box_tracks": [
            {"times": _times(*track.times), "boxes": [[round(side, 4) for side in box] for box in track.boxes]}
            for track in person.box_tracks
        ],
    }


def _read_person(document: Mapping[str, Any]) -> Person:
    left, top, right, bottom = document["box"]
    return Person(
        id=int(document["id"]),
        start=float(document["start"]),
        end=float(document["end"]),
        coverage=float(document["coverage"]),
        box=(left, top, right, bottom),
        scores=_scores(document["scores"]),
        segments=tuple(_read_segment(segment) for segment in document["segments"]),
        box_tracks=_read_box_tracks(document),
        speaking=document.get("speaking"),
        modalities=_read_modalities(document.get("modalities", {})),
    )


def _read_box_tracks(document: Mapping[str, Any]) -> tuple[BoxTrack, ...]:
    if "box_tracks" in document:
        return tuple(
            BoxTrack(tuple(track["times"]), tuple((a, b, c, d) for a, b, c, d in track["boxes"]))
            for track in document["box_tracks"]
        )
    # The first version had one list a track, in it one a knot: time, left, top, right, bottom.
    return tuple(
        BoxTrack(tuple(knot[0] for knot in track), tuple((a, b, c, d) for _, a, b, c, d in track))
        for track in document.get("trails", ())
    )


def _prosody(prosody: Prosody) -> dict[str, Any]:
    return {
        "summary": prosody.summary(),
        "start": round(prosody.start, 3),
        "step": STEP,
        # JSON knows no NaN.
        "pitch": [round(float(value), 1) if np.isfinite(value) else None for value in prosody.pitch],
        "energy": [round(float(value), 1) for value in prosody.energy],
        "rate": [round(float(value), 2) if np.isfinite(value) else None for value in prosody.rate],
        "pauses": [_times(*pause) for pause in prosody.pauses],
    }


def _read_prosody(document: Mapping[str, Any]) -> Prosody:
    pitch, energy, rate = (
        np.array([np.nan if value is None else value for value in document[name]], np.float32)
        for name in ("pitch", "energy", "rate")
    )
    pauses = tuple((float(start), float(end)) for start, end in document["pauses"])
    return Prosody(float(document["start"]), pitch, energy, rate, pauses)


def _transcript(transcript: Transcript) -> dict[str, Any]:
    return {
        "source": transcript.source,
        "detail": transcript.detail,
        "language": transcript.language,
        "lines": [
            _said(line)
            | ({"speaker": line.speaker} if line.speaker else {})
            | ({"words": [_said(word) for word in line.words]} if line.words else {})
            for line in transcript.lines
        ],
    }


def _said(piece: Line | Word) -> dict[str, Any]:
    return {
        "start": round(piece.start, 3),
        "end": round(piece.end, 3),
        "text": piece.text,
        "confidence": round(piece.confidence, 3),
    }


def _read_transcript(document: Mapping[str, Any]) -> Transcript:
    lines = tuple(
        Line(
            line["start"],
            line["end"],
            line["text"],
            line["confidence"],
            tuple(Word(word["start"], word["end"], word["text"], word["confidence"]) for word in line.get("words", ())),
            line.get("speaker"),
        )
        for line in document["lines"]
    )
    return Transcript(lines, document["source"], document["language"], document["detail"])
