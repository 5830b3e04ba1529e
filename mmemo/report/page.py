"""A result as one self-contained HTML page: no script, no network, prints well."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mmemo.report.micro import marks, section
from mmemo.report.tables import COLORS, NAMES

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, ModalityScores, Scores, Segment

_WIDTH, _HEIGHT, _MARGIN = 960, 150, 90
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:1060px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin-top:2rem}
.verdict{font-size:2rem;font-weight:600}.dim{color:#666;font-weight:400}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;font-variant-numeric:tabular-nums}
th{font-weight:500;color:#666}.bar{display:flex;width:22rem;max-width:40vw;height:1rem;border-radius:3px;overflow:hidden}
.key span{display:inline-block;margin-right:1.1rem}
.key i{display:inline-block;width:.8rem;height:.8rem;margin-right:.35rem}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#555}.line{margin:.15rem 0}
@media print{body{margin:0}h2{break-after:avoid}svg,table{break-inside:avoid}}
"""


def page(result: EmotionResult) -> str:
    """The report of one clip as HTML text."""
    name = escape(result.source or "Text")
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="verdict" style="color:{_color(result.label)}">{escape(result.label)} '
        f'<span class="dim">{result.scores[result.label]:.0%} of the fused score</span></p>',
        _key(result.scores),
        _modalities(result),
        _timeline(result),
        section(result.micro_expressions or ()),
        _people(result),
        _words(result),
        _notes(result),
        '<p class="dim">Scores tell the expression that shows, not what a person feels. They are no ground for '
        f"decisions about people. Model: {escape(result.model)}.</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{name}: {escape(result.label)}</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(part for part in parts if part)
        + "</body></html>\n"
    )


def _key(scores: Scores) -> str:
    items = (f'<span><i style="background:{_color(label)}"></i>{escape(label)}</span>' for label in scores)
    return f'<p class="key">{"".join(items)}</p>'


def _modalities(result: EmotionResult) -> str:
    body = _row("Fused", result.label, result.scores, "", "")
    for name, said in result.modalities.items():
        weight = "" if said.weight is None else f"{said.weight:.0%}"
        body += _row(NAMES.get(name, name), said.label, said.scores, f"{said.coverage:.0%}", weight)
    head = "<tr><th></th><th>label</th><th>scores</th><th>coverage</th><th>weight</th></tr>"
    return f"<h2>By modality</h2><table>{head}{body}</table>"


def _row(name: str, label: str, scores: Scores, coverage: str, weight: str) -> str:
    shares = "".join(
        f'<span style="width:{share:.2%};background:{_color(key)}" title="{escape(key)} {share:.0%}"></span>'
        for key, share in scores.items()
    )
    return (
        f"<tr><td>{escape(name)}</td><td>{escape(label)} {scores[label]:.0%}</td>"
        f'<td><div class="bar">{shares}</div></td><td>{coverage}</td><td>{weight}</td></tr>'
    )


def _timeline(result: EmotionResult) -> str:
    """One band a modality: at each time the shares of the labels, stacked; gaps where there is no evidence."""
    if len(result.segments) < 2:
        return ""
    bands = ["fused", *result.modalities]
    height = (_HEIGHT + 24) // 2
    drawing = []
    for place, band in enumerate(bands):
        top = place * (height + 14)
        drawing.append(f'<text x="0" y="{top + height / 2:.0f}">{escape(NAMES.get(band, band.capitalize()))}</text>')
        drawing.append(f'<rect x="{_MARGIN}" y="{top}" width="{_WIDTH - _MARGIN}" height="{height}" fill="#f3f3f3"/>')
        for (start, end), segment in zip(_slots(result.segments), result.segments, strict=True):
            said = segment if band == "fused" else segment.modalities.get(band)
            if said is not None:
                drawing.append(_column(said, start, end, top, height, result.duration))
    bottom = len(bands) * (height + 14)
    if result.micro_expressions:
        bottom += 20
        drawing.append(f'<text x="0" y="{bottom - 12}">Micro</text>')
        drawing.append(marks(result.micro_expressions, _MARGIN, _WIDTH - _MARGIN, result.duration, bottom - 10))
    for tick in range(11):
        time = result.duration * tick / 10
        drawing.append(
            f'<text x="{_x(time, result.duration):.1f}" y="{bottom + 4}" text-anchor="middle">{time:.1f}</text>'
        )
    size = f"0 0 {_WIDTH + 30} {bottom + 12}"
    return (
        f'<h2>Over time <span class="dim">(seconds)</span></h2><svg viewBox="{size}" role="img" '
        f'aria-label="Scores over time">{"".join(drawing)}</svg>'
    )


def _slots(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    """Where each window is drawn: it owns the time nearest to its centre, as windows overlap."""
    centres = [(segment.start + segment.end) / 2 for segment in segments]
    slots = []
    for place, segment in enumerate(segments):
        start, end = segment.start, segment.end
        if place and segments[place - 1].end > segment.start:
            start = (centres[place - 1] + centres[place]) / 2
        if place + 1 < len(segments) and segments[place + 1].start < segment.end:
            end = (centres[place] + centres[place + 1]) / 2
        slots.append((start, end))
    return slots


def _column(
    said: Segment | ModalityScores, start: float, end: float, top: float, height: float, duration: float
) -> str:
    left, right = _x(start, duration), _x(end, duration)
    title = f"<title>{start:.1f} to {end:.1f} s: {escape(said.label)} {said.scores[said.label]:.0%}</title>"
    shapes, y = [], top + height
    for label, share in said.scores.items():
        y -= share * height
        shapes.append(
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" height="{share * height:.1f}" '
            f'fill="{_color(label)}"/>'
        )
    return f"<g>{title}{''.join(shapes)}</g>"


def _x(time: float, duration: float) -> float:
    return _MARGIN + (_WIDTH - _MARGIN) * time / duration


def _people(result: EmotionResult) -> str:
    if not result.people:
        return ""
    body = "".join(
        _row(f"Person {person.id}", person.label, person.scores, f"{person.coverage:.0%}", "")
        for person in result.people
    )
    head = "<tr><th></th><th>label</th><th>scores</th><th>seen</th><th></th></tr>"
    return f'<h2>People <span class="dim">(face alone)</span></h2><table>{head}{body}</table>'


def _words(result: EmotionResult) -> str:
    transcript = result.transcript
    if transcript is None or not transcript.lines:
        return ""
    lines = "".join(
        f'<p class="line"><span class="dim">{line.start:.1f}</span> {escape(line.text)}</p>'
        for line in transcript.lines
    )
    source = escape(f"{transcript.source}: {transcript.detail}" if transcript.detail else transcript.source)
    return f'<h2>Words <span class="dim">({source})</span></h2>{lines}'


def _notes(result: EmotionResult) -> str:
    if not result.notes:
        return ""
    return "<h2>Notes</h2><ul>" + "".join(f"<li>{escape(note.message)}</li>" for note in result.notes) + "</ul>"


def _color(label: str) -> str:
    return COLORS.get(label, "#444")
