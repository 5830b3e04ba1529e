"""Timeline of a page: its rows, gaps and labels."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np

from mmemo import EmotionResult
from mmemo.report.html.svg import LEFT, WIDTH, bands, timeline_svg
from mmemo.report.style.colors import COLORS, WAVEFORM


def x(time: float, result: EmotionResult) -> float:
    return LEFT + (WIDTH - LEFT) * time / result.duration


def test_it_is_well_formed_and_has_every_row(made: EmotionResult) -> None:
    root = ElementTree.fromstring(timeline_svg(made, envelope=np.array([0.1, 0.5])))
    texts = [element.text for element in root.iter("text")]
    for heading in ("Fused", "Face", "Voice", "Sound", "Lines", "speech is shaded", "happiness 50%"):
        assert heading in texts
    assert "Faces" not in texts
    assert {element.get("fill") for element in root.iter("polygon")} == {*COLORS.values(), WAVEFORM}


def test_nothing_is_drawn_in_a_gap(made: EmotionResult) -> None:
    root = ElementTree.fromstring(timeline_svg(made))
    for polygon in root.iter("polygon"):
        xs = [float(point.split(",")[0]) for point in (polygon.get("points") or "").split()]
        assert max(xs) <= x(4.0, made) + 0.1 or min(xs) >= x(7.0, made) - 0.1


def test_heights_are_the_scores(made: EmotionResult) -> None:
    root = ElementTree.fromstring(timeline_svg(made))
    happiness = next(polygon for polygon in root.iter("polygon") if polygon.get("fill") == COLORS["happiness"])
    points = [point.split(",") for point in (happiness.get("points") or "").split()]
    ys = [float(y) for at, y in points if float(at) == LEFT]
    assert round(max(ys) - min(ys), 1) == round(0.7 * bands(made)[0].height, 1)


def test_people_have_rows_where_there_are_several(made: EmotionResult) -> None:
    assert [band.heading for band in bands(made)] == ["Fused", "Face", "Voice"]
    crowd = replace(made, people=tuple(replace(made.people[0], id=n, coverage=n / 10) for n in range(8)))
    assert [band.heading for band in bands(crowd)][3:] == [f"Person {n}" for n in range(2, 8)]


def test_without_times_there_is_none(made: EmotionResult) -> None:
    assert timeline_svg(replace(made, duration=0.0)) == ""
