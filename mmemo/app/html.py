"""Panels of the app's page, and the live page, as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mmemo.app.modality_subsets import narrowed, subsets
from mmemo.app.sessions import StoredResult
from mmemo.labels import LabelSet
from mmemo.model import EmotionModel
from mmemo.report.html.page import fragment
from mmemo.report.html.templating import render
from mmemo.report.style.colors import colors
from mmemo.report.summary import summary

_DOWNLOADS = {
    "report.html": "Report",
    "annotated.mp4": "Annotated video",
    "timeline.png": "Timeline picture",
    "result.json": "JSON",
    "result.csv": "Table (CSV)",
    "result.srt": "Subtitles (SRT)",
    "result.vtt": "Subtitles (VTT)",
}
_MOST_ROWS = 600


def placeholder() -> str:
    """Panel before anything was analyzed."""
    return _panel("placeholder.html.jinja")


def failure(message: str) -> str:
    """Panel of an error, with its message."""
    return _panel("failure.html.jinja", message=message)


def result_panel(stored: StoredResult) -> str:
    """Panel of a result: label, timeline, modalities, summary, annotated video, downloads, windows and notes."""
    # A result without scores over time has a plot of its faces beside its scores.
    return _panel(
        "result_panel.html.jinja",
        fragment=fragment(stored.result, Markup(stored.course)),
        result=stored.result,
        summary=summary(stored.result),
        address=f"/results/{stored.token}",
        files=stored.files,
        downloads=_DOWNLOADS,
        plot=not stored.course and bool(stored.result.people),
        most_rows=_MOST_ROWS,
    )


def modalities_panel(stored: StoredResult | None, model: EmotionModel, modalities: Sequence[str]) -> str:
    """Panel of the fused scores with some of the modalities, and with every subset of them."""
    if stored is None:
        return _panel("no_modalities.html.jinja")
    return _panel(
        "modalities.html.jinja",
        fragment=fragment(narrowed(stored.result, model, modalities)) if modalities else None,
        subsets=[
            (group, max(scores, key=scores.__getitem__), scores, set(group) == set(modalities))
            for group, scores in subsets(stored.result, model).items()
        ],
    )


def memory(count: int, fewest: int) -> str:
    """Panel of the corrections that are remembered: how many, and what becomes of them."""
    return _panel("memory.html.jinja", count=count, fewest=fewest)


def live(labels: LabelSet) -> str:
    """The live page, which scores what camera and microphone give."""
    return _panel("live.html.jinja", label_colors=colors(labels))


def _panel(template: str, **values: object) -> str:
    return str(render(template, "mmemo.app", **values))
