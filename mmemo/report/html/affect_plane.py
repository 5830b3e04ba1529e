"""Valence and arousal of a result as SVG: their path over time, among the places of the labels."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from mmemo.affect import PLACES
from mmemo.report.html.templating import element
from mmemo.report.style.clock import clock
from mmemo.report.style.colors import ACCENT, AXIS, FAINT, RULE, TEXT, colors, time_color
from mmemo.report.style.wording import name_of
from mmemo.report.timeline import Run, affect_runs, thin

if TYPE_CHECKING:
    from mmemo.affect import Affect
    from mmemo.result import EmotionResult

_UNIT = 200.0
"""Length of 1, in the units of the drawing."""
_X, _Y = 236.0, 222.0
"""Where valence and arousal are 0."""
_MOST_POINTS = 240
_BAR = 40
"""Steps of the bar that shows which color is which time."""


def affect_plane(result: EmotionResult) -> Markup:
    """The drawing as an ``<svg>`` element; empty for a result without affect."""
    if result.affect is None:
        return Markup("")
    runs = affect_points(result)
    moving = sum(len(run.times) - 2 for run in runs) > 1
    parts = [*_grid(), *_labels(result), *(_path(result, runs) if moving else ()), *_marks(result)]
    if moving:
        parts += [*_time_bar(result), element("circle", **{"class": "now"}, r=7, fill="none", visibility="hidden")]
    name = {"aria-label": f"Valence and arousal{' over time' if moving else ''}"}
    size = {"class": "plane", "viewBox": f"0 0 472 {510 if moving else 466}", "role": "img"}
    return element("svg", Markup("\n").join(parts), **size, **name)


def affect_points(result: EmotionResult) -> list[Run]:
    """The runs of fused affect as points (x, y) of the drawing."""
    if not result.duration:
        return []
    runs = thin(affect_runs(result.segments), _MOST_POINTS)
    return [Run(run.times, (np.array([_X, _Y]) + run.values * [_UNIT, -_UNIT]).round(1)) for run in runs]


def _position(valence: float, arousal: float) -> tuple[float, float]:
    return round(_X + _UNIT * valence, 1), round(_Y - _UNIT * arousal, 1)


def _grid() -> list[Markup]:
    left, top = _position(-1, 1)
    side = 2 * _UNIT
    parts = [
        element("rect", x=left, y=top, width=side, height=side, rx=4, fill="#fbfcfc", stroke=RULE),
        element("circle", cx=_X, cy=_Y, r=_UNIT, fill="#fff", stroke=RULE),
        element("path", d=f"M{left} {_Y}h{side}M{_X} {top}v{side}", stroke=AXIS, stroke_width=0.8),
    ]
    for tick, text in ((-1, "\u22121"), (-0.5, "\u22120.5"), (0, "0"), (0.5, "0.5"), (1, "1")):
        x, y = _position(tick, tick)
        parts += [_text(x, top + side + 16, text, 11), _text(left - 6, y + 4, text, 11, anchor="end")]
    x, y = _position(0, 0)
    parts += [
        _text(left + 7, y - 6, "unpleasant", 11, anchor="start"),
        _text(left + side - 7, y - 6, "pleasant", 11, anchor="end"),
        _text(x + 6, top + 15, "excited", 11, anchor="start"),
        _text(x + 6, top + side - 8, "calm", 11, anchor="start"),
        _text(x, top + side + 36, "valence", 13, TEXT),
        element("g", _text(0, 0, "arousal", 13, TEXT), transform=f"translate(12 {_Y}) rotate(-90)"),
    ]
    return parts


def _labels(result: EmotionResult) -> list[Markup]:
    """Where the labels lie: faint, as they are the ground on which the path is read."""
    parts = []
    for label, color in colors(result.scores).items():
        if label.casefold() not in PLACES:
            continue
        valence, arousal, _ = PLACES[label.casefold()]
        x, y = _position(valence, arousal)
        if valence < 0:  # anger and fear are close: their names go to either side
            outward = -1 if valence < -0.55 else 1
            text = _text(x + 9 * outward, y + 4, label, 12, anchor="end" if outward < 0 else "start")
        else:
            text = _text(x, y + (-10 if arousal else 19), label, 12)
        parts.append(element("g", element("circle", cx=x, cy=y, r=4.5, fill=color, opacity=0.65) + text, opacity=0.8))
    return parts


def _path(result: EmotionResult, runs: list[Run]) -> list[Markup]:
    """Lines from window to window, darker with time; dotted over gaps; a dot each window, an open one the first."""
    points = [
        [(time, *point) for time, point in zip(run.times[1:-1].tolist(), run.values[1:-1].tolist(), strict=True)]
        for run in runs
    ]
    parts = []
    for one, other in pairwise(points):
        (_, x, y), (_, to_x, to_y) = one[-1], other[0]
        dots = {"stroke_dasharray": "1 5", "stroke_linecap": "round", "stroke_width": 1.6}
        parts.append(element("path", d=f"M{x} {y}L{to_x} {to_y}", stroke=AXIS, fill="none", **dots))
    for run in points:
        for (time, x, y), (after, to_x, to_y) in pairwise(run):
            color = _color(result, (time + after) / 2)
            line = {"stroke": color, "stroke_width": 2.4, "stroke_linecap": "round"}
            parts.append(element("path", d=f"M{x} {y}L{to_x} {to_y}", **line))
    flat = [point for run in points for point in run]
    for place, (time, x, y) in enumerate(flat):
        color, last = _color(result, time), place == len(flat) - 1
        fill = {"fill": color if place else "#fff", "stroke": "#fff" if place else color}
        title = element("title", clock(time))
        size = {"r": 5 if last or not place else 3, "stroke_width": 1 if place else 2.4}
        parts.append(element("circle", title, cx=x, cy=y, **size, **fill))
    return parts


def _marks(result: EmotionResult) -> list[Markup]:
    """The whole clip: each modality as a ring with its name, and all fused as a diamond."""
    parts = []
    for name, scores in result.modalities.items():
        if scores.affect is not None and len(result.modalities) > 1:
            x, y = _position(scores.affect.valence, scores.affect.arousal)
            ring = element("circle", _title(name_of(name), scores.affect), cx=x, cy=y, r=4.5, fill="#fff", stroke=TEXT)
            parts.append(ring + _text(x + 9, y + 4, name_of(name).lower(), 12, TEXT, anchor="start", halo=True))
    assert result.affect is not None
    x, y = _position(result.affect.valence, result.affect.arousal)
    diamond = {"d": f"M{x} {y - 7}l7 7l-7 7l-7-7z", "fill": ACCENT, "stroke": "#fff", "stroke_width": 1.5}
    parts.append(element("path", _title("Whole clip, fused", result.affect), **diamond))
    return parts


def _time_bar(result: EmotionResult) -> list[Markup]:
    left, _ = _position(-1, 0)
    width, y = 2 * _UNIT / _BAR, 490
    parts = [
        element("rect", x=left + width * step, y=y, width=width + 0.5, height=6, fill=time_color(step / (_BAR - 1)))
        for step in range(_BAR)
    ]
    start, end = clock(result.start), clock(result.start + result.duration)
    return [
        *parts,
        _text(left, y - 5, start, 11, anchor="start"),
        _text(left + 2 * _UNIT, y - 5, end, 11, anchor="end"),
    ]


def _color(result: EmotionResult, time: float) -> str:
    return time_color(min(1.0, max(0.0, (time - result.start) / result.duration)))


def _title(name: str, affect: Affect) -> Markup:
    return element("title", f"{name}: valence {affect.valence:+z.2f}, arousal {affect.arousal:+z.2f}")


def _text(
    x: float, y: float, text: str, size: int, color: str = FAINT, anchor: str = "middle", halo: bool = False
) -> Markup:
    around = {"stroke": "#fff", "stroke_width": 3, "paint_order": "stroke", "stroke_linejoin": "round"} if halo else {}
    return element("text", text, x=x, y=y, text_anchor=anchor, font_size=size, fill=color, **around)
