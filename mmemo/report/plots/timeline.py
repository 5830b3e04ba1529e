"""A result as a picture: its course over time, or its scores where there is no time."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from mmemo.report.plots.figure import LEFT, RIGHT, WIDTH, Picture, Sheet, inches_high, side, title, verdict
from mmemo.report.plots.prosody import draw_prosody
from mmemo.report.plots.scores import plot_scores
from mmemo.report.previews import Footage
from mmemo.report.style.clock import ticks, unit
from mmemo.report.style.colors import EMPTY, FAINT, TEXT, colors, ink
from mmemo.report.style.fonts import families
from mmemo.report.style.wording import name_of
from mmemo.report.timeline import Run, at, runs, scores_between, spans, thinned

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Segment

_GAP = 0.09  # inches, as all lengths below
_THUMBNAIL = 0.8
_PROSODY = 0.7
_MOST_PEOPLE = 6
_MOST_POINTS = 2000
_DENSE = 150
"""Points of a band from which the white lines between layers would hide the layers."""
_LETTER = 0.078  # mean width of a letter of the words
_LINE = 0.16


def plot(result: EmotionResult, *, faces: bool = True) -> Picture:
    """See `EmotionResult.plot`."""
    if result.duration and result.segments:
        return _timeline(result, faces)
    return plot_scores(result, faces)


def _timeline(result: EmotionResult, faces: bool) -> Picture:
    footage = Footage(result)
    across = int((WIDTH - LEFT - RIGHT) / _THUMBNAIL)
    times = [result.start + result.duration * (place + 0.5) / across for place in range(across)]
    thumbnails = footage.thumbnails(times, 160) if faces else []
    envelope = footage.envelope(1100)
    people = sorted(result.people, key=lambda person: -person.coverage)[:_MOST_PEOPLE] if len(result.people) > 1 else []
    people.sort(key=lambda person: person.id)
    sound = envelope is not None or result.speech is not None
    lines, words = _word_lines(result), bool(_placed(result))
    notes = [fill(note, 185) for note in (*(note.message for note in result.notes), footage.absence) if note][:4]
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
    sheet = Sheet(sum(heights))
    title(sheet, result)
    chosen = colors(result.scores)
    if thumbnails:
        axes = sheet.row(_THUMBNAIL)
        axes.set(xlim=(0, across), ylim=(0, 1))
        for thumbnail in thumbnails:
            place = (thumbnail.time - result.start) / result.duration * across - 0.5
            axes.imshow(thumbnail.image, extent=(place + 0.04, place + 0.96, 0.04, 0.96), aspect="auto", zorder=2)
            label = _label_at(result, thumbnail.person, thumbnail.time)
            corner, color = (place + 0.04, 0.04), chosen.get(label, FAINT)
            axes.add_patch(Rectangle(corner, 0.92, 0.92, facecolor="none", edgecolor=color, linewidth=2.5, zorder=3))
        side(axes, "Faces", "")
        sheet.skip(_GAP)
    axes = sheet.row(1.5)
    _band(axes, result, result.segments, "fused", 10.5)
    side(axes, "Fused", verdict(result), large=True)
    sheet.skip(_GAP)
    for band, said in result.modalities.items():
        axes = sheet.row(0.62)
        _band(axes, result, result.segments, band, 8.5)
        side(axes, name_of(band), verdict(said))
        sheet.skip(_GAP)
    for person in people:
        axes = sheet.row(0.36)
        _band(axes, result, person.segments, "fused", 7.5)
        side(axes, f"Person {person.id}", verdict(person), inline=True)
        sheet.skip(_GAP)
    if result.micro_expressions:
        axes = sheet.row(0.16)
        axes.set(xlim=(result.start, result.start + result.duration), ylim=(0, 1))
        apexes = [expression.apex for expression in result.micro_expressions]
        axes.plot(apexes, [0.5] * len(apexes), "^", color=TEXT, markersize=7, clip_on=False)
        side(axes, "Micro", "")
        sheet.skip(_GAP)
    if sound:
        axes = sheet.row(0.5)
        _sound(axes, result, envelope)
        sheet.skip(_GAP)
    if result.prosody:
        axes = sheet.row(_PROSODY)
        draw_prosody(axes, result.prosody, result.start, result.start + result.duration)
        sheet.skip(_GAP)
    _seconds(axes, result)
    sheet.skip(0.36)
    if words:
        _words(sheet.row(0.12 + _LINE * max(lines, 1)), result, max(lines, 1))
        sheet.skip(_GAP)
    sheet.skip(0.2)
    _legend(sheet, result)
    sheet.skip(0.2)
    for note in notes:
        rows = note.count("\n") + 1
        sheet.skip(_LINE * rows / 2)
        sheet.text(0.3, note, 8, FAINT)
        sheet.skip(_LINE * rows / 2)
    return sheet.figure


def _band(axes: Axes, result: EmotionResult, segments: Sequence[Segment], band: str, size: float) -> None:
    """Stacked shares over time; what is empty is hatched, and stretches that are wide enough bear their label."""
    start, end = result.start, result.start + result.duration
    axes.set(xlim=(start, end), ylim=(0, 1))
    axes.add_patch(
        Rectangle((start, 0), end - start, 1, facecolor=EMPTY, edgecolor="#cfd4d8", hatch="////", linewidth=0)
    )
    found, chosen = runs(segments, band), colors(result.scores)
    edge = 0.6 if sum(len(run.times) for run in found) < _DENSE else 0.0
    for run in thinned(found, _MOST_POINTS):
        below = np.zeros(len(run.times))
        for place, label in enumerate(result.scores):
            above = below + run.shares[:, place]
            axes.fill_between(run.times, below, above, facecolor=chosen[label], edgecolor="white", linewidth=edge)
            below = above
    inches = axes.get_position().width * WIDTH / (end - start)
    for span in spans(segments, band):
        shown = f"{span.label} {span.share:.0%}"
        if (span.end - span.start) * inches > len(span.label) * size * 0.0105 + 0.12:
            wide = (span.end - span.start) * inches > len(shown) * size * 0.0105 + 0.12
            _name_span(
                axes,
                found,
                span.start,
                span.end,
                list(result.scores).index(span.label),
                shown if wide else span.label,
                size,
                ink(chosen[span.label]),
            )


def _name_span(
    axes: Axes, found: Sequence[Run], start: float, end: float, row: int, text: str, size: float, color: str
) -> None:
    """Write a label into its own layer, at the time within its stretch where the layer is thickest near the middle."""
    times = np.linspace(start + 0.35 * (end - start), end - 0.35 * (end - start), 9)
    best, place, thickest = (start + end) / 2, 0.5, 0.0
    for time in sorted(times, key=lambda time: abs(time - (start + end) / 2)):
        shares = at(found, float(time))
        if shares is not None and shares[row] > thickest + 0.05:
            best, place, thickest = float(time), float(shares[:row].sum() + shares[row] / 2), float(shares[row])
    if thickest * inches_high(axes) * 72 > size * 1.1:
        axes.text(best, place, text, size=size, color=color, ha="center", va="center", parse_math=False, clip_on=True)


def _sound(axes: Axes, result: EmotionResult, envelope: np.ndarray | None) -> None:
    start, end = result.start, result.start + result.duration
    axes.set(xlim=(start, end), ylim=(-1.05, 1.05))
    for begin, finish in result.speech or ():
        axes.add_patch(Rectangle((begin, -1.05), finish - begin, 2.1, facecolor="#dbe7f3", linewidth=0))
    axes.axhline(0, color="#aab2b9", linewidth=0.8)
    if envelope is not None:
        height = np.sqrt(envelope / max(float(envelope.max()), 1e-4))  # quiet speech shows, too
        times = np.linspace(start, end, len(envelope))
        axes.fill_between(times, -height, height, facecolor="#58646e", linewidth=0)
    side(axes, "Sound", "speech is shaded" if result.speech else "no speech" if result.speech is not None else "")


def _seconds(axes: Axes, result: EmotionResult) -> None:
    times, names = zip(*ticks(result.start, result.duration), strict=True)
    axes.set_xticks(times, names)
    axes.tick_params(axis="x", length=3, labelsize=8.5, colors=FAINT, labelbottom=True, bottom=True)
    below = {"size": 8.5, "color": FAINT, "ha": "right", "va": "top"}
    axes.text(-0.022, -0.12, unit(result.duration), fontdict=below, transform=axes.transAxes)


def _word_lines(result: EmotionResult) -> int:
    """How many lines of text the words need under the axis, at most 5."""
    return max((len(text) for *_, text in _placed(result)), default=0)


def _placed(result: EmotionResult) -> list[tuple[float, float, str, list[str]]]:
    """Each line of the transcript: start, end, label, and its text broken to the room until the next line begins."""
    if result.transcript is None:
        return []
    end = result.start + result.duration
    lines = [line for line in result.transcript.lines if line.end > result.start and line.start < end]
    inches = (WIDTH - LEFT - RIGHT) / result.duration
    placed = []
    for line, past in zip(lines, [*(line.start for line in lines[1:]), end], strict=True):
        scores = scores_between(result, line.start, line.end)
        label = max(scores, key=lambda label: scores[label]) if scores else ""
        letters = int(max(0.0, past - max(line.start, result.start)) * inches / _LETTER) - 1
        broken: list[str] = []
        if letters >= 8:
            broken = fill(line.text, letters, max_lines=5, placeholder=" …").split("\n")
        placed.append((line.start, max(line.end, line.start), label, broken))
    return placed


def _words(axes: Axes, result: EmotionResult, lines: int) -> None:
    chosen = colors(result.scores)
    height = 0.12 + _LINE * lines
    axes.set(xlim=(result.start, result.start + result.duration), ylim=(height, 0))
    placed = _placed(result)
    for start, end, label, text in placed:
        edge = 1.0 if len(placed) < 60 else 0.0
        color, length = chosen.get(label, FAINT), max(end - start, result.duration * 0.002)
        axes.add_patch(Rectangle((start, 0), length, 0.09, facecolor=color, edgecolor="white", linewidth=edge))
        axes.text(
            max(start, result.start), 0.13, "\n".join(text), size=8.5, color=TEXT, va="top", linespacing=1.25,
            family=families(), parse_math=False, clip_on=True,
        )  # fmt: skip
    source = "" if result.transcript is None else result.transcript.source
    side(axes, "Words", source.replace("subtitle stream", "subtitles"), top=True)


def _legend(sheet: Sheet, result: EmotionResult) -> None:
    chosen = colors(result.scores)
    axes = sheet.row(0.0, left=0.3)
    handles = [
        Patch(facecolor=color, edgecolor="#9aa2a9", linewidth=0.5, label=label) for label, color in chosen.items()
    ]
    handles.append(Patch(facecolor=EMPTY, edgecolor="#b5bbc0", hatch="////", linewidth=0.5, label="no evidence"))
    axes.legend(
        handles=handles, ncols=len(handles), loc="center left", frameon=False, fontsize=9, labelcolor=TEXT,
        handlelength=1.2, handleheight=1.1, columnspacing=1.5, borderaxespad=0, bbox_to_anchor=(0, 0.5),
    )  # fmt: skip


def _label_at(result: EmotionResult, person: int, time: float) -> str:
    """What a person's face says at a time."""
    segments = next((other.segments for other in result.people if other.id == person), ())
    near = [segment for segment in segments if segment.start <= time <= segment.end]
    return min(near, key=lambda s: abs((s.start + s.end) / 2 - time)).label if near else ""
