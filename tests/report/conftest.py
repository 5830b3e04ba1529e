"""Results to draw and to write: a made one with every kind of gap, and one of a real face and voice."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmemo import Analyzer, EmotionResult
from mmemo.box_tracks import BoxTrack
from mmemo.labels import EKMAN7
from mmemo.notes import Note
from mmemo.result import ModalityScores, Person, Segment
from mmemo.speech.line import Line, Word
from mmemo.speech.transcript import Transcript


def scores(best: str, share: float = 0.7) -> dict[str, float]:
    rest = (1 - share) / 6
    return {label: share if label == best else rest for label in EKMAN7}


ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)> $x^2$ & --> \u00fcber"


@pytest.fixture
def made() -> EmotionResult:
    """Ten seconds: a face from 0 to 4 s, speech from 2 to 4 s and from 7 to 9 s, and nothing at all between."""
    face, voice = ModalityScores(scores("happiness"), 0.9, 0.6), ModalityScores(scores("anger"), 0.4, 0.4)
    segments = (
        Segment(0.0, 2.0, scores("happiness"), {"face": face}),
        Segment(1.0, 3.0, scores("happiness", 0.6), {"face": face}),
        Segment(2.0, 4.0, scores("surprise"), {"face": face, "voice": voice}),
        Segment(7.0, 9.0, scores("anger"), {"voice": voice}),
    )
    seen = tuple(Segment(s.start, s.end, face.scores, {"face": face}) for s in segments[:3])
    track = BoxTrack((0.0, 4.0), ((0.1, 0.2, 0.3, 0.6), (0.5, 0.2, 0.7, 0.6)))
    person = Person(0, 0.0, 4.0, 0.4, (0.3, 0.2, 0.5, 0.6), face.scores, seen, (track,))
    lines = (
        Line(2.0, 4.0, ATTACK, 0.9, (Word(2.0, 2.5, "</script>", 0.8),)),
        Line(3.5, 4.5, "at the same time"),
        Line(7.0, 9.0, "Fish & <chips>"),
    )
    return EmotionResult(
        source="/nowhere/a <b> & c.mp4",
        duration=10.0,
        scores=scores("happiness", 0.5),
        modalities={"face": face, "voice": voice},
        segments=segments,
        people=(person,),
        transcript=Transcript(lines, "given", "en"),
        notes=(Note("no-words", "There are <no> words."),),
        speech=((2.0, 4.0), (7.0, 9.0)),
    )


@pytest.fixture(scope="session")
def real(analyzer: Analyzer, clip: Path) -> EmotionResult:
    """Three seconds of a smiling face and a sentence."""
    return analyzer(clip, text="And you always want to see it in the superlative degree.")
