"""Panels of the app's page: what they show, and that text of a user stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmemo import EmotionModel, EmotionResult
from mmemo.app import html
from mmemo.app.sessions import StoredResult
from mmemo.fusion.late import LateFusion
from mmemo.labels import LabelSet
from mmemo.notes import Note
from mmemo.report.html.svg import timeline_svg
from mmemo.result import ModalityScores, Segment
from mmemo.testing import TinyEncoder

Check = Callable[[Callable[[str], str]], None]


def result(label: str = "joy", text: str = "clip.mp4") -> EmotionResult:
    scores = {label: 0.7, "anger": 0.3}
    modalities = {"text": ModalityScores(scores, 1.0)}
    segments = (Segment(0.0, 2.0, scores, modalities), Segment(2.0, 4.0, scores, {}))
    return EmotionResult(text, 4.0, scores, modalities, segments, notes=(Note("code", text),))


def finding(result: EmotionResult, files: tuple[str, ...] = ("report.html", "result.json")) -> StoredResult:
    return StoredResult("TOKEN", Path(), result, timeline_svg(result), files)


def model(label: str = "joy") -> EmotionModel:
    labels = LabelSet("own", (label, "anger"))
    return EmotionModel([TinyEncoder(labels)], LateFusion(labels, {"text": 1.0}))


def test_a_result() -> None:
    panel = html.result_panel(finding(result()))
    assert '<svg class="timeline"' in panel
    assert 'href="/results/TOKEN/result.json?save=1"' in panel
    assert "<video" not in panel
    assert panel.count("no evidence") == 1
    assert "/results/TOKEN/annotated.mp4#t=0.05" in html.result_panel(finding(result(), ("annotated.mp4",)))


def test_many_windows_are_cut() -> None:
    many = replace(result(), segments=result().segments * 301)
    assert "… and 2 more windows" in html.result_panel(finding(many))


def test_modalities() -> None:
    assert "Analyze a clip first" in html.modalities_panel(None, model(), ())
    panel = html.modalities_panel(finding(result()), model(), ["text"])
    assert '<tr class="current"><td>Words</td><td>joy 70%</td>' in panel
    empty = html.modalities_panel(finding(result()), model(), [])
    assert "Choose at least one modality." in empty
    assert 'class="current"' not in empty


@pytest.mark.parametrize(
    "write",
    [
        html.failure,
        lambda text: html.result_panel(finding(result(text, text))),
        lambda text: html.modalities_panel(finding(result(text, text)), model(text), ["text"]),
        lambda text: html.live(LabelSet("own", (text, "anger"))),
    ],
)
def test_text_of_a_user_stays_text(write: Callable[[str], str], check_escaping: Check) -> None:
    check_escaping(write)


def test_the_live_page_has_the_labels_and_their_colors() -> None:
    page = html.live(LabelSet("own", ("joy", "</script>")))
    colors = re.search(r"const colors = (.*);</script>", page)
    assert colors is not None
    assert list(json.loads(colors[1])) == ["joy", "</script>"]
    assert '"use strict";' in page
