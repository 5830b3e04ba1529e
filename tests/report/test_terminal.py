"""What the command line prints of a result."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from mmemo import EmotionResult
from mmemo.micro.spot import MicroResult
from mmemo.micro_expression import MicroExpression
from mmemo.notes import Note
from mmemo.pipeline.live_faces import LivePerson
from mmemo.pipeline.live_update import Dropped, LiveUpdate
from mmemo.report.terminal import render_micro, render_result, render_update
from mmemo.result import ModalityScores
from mmemo.speech.line import Line

BROWS = MicroExpression(0, 1.0, 1.2, 1.4, 25, 30, 35, "brows", 1.5, 0.9, {"positive": 0.8, "negative": 0.2})


def printed(text: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(text)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_result(made: EmotionResult) -> None:
    text = printed(render_result(replace(made, micro_expressions=(BROWS,))))
    rows = [line.split() for line in text.splitlines()]
    assert ["happiness", "50%", "of", "the", "fused", "score"] in [row[1:] for row in rows]
    assert ["coverage", "90%", "40%"] in rows
    assert ["7.0", "to", "9.0", "\u25a0", "anger", "70%", "-", "\u25a0", "anger"] in rows
    assert "Fish & <chips>" in text
    assert "- There are <no> words." in text
    assert "positive 80%" in text


def test_a_long_result_is_thinned(made: EmotionResult) -> None:
    text = printed(render_result(replace(made, segments=made.segments * 20)))
    assert "Every 4th of 80 windows" in text


def test_micro_expressions() -> None:
    whole = MicroResult("clip.mp4", 2.0, 25.0, (BROWS, replace(BROWS, person=1)), (Note("code", "a note"),))
    text = printed(render_micro(whole))
    assert "person" in text
    assert "25 30 35" in text
    assert "- a note" in text
    assert "No micro-expression was found." in printed(render_micro(replace(whole, expressions=())))


def test_a_live_update() -> None:
    scores = {"happiness": 0.75, "anger": 0.25}
    parts = {"face": ModalityScores(scores, 1.0), "voice": ModalityScores({"happiness": 0.4, "anger": 0.6}, 0.5)}
    people = tuple(LivePerson(person, (0, 0, 1, 1), scores) for person in (0, None))
    words = (Line(1.0, 2.0, "What a <lovely> day."),)
    dropped, notes = Dropped(frames=3, sound=0.5), (Note("no-video", "No picture has come."),)
    whole = LiveUpdate(2.5, "face", scores, None, parts, people, True, words, dropped, 0.021, notes)
    text = printed(render_update(whole))
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["\u25a0", "happiness", "75%", "2.5", "s", "a", "voice", "21", "ms"]
    assert ["\u25a0", "happiness", "\u2588" * 18, "75%", "75%", "40%"] in rows
    assert ["person", "0", "\u25a0", "happiness", "75%"] in rows
    assert ["new", "\u25a0", "happiness", "75%"] in rows
    assert "What a <lovely> day." in text
    assert "Dropped: 3 pictures, 0.5 s of sound" in text
    assert "- No picture has come." in text
    empty = LiveUpdate(0.0, "face", None, None, {}, (), None, (), Dropped(), 0.02)
    assert printed(render_update(empty)).split() == ["nobody", "is", "seen", "or", "heard", "0.0", "s", "20", "ms"]
