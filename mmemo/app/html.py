"""What the page shows of a finding, as HTML; every text in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from mmemo.app.modality_subsets import narrowed, subsets
from mmemo.app.sessions import StoredResult
from mmemo.model import EmotionModel
from mmemo.report.html.page import fragment
from mmemo.report.style.colors import colors
from mmemo.report.style.wording import name_of
from mmemo.report.summary import summary
from mmemo.result import EmotionResult, Scores

_FILES = {
    "report.html": "Report",
    "annotated.mp4": "Annotated video",
    "timeline.png": "Timeline picture",
    "result.json": "JSON",
    "result.csv": "Table (CSV)",
    "result.srt": "Subtitles (SRT)",
    "result.vtt": "Subtitles (VTT)",
}
_MOST_ROWS = 600


def waiting() -> str:
    """Before anything was analyzed."""
    return (
        '<div class="empty"><p><strong>The result appears here.</strong></p>'
        "<p>Drop a video, a sound or a picture, record one, or take an example.</p></div>"
    )


def failure(message: str) -> str:
    """An error, in its own words."""
    return f'<div class="failure" role="alert"><strong>That did not work.</strong><p>{escape(message)}</p></div>'


def shown(finding: StoredResult) -> str:
    """A finding: verdict, timeline, table by modality, words, annotated video, downloads, windows and notes."""
    result = finding.result
    told = "".join(f"<p>{escape(sentence)}</p>" for sentence in summary(result))
    notes = "".join(f"<li>{escape(note.message)}</li>" for note in result.notes)
    parts = [
        fragment(result, finding.course),
        f'<div class="told"><h3>In words</h3>{told}</div>',
        _picture(finding),
        _video(finding),
        _downloads(finding),
        _windows(result),
        f"<h3>Notes</h3><ul>{notes}</ul>" if notes else "",
        '<p class="small">Scores tell the expression that shows, not what a person feels.</p>',
    ]
    return f'<div class="finding">{"".join(parts)}</div>'


def compared(finding: StoredResult | None, model: EmotionModel, chosen: Sequence[str]) -> str:
    """What the fused answer is with the chosen modalities, and with every other choice."""
    if finding is None:
        return '<div class="empty"><p>Analyze a clip first; then switch its modalities on and off here.</p></div>'
    result = finding.result
    rows = "".join(
        _choice(group, scores, current=set(group) == set(chosen)) for group, scores in subsets(result, model).items()
    )
    table = f'<h3>Every choice</h3><table class="choices">{rows}</table>'
    if not chosen:
        return f'<div class="finding">{failure("Choose at least one modality.")}{table}</div>'
    return f'<div class="finding">{fragment(narrowed(result, model, chosen))}{table}</div>'


def _choice(group: Sequence[str], scores: Scores, *, current: bool) -> str:
    label = max(scores, key=lambda label: scores[label])
    mark = ' class="current"' if current else ""
    name = " + ".join(name_of(modality) for modality in group)
    return f"<tr{mark}><td>{escape(name)}</td><td>{escape(label)} {scores[label]:.0%}</td><td>{_bar(scores)}</td></tr>"


def _bar(scores: Mapping[str, float]) -> str:
    chosen = colors(scores)
    parts = "".join(
        f'<span style="width:{share:.2%};background:{chosen[label]}" title="{escape(label)} {share:.0%}"></span>'
        for label, share in scores.items()
    )
    return f'<div class="shares">{parts}</div>'


def _address(finding: StoredResult, name: str) -> str:
    return f"/results/{finding.token}/{name}"


def _picture(finding: StoredResult) -> str:
    """The plot of what has no course over time: a picture's faces beside its scores."""
    if finding.course or not finding.result.people:
        return ""
    return f'<img class="plot" alt="The picture with its faces and scores" src="{_address(finding, "timeline.png")}">'


def _video(finding: StoredResult) -> str:
    if "annotated.mp4" not in finding.files:
        return ""
    source = _address(finding, "annotated.mp4")
    return f'<h3>Annotated video</h3><video controls playsinline preload="auto" src="{source}#t=0.05"></video>'


def _downloads(finding: StoredResult) -> str:
    links = []
    for name, title in _FILES.items():
        if name in finding.files:
            links.append(f'<a href="{_address(finding, name)}?save=1" download="{name}">{title}</a>')
    look = f'<a class="main" href="{_address(finding, "report.html")}" target="_blank">Open the full report</a>'
    return f'<h3>Downloads</h3><p class="downloads">{look}{"".join(links)}</p>'


def _windows(result: EmotionResult) -> str:
    """A row a window: the fused label, and what each modality says."""
    if len(result.segments) < 2:
        return ""
    chosen = colors(result.scores)

    def cell(scores: Scores | None) -> str:
        if scores is None:
            return '<td class="gap">no evidence</td>'
        label = max(scores, key=lambda label: scores[label])
        return f'<td><i style="background:{chosen[label]}"></i>{escape(label)} {scores[label]:.0%}</td>'

    rows = []
    for segment in result.segments[:_MOST_ROWS]:
        said = (segment.modalities.get(name) for name in result.modalities)
        cells = "".join(cell(None if scores is None else scores.scores) for scores in said)
        rows.append(f"<tr><td>{segment.start:.1f} to {segment.end:.1f}</td>{cell(segment.scores)}{cells}</tr>")
    heads = "".join(f"<th>{escape(name_of(name))}</th>" for name in result.modalities)
    more = len(result.segments) - _MOST_ROWS
    rest = f'<p class="small">… and {more} more windows; the CSV file has them all.</p>' if more > 0 else ""
    head = f"<tr><th>seconds</th><th>Fused</th>{heads}</tr>"
    return f'<h3>Over time</h3><div class="windows"><table>{head}{"".join(rows)}</table></div>{rest}'
