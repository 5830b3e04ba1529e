"""What the command line prints of a result."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from mmemo import EmotionResult
from mmemo.micro.spot import MicroResult
from mmemo.micro_expression import MicroExpression
from mmemo.notes import Note
from mmemo.report.terminal import render_micro, render_result

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
