"""Plot of a result: scores over time with sound and words, or bars where there is no time."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from mmemo.report.plots.figure import LEFT, RIGHT, WIDTH, Picture, RowLayout, heading, inches_high, title
from mmemo.report.plots.prosody import draw_prosody
from mmemo.report.plots.scores import plot_scores
from mmemo.report.previews import Previews
from mmemo.report.style.clock import ticks, unit
from mmemo.report.style.colors import AXIS, BURST, EMPTY, FAINT, HATCH, OUTLINE, SPEECH, TEXT, WAVEFORM, colors, ink
from mmemo.report.style.fonts import families
from mmemo.report.style.wording import label_with_share, name_of, person_title, sound_shading
from mmemo.report.timeline import Run, label_between, longest_seen, runs, scores_at, spans, thin

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Segment

_GAP = 0.09  # inches, as all lengths below
_THUMBNAIL = 0.8
_PROSODY = 0.7
_MOST_PEOPLE = 6
_MOST_POINTS = 2000
_DENSE = 150
"""Points of a row from which the white lines between layers would hide the layers."""
_LETTER = 0.078  # mean width of a letter of the words
_LINE = 0.16


def plot(result: EmotionResult, *, faces: bool = True) -> Picture:
    """See `EmotionResult.plot`."""
    if result.duration and result.segments:
        return _timeline(result, faces)
    return plot_scores(result, faces)


def _timeline(result: EmotionResult, faces: bool) -> Picture:
    previews = Previews(result)
    across = int((WIDTH - LEFT - RIGHT) / _THUMBNAIL)
    times = [result.start + result.duration * (place + 0.5) / across for place in range(across)]
    thumbnails = previews.thumbnails(times, 160) if faces else []
    envelope = previews.envelope(1100)
    people = longest_seen(result.people, _MOST_PEOPLE) if len(result.people) > 1 else []
    sound = envelope is not None or result.speech is not None
    lines, words = _word_lines(result), bool(_place_lines(result))
    notes = [fill(note, 185) for note in (*(note.message for note in result.notes), previews.missing) if note][:4]
    note_rows = sum(note.count("\n") + 1 for note in notes)
    heights = [
        0.75,
        _THUMBNAIL + _GAP if thumbnails else 0.0,
        1.5 + _GAP,
        (0.62 + _GAP) * len(result.modalities),
        (0.36 + _GAP) * len(people),
        0.16 + _GAP if result.micro_expressions else 0.0,
        0.5 + _GAP if sound else 0.0,
        _PROSODY + _GAP if result.prosody else 0.0,
        0.36,
        0.12 + _LINE * max(lines, 1) + _GAP if words else 0.0,
        0.4,
        _LINE * note_rows + 0.1 if notes else 0.0,
        0.08,
    ]
    layout = RowLayout(sum(heights))
    title(layout, result)
    palette = colors(result.scores)
    if thumbnails:
        axes = layout.row(_THUMBNAIL)
        axes.set(xlim=(0, across), ylim=(0, 1))
        for thumbnail in thumbnails:
            place = (thumbnail.time - result.start) / result.duration * across - 0.5
            axes.imshow(thumbnail.image, extent=(place + 0.04, place + 0.96, 0.04, 0.96), aspect="auto", zorder=2)
            label = _label_at(result, thumbnail.person, thumbnail.time)
            corner, color = (place + 0.04, 0.04), palette.get(label, FAINT)
            axes.add_patch(Rectangle(corner, 0.92, 0.92, facecolor="none", edgecolor=color, linewidth=2.5, zorder=3))
        heading(axes, "Faces", "")
        layout.skip(_GAP)
    axes = layout.row(1.5)
    _band(axes, result, result.segments, "fused", 10.5)
    heading(axes, "Fused", label_with_share(result), large=True)
    layout.skip(_GAP)
    for band, scores in result.modalities.items():
        axes = layout.row(0.62)
        _band(axes, result, result.segments, band, 8.5)
        heading(axes, name_of(band), label_with_share(scores))
        layout.skip(_GAP)
    for person in people:
        axes = layout.row(0.36)
        _band(axes, result, person.segments, "fused", 7.5)
        heading(axes, f"P{person_title(person)[1:]}", label_with_share(person), inline=True)
        layout.skip(_GAP)
    if result.micro_expressions:
        axes = layout.row(0.16)
        axes.set(xlim=(result.start, result.start + result.duration), ylim=(0, 1))
        apexes = [expression.apex for expression in result.micro_expressions]
        axes.plot(apexes, [0.5] * len(apexes), "^", color=TEXT, markersize=7, clip_on=False)
        heading(axes, "Micro", "")
        layout.skip(_GAP)
    if sound:
        axes = layout.row(0.5)
        _sound(axes, result, envelope)
        layout.skip(_GAP)
    if result.prosody:
        axes = layout.row(_PROSODY)
        draw_prosody(axes, result.prosody, result.start, result.start + result.duration)
        layout.skip(_GAP)
    _seconds(axes, result)
    layout.skip(0.36)
    if words:
        _words(layout.row(0.12 + _LINE * max(lines, 1)), result, max(lines, 1))
        layout.skip(_GAP)
    layout.skip(0.2)
    _legend(layout, result)
    layout.skip(0.2)
    for note in notes:
        rows = note.count("\n") + 1
        layout.skip(_LINE * rows / 2)
        layout.text(0.3, note, 8, FAINT)
        layout.skip(_LINE * rows / 2)
    return layout.figure


def _band(axes: Axes, result: EmotionResult, segments: Sequence[Segment], band: str, size: float) -> None:
    """Stacked scores over time, hatched where there are none; spans that are wide enough bear their label."""
    start, end = result.start, result.start + result.duration
    axes.set(xlim=(start, end), ylim=(0, 1))
    axes.add_patch(Rectangle((start, 0), end - start, 1, facecolor=EMPTY, edgecolor=HATCH, hatch="////", linewidth=0))
    all_runs, palette = runs(segments, band), colors(result.scores)
    edge = 0.6 if sum(len(run.times) for run in all_runs) < _DENSE else 0.0
    for run in thin(all_runs, _MOST_POINTS):
        below = np.zeros(len(run.times))
        for place, label in enumerate(result.scores):
            above = below + run.values[:, place]
            axes.fill_between(run.times, below, above, facecolor=palette[label], edgecolor="white", linewidth=edge)
            below = above
    inches = axes.get_position().width * WIDTH / (end - start)
    for span in spans(segments, band):
        text = f"{span.label} {span.score:.0%}"
        if (span.end - span.start) * inches > len(span.label) * size * 0.0105 + 0.12:
            wide = (span.end - span.start) * inches > len(text) * size * 0.0105 + 0.12
            _name_span(
                axes,
                all_runs,
                span.start,
                span.end,
                list(result.scores).index(span.label),
                text if wide else span.label,
                size,
                ink(palette[span.label]),
            )


def _name_span(
    axes: Axes, all_runs: Sequence[Run], start: float, end: float, row: int, text: str, size: float, color: str
) -> None:
    """Label of a span in its layer, where that is thickest near the middle of the span."""
    times = np.linspace(start + 0.35 * (end - start), end - 0.35 * (end - start), 9)
    best, place, thickest = (start + end) / 2, 0.5, 0.0
    for time in sorted(times, key=lambda time: abs(time - (start + end) / 2)):
        scores = scores_at(all_runs, float(time))
        if scores is not None and scores[row] > thickest + 0.05:
            best, place, thickest = float(time), float(scores[:row].sum() + scores[row] / 2), float(scores[row])
    if thickest * inches_high(axes) * 72 > size * 1.1:
        axes.text(best, place, text, size=size, color=color, ha="center", va="center", parse_math=False, clip_on=True)


def _sound(axes: Axes, result: EmotionResult, envelope: np.ndarray | None) -> None:
    start, end = result.start, result.start + result.duration
    axes.set(xlim=(start, end), ylim=(-1.05, 1.05))
    for shaded, color in ((result.speech or (), SPEECH), (result.vocal_bursts, BURST)):
        for onset, offset in shaded:
            axes.add_patch(Rectangle((onset, -1.05), offset - onset, 2.1, facecolor=color, linewidth=0))
    axes.axhline(0, color=AXIS, linewidth=0.8)
    if envelope is not None:
        height = np.sqrt(envelope / max(float(envelope.max()), 1e-4))  # quiet speech shows, too
        times = np.linspace(start, end, len(envelope))
        axes.fill_between(times, -height, height, facecolor=WAVEFORM, linewidth=0)
    heading(axes, "Sound", sound_shading(result) or ("no speech" if result.speech is not None else ""))


def _seconds(axes: Axes, result: EmotionResult) -> None:
    times, names = zip(*ticks(result.start, result.duration), strict=True)
    axes.set_xticks(times, names)
    axes.tick_params(axis="x", length=3, labelsize=8.5, colors=FAINT, labelbottom=True, bottom=True)
    below = {"size": 8.5, "color": FAINT, "ha": "right", "va": "top"}
    axes.text(-0.022, -0.12, unit(result.duration), fontdict=below, transform=axes.transAxes)


def _word_lines(result: EmotionResult) -> int:
    """Number of lines that the words need under the axis, at most 5."""
    return max((len(text) for *_, text in _place_lines(result)), default=0)


def _place_lines(result: EmotionResult) -> list[tuple[float, float, str, list[str]]]:
    """Lines of the transcript: start, end, label, and the text wrapped to the room until the next line begins."""
    if result.transcript is None:
        return []
    end = result.start + result.duration
    lines = [line for line in result.transcript.lines if line.end > result.start and line.start < end]
    inches = (WIDTH - LEFT - RIGHT) / result.duration
    placed = []
    for line, past in zip(lines, [*(line.start for line in lines[1:]), end], strict=True):
        label = label_between(result, line.start, line.end)
        letters = int(max(0.0, past - max(line.start, result.start)) * inches / _LETTER) - 1
        rows: list[str] = []
        if letters >= 8:
            rows = fill(line.text, letters, max_lines=5, placeholder=" …").split("\n")
        placed.append((line.start, max(line.end, line.start), label, rows))
    return placed


def _words(axes: Axes, result: EmotionResult, lines: int) -> None:
    palette = colors(result.scores)
    height = 0.12 + _LINE * lines
    axes.set(xlim=(result.start, result.start + result.duration), ylim=(height, 0))
    placed = _place_lines(result)
    for start, end, label, text in placed:
        edge = 1.0 if len(placed) < 60 else 0.0
        color, length = palette.get(label, FAINT), max(end - start, result.duration * 0.002)
        axes.add_patch(Rectangle((start, 0), length, 0.09, facecolor=color, edgecolor="white", linewidth=edge))
        axes.text(
            max(start, result.start), 0.13, "\n".join(text), size=8.5, color=TEXT, va="top", linespacing=1.25,
            family=families(), parse_math=False, clip_on=True,
        )  # fmt: skip
    source = "" if result.transcript is None else result.transcript.source
    heading(axes, "Words", source.replace("subtitle stream", "subtitles"), top=True)


def _legend(layout: RowLayout, result: EmotionResult) -> None:
    palette = colors(result.scores)
    axes = layout.row(0.0, left=0.3)
    handles = [
        Patch(facecolor=color, edgecolor=OUTLINE, linewidth=0.5, label=label) for label, color in palette.items()
    ]
    handles.append(Patch(facecolor=EMPTY, edgecolor="#b5bbc0", hatch="////", linewidth=0.5, label="no evidence"))
    axes.legend(
        handles=handles, ncols=len(handles), loc="center left", frameon=False, fontsize=9, labelcolor=TEXT,
        handlelength=1.2, handleheight=1.1, columnspacing=1.5, borderaxespad=0, bbox_to_anchor=(0, 0.5),
    )  # fmt: skip


def _label_at(result: EmotionResult, person: int, time: float) -> str:
    """Label of a person at a time; empty where there is none."""
    segments = next((other.segments for other in result.people if other.id == person), ())
    near = [segment for segment in segments if segment.start <= time <= segment.end]
    return min(near, key=lambda s: abs((s.start + s.end) / 2 - time)).label if near else ""
