"""The plane of valence and arousal: every window once, gaps dotted, and nothing where nothing is known."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from mmemo import EmotionResult
from mmemo.affect import Affect
from mmemo.report.html.affect_plane import affect_plane, affect_points
from mmemo.result import ModalityScores, Segment


def circles(result: EmotionResult) -> list[dict[str, str]]:
    return [part.attrib for part in ElementTree.fromstring(affect_plane(result)).iter("circle")]


def test_a_path_through_the_windows(made: EmotionResult) -> None:
    first, second = affect_points(made)
    windows = [segment.affect for segment in made.segments]
    shown = [(a.valence, a.arousal) for a in windows if a is not None]
    points = np.array([*first.values[1:-1], *second.values[1:-1]])
    unit = (points[-1] - points[0]) / np.subtract(shown[-1], shown[0])
    assert unit[0] == pytest.approx(-unit[1], rel=0.01)  # up is excited
    np.testing.assert_allclose(points, points[0] + unit * np.subtract(shown, shown[0]), atol=0.2)
    drawn = [(float(one.get("cx", 0)), float(one.get("cy", 0))) for one in circles(made)]
    for point in points:
        assert min(np.hypot(*np.subtract(point, one)) for one in drawn) < 0.1
    svg = affect_plane(made)
    assert svg.count("stroke-dasharray") == 1  # the gap from 4 to 7 s
    assert svg.count(">happiness<") == svg.count(">anger<") == 1
    assert "10.0 s" in svg
    assert 'class="now"' in svg


def test_a_path_of_many_windows_is_thinned(made: EmotionResult) -> None:
    long = replace(made, segments=[replace(made.segments[0], start=n / 100, end=n / 100 + 1) for n in range(900)])
    assert 100 < len(circles(long)) < 300


@pytest.mark.parametrize("duration", [0.0, 10.0])
def test_without_windows_there_are_marks_alone(made: EmotionResult, duration: float) -> None:
    svg = affect_plane(replace(made, duration=duration, segments=(), people=()))
    assert "Whole clip, fused: valence" in svg
    assert "Face: valence" in svg
    assert 'class="now"' not in svg


def test_labels_without_a_place_have_no_plane() -> None:
    mood = {"positive": 0.75, "negative": 0.25}
    assert affect_plane(EmotionResult(None, 0.0, mood, {"text": ModalityScores(mood, 1.0)})) == ""


def test_what_lies_far_out_is_shown(made: EmotionResult) -> None:
    text = ModalityScores(made.scores, 1.0, 1.0, Affect(-1.0, -1.0, 0.0))
    far = replace(made, modalities={"text": text}, segments=(Segment(0.0, 2.0, made.scores, {"text": text}),))
    (run,) = affect_points(far)
    _, _, width, height = (float(one) for one in re.findall(r"[\d.]+", affect_plane(far).split("viewBox")[1])[:4])
    assert 0 < run.values[0, 0] < width
    assert 0 < run.values[0, 1] < height
