"""The course of a result as SVG, for pages: bands over time, sound, words and small faces."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mmemo.report.micro import told
from mmemo.report.previews import Thumbnail, jpeg
from mmemo.report.style.clock import ticks, unit
from mmemo.report.style.colors import EMPTY, FAINT, TEXT, colors, ink
from mmemo.report.style.wording import name_of
from mmemo.report.timeline import Run, runs, scores_between, spans, thinned

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

LEFT, WIDTH = 112, 1000
"""Where time begins, and the width of the drawing, in its own units."""
MOST_POINTS = 1000
_DENSE = 150
"""Points of a band from which the white lines between layers would hide the layers."""
_MOST_PEOPLE = 6
_GAP = 8


def drawing(result: EmotionResult, thumbnails: Sequence[Thumbnail] = (), envelope: np.ndarray | None = None) -> str:
    """An ``<svg>`` element; empty where there is no course over time."""
    if not result.duration or not result.segments:
        return ""
    draw = _Drawing(result)
    if thumbnails:
        draw.thumbnails(thumbnails)
    for name, heading, detail, height, segments, band in bands(result):
        draw.band(name, heading, detail, height, runs(segments, band), spans(segments, band))
    if result.micro_expressions:
        draw.micro()
    if envelope is not None or result.speech:
        draw.sound(envelope)
    if result.transcript is not None and result.transcript.lines:
        draw.words()
    return draw.finish()


def bands(result: EmotionResult) -> list[tuple[str, str, str, int, Any, str]]:
    """Every row of scores: key, heading, detail, height, its segments, and the band of these."""

    def verdict(said: Any) -> str:
        return f"{said.label} {said.scores[said.label]:.0%}"

    rows = [("fused", "Fused", verdict(result), 130, result.segments, "fused")]
    rows += [
        (name, name_of(name), verdict(said), 56, result.segments, name) for name, said in result.modalities.items()
    ]
    if len(result.people) > 1:
        shown = sorted(sorted(result.people, key=lambda p: -p.coverage)[:_MOST_PEOPLE], key=lambda p: p.id)
        rows += [(f"person {p.id}", f"Person {p.id}", verdict(p), 38, p.segments, "fused") for p in shown]
    return rows


def data_url(image: np.ndarray) -> str:
    """A picture as the address of itself."""
    return "data:image/jpeg;base64," + b64encode(jpeg(image)).decode("ascii")


class _Drawing:
    def __init__(self, result: EmotionResult) -> None:
        self._result = result
        self._colors = colors(result.scores)
        self._y = 0.0
        self._parts: list[str] = []

    def x(self, time: float) -> float:
        share = (time - self._result.start) / self._result.duration
        return LEFT + (WIDTH - LEFT) * min(1.0, max(0.0, share))

    def thumbnails(self, thumbnails: Sequence[Thumbnail]) -> None:
        side = min(68.0, (WIDTH - LEFT) / max(1, len(thumbnails)) - 4)
        for thumbnail in thumbnails:
            x = self.x(thumbnail.time) - side / 2
            self._parts.append(
                f'<image href="{data_url(thumbnail.image)}" x="{x:.1f}" y="0" width="{side:.1f}" height="{side:.1f}">'
                f"<title>Person {thumbnail.person} at {thumbnail.time:.1f} s</title></image>"
            )
        self._heading("Faces", "", side)
        self._y += side + _GAP

    def band(
        self, key: str, heading: str, detail: str, height: int, found: Sequence[Run], stretches: Sequence[Any]
    ) -> None:
        top, labels = self._y, list(self._result.scores)
        self._parts.append(
            f'<rect x="{LEFT}" y="{top:.1f}" width="{WIDTH - LEFT}" height="{height}" fill="url(#mmemo-empty)"/>'
        )
        stroke = 0.6 if sum(len(run.times) for run in found) < _DENSE else 0
        for run in thinned(found, MOST_POINTS):
            xs = [self.x(float(time)) for time in run.times]
            edges = np.cumsum(np.column_stack([np.zeros(len(xs)), run.shares]), axis=1)
            edges = top + height * (1 - np.clip(edges, 0, 1))
            for place, label in enumerate(labels):
                there = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, edges[:, place + 1], strict=True))
                back = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs[::-1], edges[::-1, place], strict=True))
                self._parts.append(
                    f'<polygon points="{there} {back}" fill="{self._colors[label]}" '
                    f'stroke="#fff" stroke-width="{stroke}"/>'
                )
        if height >= 38:
            self._labels(found, stretches, top, height)
        self._heading(heading, detail, height, bold=key == "fused")
        self._y += height + _GAP

    def _labels(self, found: Sequence[Run], stretches: Sequence[Any], top: float, height: int) -> None:
        """Write the label of each stretch that is wide and thick enough into its layer."""
        labels, size = list(self._result.scores), 14 if height > 100 else 11
        for span in stretches:
            middle, row = (span.start + span.end) / 2, labels.index(span.label)
            run = next((run for run in found if run.times[0] <= middle <= run.times[-1]), None)
            if run is None or self.x(span.end) - self.x(span.start) < len(span.label) * size * 0.62 + 10:
                continue
            shares = run.at(middle)
            if shares[row] * height < size * 1.15:
                continue
            y = top + height * (1 - shares[:row].sum() - shares[row] / 2) + size * 0.35
            self._text(self.x(middle), y, span.label, size, ink(self._colors[span.label]), "middle")

    def micro(self) -> None:
        """A triangle at the apex of every micro-expression."""
        for one in self._result.micro_expressions or ():
            self._parts.append(
                f'<path d="M{self.x(one.apex):.1f} {self._y + 1:.1f}l5 10h-10z" fill="{TEXT}">'
                f"<title>{escape(told(one))}</title></path>"
            )
        self._heading("Micro", "", 12)
        self._y += 12 + _GAP

    def sound(self, envelope: np.ndarray | None) -> None:
        top, height = self._y, 44
        for start, end in self._result.speech or ():
            self._parts.append(
                f'<rect x="{self.x(start):.1f}" y="{top:.1f}" width="{max(0.5, self.x(end) - self.x(start)):.1f}" '
                f'height="{height}" fill="#dbe7f3"><title>speech, {start:.1f} to {end:.1f} s</title></rect>'
            )
        middle = top + height / 2
        if envelope is not None and len(envelope):
            heights = np.sqrt(envelope / max(float(envelope.max()), 1e-4)) * height / 2
            xs = np.linspace(LEFT, WIDTH, len(envelope))
            points = [f"{x:.1f},{middle - h:.1f}" for x, h in zip(xs, heights, strict=True)]
            points += [f"{x:.1f},{middle + h:.1f}" for x, h in zip(xs[::-1], heights[::-1], strict=True)]
            self._parts.append(f'<polygon points="{" ".join(points)}" fill="#58646e"/>')
        self._parts.append(f'<path d="M{LEFT} {middle:.1f}H{WIDTH}" stroke="#aab2b9" stroke-width=".6"/>')
        self._heading("Sound", "speech is shaded" if self._result.speech else "", height)
        self._y += height + _GAP

    def words(self) -> None:
        transcript = self._result.transcript
        for line in transcript.lines if transcript else ():
            if line.end <= self._result.start or line.start >= self._result.start + self._result.duration:
                continue
            scores = scores_between(self._result, line.start, line.end)
            label = max(scores, key=lambda label: scores[label]) if scores else ""
            self._parts.append(
                f'<rect x="{self.x(line.start):.1f}" y="{self._y:.1f}" rx="2" height="12" '
                f'width="{max(1.5, self.x(line.end) - self.x(line.start) - 1):.1f}" '
                f'fill="{self._colors.get(label, FAINT)}">'
                f"<title>{escape(line.text)}</title></rect>"
            )
        self._heading("Lines", "", 12)
        self._y += 12 + _GAP

    def _heading(self, text: str, detail: str, height: float, bold: bool = False) -> None:
        middle = self._y + height / 2 + (4 if not detail else -2)
        self._text(LEFT - 10, middle, text, 15 if bold else 13, TEXT, "end", bold)
        if detail:
            self._text(LEFT - 10, middle + 15, detail, 11, FAINT, "end")

    def _text(self, x: float, y: float, text: str, size: int, color: str, anchor: str, bold: bool = False) -> None:
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}"{weight}>'
            f"{escape(text)}</text>"
        )

    def finish(self) -> str:
        bottom = self._y
        start, duration = self._result.start, self._result.duration
        for time, text in ticks(start, duration):
            x = self.x(time)
            self._parts.append(f'<path d="M{x:.1f} {bottom:.1f}v4" stroke="{FAINT}"/>')
            self._text(x, bottom + 17, text, 11, FAINT, "middle")
        self._text(LEFT - 24, bottom + 17, unit(duration), 11, FAINT, "end")
        self._parts.append(
            f'<path class="cursor" d="M0 0V{bottom:.1f}" stroke="{TEXT}" stroke-width="1.5" visibility="hidden"/>'
        )
        hatch = (
            '<defs><pattern id="mmemo-empty" width="7" height="7" patternUnits="userSpaceOnUse" '
            f'patternTransform="rotate(45)"><rect width="7" height="7" fill="{EMPTY}"/><path d="M0 0V7" '
            'stroke="#cfd4d8" stroke-width="1.6"/></pattern></defs>'
        )
        return (
            f'<svg class="course" viewBox="0 0 {WIDTH + 20} {bottom + 24:.0f}" role="img" tabindex="0" '
            f'aria-label="Scores over time; arrow keys move the time">{hatch}{"".join(self._parts)}</svg>'
        )
