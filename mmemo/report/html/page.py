"""Report of one clip: a self-contained HTML page with an interactive timeline, which also prints well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mmemo.report.html.affect_plane import affect_plane, affect_points
from mmemo.report.html.svg import LEFT, MOST_POINTS, WIDTH, bands, data_url, timeline_svg
from mmemo.report.html.templating import render
from mmemo.report.previews import Previews
from mmemo.report.style.colors import FAINT, colors
from mmemo.report.style.wording import VOCAL_BURST, source_name, transcript_source
from mmemo.report.summary import model_cards, summary
from mmemo.report.timeline import longest_seen, runs, scores_between, thin
from mmemo.speech.line import Line

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

_THUMBNAILS, _BINS = 12, 880
_MOST_PEOPLE = 12


def page(result: EmotionResult, *, faces: bool = True) -> str:
    """HTML text of the report.

    Args:
        faces: False leaves pictures of people out.
    """
    previews = Previews(result)
    people = longest_seen(result.people, _MOST_PEOPLE)
    portraits = previews.portraits(people, 160) if faces else {}
    html = render(
        "result.html.jinja",
        result=result,
        name=source_name(result),
        summary=summary(result),
        timeline=timeline(result, previews, faces=faces),
        timeline_data=_timeline_data(result),
        plane=affect_plane(result),
        people=people,
        portraits={person: data_url(thumbnail.image) for person, thumbnail in portraits.items()},
        transcript_source=transcript_source(result.transcript) if result.transcript else "",
        lines=_lines(result),
        notes=[*(note.message for note in result.notes), *([previews.missing] if previews.missing else [])],
        cards=model_cards(result),
    )
    return str(html)


def fragment(result: EmotionResult, timeline: Markup | None = None) -> Markup:
    """Label, timeline and scores by modality as a piece of HTML, for notebooks: no script, and no file is opened.

    Args:
        timeline: that of `timeline`, drawn while the media file was there; by default one without faces and sound.
    """
    drawing = timeline_svg(result) if timeline is None else timeline
    plane = affect_plane(result)
    return render("fragment.html.jinja", result=result, name=source_name(result), timeline=drawing, plane=plane)


def timeline(result: EmotionResult, previews: Previews, *, faces: bool = True) -> Markup:
    """The timeline as an ``<svg>`` element, with small faces and the sound; empty without scores over time."""
    times = [result.start + result.duration * (place + 0.5) / _THUMBNAILS for place in range(_THUMBNAILS)]
    thumbnails = previews.thumbnails(times, 136) if faces and result.duration else ()
    return timeline_svg(result, thumbnails, previews.envelope(_BINS))


def _timeline_data(result: EmotionResult) -> dict[str, Any]:
    """What the page's script needs to show the scores of a moment."""
    return {
        "left": LEFT,
        "width": WIDTH,
        "start": result.start,
        "duration": result.duration,
        "labels": list(result.scores),
        "colors": list(colors(result.scores).values()),
        "bands": [
            {
                "name": band.heading,
                "runs": [
                    {"times": run.times.round(2).tolist(), "values": run.values.round(3).tolist()}
                    for run in thin(runs(band.segments, band.name), MOST_POINTS)
                ],
            }
            for band in bands(result)
        ],
        "affect": [
            {"times": run.times.round(2).tolist(), "values": run.values.tolist()} for run in affect_points(result)
        ],
    }


def _lines(result: EmotionResult) -> Sequence[tuple[Line, str, str]]:
    """Each line of the transcript, and each vocal burst, with the color and the text of its fused label."""
    lines, palette = [], colors(result.scores)
    words = result.transcript.lines if result.transcript else ()
    bursts = [Line(start, end, VOCAL_BURST) for start, end in result.vocal_bursts]
    for line in sorted((*words, *bursts), key=lambda line: line.start):
        scores = scores_between(result, line.start, line.end) if result.duration else result.scores
        label = max(scores, key=scores.__getitem__) if scores else ""
        lines.append((line, palette.get(label, FAINT), f"{label} {scores[label]:.0%}" if scores else ""))
    return lines
