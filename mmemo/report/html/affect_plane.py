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

_WIDTH, _LEFT, _TOP = 460.0, 52.0, 8.0
"""Of the plane, in the units of the drawing, and where it begins."""
_USUAL = np.array([[-1.0, 1.0], [-0.5, 0.85]])
"""Valence and arousal that are shown; more where something lies outside."""
_MARGIN = 0.08
_MOST_POINTS = 240
_BAR = 46
"""Steps of the bar that shows which color is which time."""


def affect_plane(result: EmotionResult) -> Markup:
    """The drawing as an ``<svg>`` element; empty for a result without affect."""
    return _Plane(result).draw() if result.affect is not None else Markup("")


def affect_points(result: EmotionResult) -> list[Run]:
    """The runs of fused affect as points (x, y) of the drawing."""
    return _Plane(result).points


class _Plane:
    """The drawing: what it shows of the plane, and what lies where.

    Attributes:
        points: the path, if there is one.
    """

    def __init__(self, result: EmotionResult) -> None:
        self._result = result
        runs = thin(affect_runs(result.segments), _MOST_POINTS) if result.duration else []
        affects = [result.affect, *(scores.affect for scores in result.modalities.values())]
        marks = [[affect.valence, affect.arousal] for affect in affects if affect is not None]
        labels = [PLACES[label.casefold()][:2] for label in result.scores if label.casefold() in PLACES]
        every = np.concatenate([*(run.values for run in runs), np.reshape([*marks, *labels], (-1, 2))])
        low, high = every.min(axis=0, initial=0.0) - _MARGIN, every.max(axis=0, initial=0.0) + _MARGIN
        (self._west, self._south), (self._east, self._north) = (
            np.minimum(low, _USUAL[:, 0]),
            np.maximum(high, _USUAL[:, 1]),
        )
        self._unit = _WIDTH / (self._east - self._west)
        self._height = self._unit * (self._north - self._south)
        self.points = [Run(run.times, np.array([self._place(*value) for value in run.values.tolist()])) for run in runs]

    def draw(self) -> Markup:
        moving = sum(len(run.times) - 2 for run in self.points) > 1
        parts = [*self._grid(), *self._labels(), *(self._path() if moving else ()), *self._marks()]
        if moving:
            ring = {"class": "now", "r": 7, "fill": "none", "visibility": "hidden"}
            parts += [*self._time_bar(), element("circle", **ring)]
        height = _TOP + self._height + (86 if moving else 44)
        size = {"class": "plane", "viewBox": f"0 0 {_LEFT + _WIDTH + 4:.0f} {height:.0f}", "role": "img"}
        name = {"aria-label": f"Valence and arousal{' over time' if moving else ''}"}
        return element("svg", Markup("\n").join(parts), **size, **name)

    def _place(self, valence: float, arousal: float) -> tuple[float, float]:
        x, y = _LEFT + self._unit * (valence - self._west), _TOP + self._unit * (self._north - arousal)
        return round(float(x), 1), round(float(y), 1)

    def _grid(self) -> list[Markup]:
        right, bottom = _LEFT + _WIDTH, _TOP + self._height
        box = {"x": _LEFT, "y": _TOP, "width": _WIDTH, "height": round(self._height, 1), "rx": 4}
        parts = [element("rect", **box, fill="#fcfdfd", stroke=RULE)]
        for tick in (-1, -0.5, 0, 0.5, 1):
            across, up = self._place(tick, tick)
            color, text = RULE if tick else AXIS, f"{tick:g}".replace("-", "\u2212")
            if _LEFT - 1 <= across <= right + 1:
                parts += [_line(f"M{across} {_TOP}V{bottom:.1f}", color), _text(across, bottom + 15, text, 11)]
            if _TOP <= up <= bottom:
                parts += [_line(f"M{_LEFT} {up}H{right}", color), _text(_LEFT - 6, up + 4, text, 11, anchor="end")]
        below, middle = bottom + 34, _TOP + self._height / 2
        upward = (
            _text(-self._height / 2, 0, "calm", 11, anchor="start"),
            _text(0, 0, "arousal", 13, TEXT),
            _text(self._height / 2, 0, "excited", 11, anchor="end"),
        )
        return [
            *parts,
            _text(_LEFT, below, "unpleasant", 11, anchor="start"),
            _text(_LEFT + _WIDTH / 2, below, "valence", 13, TEXT),
            _text(right, below, "pleasant", 11, anchor="end"),
            element("g", Markup("").join(upward), transform=f"translate(12 {middle:.1f}) rotate(-90)"),
        ]

    def _labels(self) -> list[Markup]:
        """Where the labels lie: faint, as they are the ground on which the path is read."""
        parts = []
        for label, color in colors(self._result.scores).items():
            if label.casefold() not in PLACES:
                continue
            valence, arousal, _ = PLACES[label.casefold()]
            x, y = self._place(valence, arousal)
            if valence < 0:  # anger and fear are close: their names go to either side
                outward = -1 if valence < -0.55 else 1
                text = _text(x + 9 * outward, y + 4, label, 12, anchor="end" if outward < 0 else "start")
            else:
                text = _text(x, y + (-10 if arousal else 19), label, 12)
            dot = element("circle", cx=x, cy=y, r=5, fill=color, opacity=0.65)
            parts.append(element("g", dot + text, opacity=0.8))
        return parts

    def _path(self) -> list[Markup]:
        """Lines between windows, darker with time; dotted over gaps; a dot each window, of which the first is open."""
        runs = [
            [(time, *point) for time, point in zip(run.times[1:-1].tolist(), run.values[1:-1].tolist(), strict=True)]
            for run in self.points
        ]
        parts = []
        for one, other in pairwise(runs):
            dots = {"stroke_dasharray": "1 5", "stroke_linecap": "round"}
            parts.append(_line("M{} {}L{} {}".format(*one[-1][1:], *other[0][1:]), AXIS, 1.6, **dots))
        for run in runs:
            for (time, *start), (after, *end) in pairwise(run):
                color = self._color((time + after) / 2)
                parts.append(_line("M{} {}L{} {}".format(*start, *end), color, 2.4, stroke_linecap="round"))
        points = [point for run in runs for point in run]
        for number, (time, x, y) in enumerate(points):
            color, ends = self._color(time), number in (0, len(points) - 1)
            paint = (
                {"fill": color, "stroke": "#fff"} if number else {"fill": "#fff", "stroke": color, "stroke_width": 2.4}
            )
            parts.append(element("circle", element("title", clock(time)), cx=x, cy=y, r=5.5 if ends else 3.2, **paint))
        return parts

    def _marks(self) -> list[Markup]:
        """The whole clip: each modality as a ring with its name, and all fused as a diamond."""
        parts = []
        for name, scores in self._result.modalities.items():
            if scores.affect is not None and len(self._result.modalities) > 1:
                x, y = self._place(scores.affect.valence, scores.affect.arousal)
                title = _title(name_of(name), scores.affect)
                parts.append(element("circle", title, cx=x, cy=y, r=4.5, fill="#fff", stroke=TEXT))
                parts.append(_text(x + 9, y + 4, name_of(name).lower(), 12, TEXT, anchor="start", halo=True))
        assert self._result.affect is not None
        x, y = self._place(self._result.affect.valence, self._result.affect.arousal)
        diamond = {"d": f"M{x} {y - 8:.1f}l8 8l-8 8l-8-8z", "fill": "none", "stroke": ACCENT, "stroke_width": 2.4}
        return [*parts, element("path", _title("Whole clip, fused", self._result.affect), **diamond)]

    def _time_bar(self) -> list[Markup]:
        width, y = _WIDTH / _BAR, round(_TOP + self._height + 66, 1)
        steps = ((_LEFT + width * step, time_color(step / (_BAR - 1))) for step in range(_BAR))
        start = self._result.start
        return [
            *(element("rect", x=x, y=y, width=width + 0.5, height=6, fill=color) for x, color in steps),
            _text(_LEFT, y - 5, clock(start), 11, anchor="start"),
            _text(_LEFT + _WIDTH, y - 5, clock(start + self._result.duration), 11, anchor="end"),
        ]

    def _color(self, time: float) -> str:
        return time_color(min(1.0, max(0.0, (time - self._result.start) / self._result.duration)))


def _title(name: str, affect: Affect) -> Markup:
    return element("title", f"{name}: valence {affect.valence:+z.2f}, arousal {affect.arousal:+z.2f}")


def _line(path: str, color: str, width: float = 0.8, **attributes: object) -> Markup:
    return element("path", d=path, stroke=color, stroke_width=width, fill="none", **attributes)


def _text(
    x: float, y: float, text: str, size: int, color: str = FAINT, anchor: str = "middle", halo: bool = False
) -> Markup:
    around = {"stroke": "#fff", "stroke_width": 3, "paint_order": "stroke", "stroke_linejoin": "round"} if halo else {}
    place = {"x": round(x, 1), "y": round(y, 1), "text_anchor": anchor, "font_size": size}
    return element("text", text, **place, fill=color, **around)
