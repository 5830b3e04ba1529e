"""Timeline of a result as SVG, for pages: scores over time, sound, words and small faces."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from mmemo.report.html.templating import element
from mmemo.report.previews import Thumbnail, jpeg
from mmemo.report.style.clock import ticks, unit
from mmemo.report.style.colors import AXIS, BURST, EMPTY, FAINT, HATCH, SPEECH, TEXT, WAVEFORM, colors, ink
from mmemo.report.style.wording import label_with_share, micro_expression_title, name_of, person_title, sound_shading
from mmemo.report.timeline import Run, Span, label_between, longest_seen, runs, spans, thin

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Segment

LEFT, WIDTH = 112, 1000
"""Where time begins, and the width of the drawing, in its own units."""
MOST_POINTS = 1000
_DENSE = 150
"""Points of a band from which the white lines between layers would hide the layers."""
_MOST_PEOPLE = 6
_GAP = 8


@dataclass(frozen=True)
class Band:
    """One row of scores over time.

    Attributes:
        name: "fused" or a modality: which scores of ``segments`` are drawn.
        heading: name of the row, and ``detail`` below it.
        height: in units of the drawing.
    """

    name: str
    heading: str
    detail: str
    height: int
    segments: Sequence[Segment]


def bands(result: EmotionResult) -> list[Band]:
    """Rows of scores: fused, each modality, and each person where there are several."""
    rows = [Band("fused", "Fused", label_with_share(result), 130, result.segments)]
    rows += [
        Band(name, name_of(name), label_with_share(scores), 56, result.segments)
        for name, scores in result.modalities.items()
    ]
    if len(result.people) > 1:
        rows += [
            Band("fused", f"P{person_title(person)[1:]}", label_with_share(person), 38, person.segments)
            for person in longest_seen(result.people, _MOST_PEOPLE)
        ]
    return rows


def timeline_svg(
    result: EmotionResult, thumbnails: Sequence[Thumbnail] = (), envelope: np.ndarray | None = None
) -> Markup:
    """The timeline as an ``<svg>`` element; empty without scores over time.

    Args:
        envelope: of the sound, (N,) in [0, 1].
    """
    if not result.duration or not result.segments:
        return Markup("")
    drawing = _Drawing(result)
    if thumbnails:
        drawing.faces(thumbnails)
    for number, band in enumerate(bands(result)):
        drawing.band(band, bold=number == 0)
    if result.micro_expressions:
        drawing.micro_expressions()
    if envelope is not None or result.speech or result.vocal_bursts:
        drawing.sound(envelope)
    if result.transcript is not None and result.transcript.lines:
        drawing.words()
    return drawing.finish()


def data_url(image: np.ndarray) -> str:
    """A picture as a ``data:`` URL."""
    return "data:image/jpeg;base64," + b64encode(jpeg(image)).decode("ascii")


class _Drawing:
    """The drawing in the making: rows from top to bottom."""

    def __init__(self, result: EmotionResult) -> None:
        self._result = result
        self._colors = colors(result.scores)
        self._y = 0.0
        self._parts: list[Markup] = []

    def x(self, time: float) -> float:
        share = (time - self._result.start) / self._result.duration
        return LEFT + (WIDTH - LEFT) * min(1.0, max(0.0, share))

    def faces(self, thumbnails: Sequence[Thumbnail]) -> None:
        side = min(68.0, (WIDTH - LEFT) / max(1, len(thumbnails)) - 4)
        for thumbnail in thumbnails:
            title = element("title", f"Person {thumbnail.person} at {thumbnail.time:.1f} s")
            box: dict[str, Any] = {
                "x": _px(self.x(thumbnail.time) - side / 2),
                "y": 0,
                "width": _px(side),
                "height": _px(side),
            }
            self._add("image", title, href=data_url(thumbnail.image), **box)
        self._end_row("Faces", "", side)

    def band(self, band: Band, *, bold: bool) -> None:
        all_runs, top, height = runs(band.segments, band.name), self._y, band.height
        box = {"x": LEFT, "y": _px(top), "width": WIDTH - LEFT, "height": height}
        self._add("rect", **box, fill="url(#mmemo-empty)")
        stroke = 0.6 if sum(len(run.times) for run in all_runs) < _DENSE else 0
        for run in thin(all_runs, MOST_POINTS):
            xs = np.array([self.x(float(time)) for time in run.times])
            edges = np.cumsum(np.column_stack([np.zeros(len(xs)), run.values]), axis=1)
            edges = top + height * (1 - np.clip(edges, 0, 1))
            for place, color in enumerate(self._colors.values()):
                # One string, closed over the lower edge of the layer, which is drawn backward.
                points = f"{_points(xs, edges[:, place + 1])} {_points(xs[::-1], edges[::-1, place])}"
                self._add("polygon", points=points, fill=color, stroke="#fff", stroke_width=stroke)
        if height >= 38:
            self._labels(all_runs, spans(band.segments, band.name), height)
        self._end_row(band.heading, band.detail, height, bold)

    def _labels(self, all_runs: Sequence[Run], all_spans: Sequence[Span], height: int) -> None:
        """The label of each span that is wide and thick enough, in its layer."""
        labels, size = list(self._result.scores), 14 if height > 100 else 11
        for span in all_spans:
            middle, row = (span.start + span.end) / 2, labels.index(span.label)
            run = next((run for run in all_runs if run.times[0] <= middle <= run.times[-1]), None)
            if run is None or self.x(span.end) - self.x(span.start) < len(span.label) * size * 0.62 + 10:
                continue
            scores = run.at(middle)
            if scores[row] * height < size * 1.15:
                continue
            y = self._y + height * (1 - scores[:row].sum() - scores[row] / 2) + size * 0.35
            self._text(self.x(middle), y, span.label, size, ink(self._colors[span.label]), "middle")

    def micro_expressions(self) -> None:
        """A triangle at the apex of each."""
        for expression in self._result.micro_expressions or ():
            path = f"M{_px(self.x(expression.apex))} {_px(self._y + 1)}l5 10h-10z"
            self._add("path", element("title", micro_expression_title(expression)), d=path, fill=TEXT)
        self._end_row("Micro", "", 12)

    def sound(self, envelope: np.ndarray | None) -> None:
        """The envelope, on a scale that shows quiet speech, too, with speech and vocal bursts shaded behind it."""
        top, height = self._y, 44
        shades = [("speech", span, SPEECH) for span in self._result.speech or ()]
        shades += [("vocal burst", span, BURST) for span in self._result.vocal_bursts]
        for what, (start, end), color in shades:
            width = _px(max(0.5, self.x(end) - self.x(start)))
            box = {"x": _px(self.x(start)), "y": _px(top), "width": width, "height": height}
            self._add("rect", element("title", f"{what}, {start:.1f} to {end:.1f} s"), **box, fill=color)
        middle = top + height / 2
        if envelope is not None and len(envelope):
            heights = np.sqrt(envelope / max(float(envelope.max()), 1e-4)) * height / 2
            xs = np.linspace(LEFT, WIDTH, len(envelope))
            points = f"{_points(xs, middle - heights)} {_points(xs[::-1], middle + heights[::-1])}"
            self._add("polygon", points=points, fill=WAVEFORM)
        self._add("path", d=f"M{LEFT} {_px(middle)}H{WIDTH}", stroke=AXIS, stroke_width=0.6)
        self._end_row("Sound", sound_shading(self._result), height)

    def words(self) -> None:
        """A bar a line of the transcript, in the color of its label."""
        result = self._result
        for line in result.transcript.lines if result.transcript else ():
            if line.end <= result.start or line.start >= result.start + result.duration:
                continue
            color = self._colors.get(label_between(result, line.start, line.end), FAINT)
            width = _px(max(1.5, self.x(line.end) - self.x(line.start) - 1))
            box = {"x": _px(self.x(line.start)), "y": _px(self._y), "width": width, "height": 12, "rx": 2}
            self._add("rect", element("title", line.text), **box, fill=color)
        self._end_row("Lines", "", 12)

    def finish(self) -> Markup:
        bottom = self._y
        start, duration = self._result.start, self._result.duration
        for time, text in ticks(start, duration):
            self._add("path", d=f"M{_px(self.x(time))} {_px(bottom)}v4", stroke=FAINT)
            self._text(self.x(time), bottom + 17, text, 11, FAINT, "middle")
        self._text(LEFT - 24, bottom + 17, unit(duration), 11, FAINT, "end")
        line = {"class": "cursor", "d": f"M0 0V{_px(bottom)}", "stroke": TEXT, "stroke-width": 1.5}
        cursor = element("path", **line, visibility="hidden")
        root = {"class": "timeline", "viewBox": f"0 0 {WIDTH + 20} {bottom + 24:.0f}", "role": "img", "tabindex": 0}
        name = {"aria-label": "Scores over time; arrow keys move the time"}
        return element("svg", Markup("\n").join([_hatching(), *self._parts, cursor]), **root, **name)

    def _end_row(self, heading: str, detail: str, height: float, bold: bool = False) -> None:
        middle = self._y + height / 2 + (-2 if detail else 4)
        self._text(LEFT - 10, middle, heading, 15 if bold else 13, TEXT, "end", bold)
        if detail:
            self._text(LEFT - 10, middle + 15, detail, 11, FAINT, "end")
        self._y += height + _GAP

    def _text(self, x: float, y: float, text: str, size: int, color: str, anchor: str, bold: bool = False) -> None:
        weight = {"font_weight": 600} if bold else {}
        self._add("text", text, x=_px(x), y=_px(y), text_anchor=anchor, font_size=size, fill=color, **weight)

    def _add(self, tag: str, content: str = "", /, **attributes: object) -> None:
        self._parts.append(element(tag, content, **attributes))


def _hatching() -> Markup:
    lines = element("rect", width=7, height=7, fill=EMPTY) + element("path", d="M0 0V7", stroke=HATCH, stroke_width=1.6)
    size = {"id": "mmemo-empty", "width": 7, "height": 7, "patternUnits": "userSpaceOnUse"}
    return element("defs", element("pattern", lines, **size, patternTransform="rotate(45)"))


def _px(length: float) -> str:
    return f"{length:.1f}"


def _points(xs: np.ndarray, ys: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
