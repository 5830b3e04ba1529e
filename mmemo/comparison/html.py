"""Report of a comparison: one self-contained HTML page without network, which also prints well."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from mmemo.comparison.measures import METRICS
from mmemo.comparison.wording import describe_method, format_p, format_signed
from mmemo.report.html.templating import render

if TYPE_CHECKING:
    from mmemo.comparison.result import Comparison

_HEADINGS = {
    "accuracy": "accuracy",
    "uar": "UAR",
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "ece": "ECE",
    "nll": "NLL",
    "brier": "Brier",
}
_DEFINITIONS = (
    "UAR is the mean recall of the classes. ECE is the expected calibration error over 15 bins; resampling raises "
    "it, so its interval may lie above it.",
    "A clip without the modalities of a system counts as wrong; coverage is the share of clips with a prediction.",
    "The bootstrap draws whole speakers. McNemar's test takes clips for independent; those of one speaker are not, "
    "so its p is too small.",
)


def page(comparison: Comparison) -> str:
    """HTML text of the report."""
    best, alone = (name or comparison.systems[0].name for name in (comparison.best_fused, comparison.best_unimodal))
    html = render(
        "comparison.html.jinja",
        "mmemo.comparison",
        comparison=comparison,
        lead=max((comparison[best], comparison[alone]), key=lambda system: system.accuracy.value),
        figures={name: _image(figure) for name, figure in comparison.figures().items()},
        alt="; ".join(f"{system.name}: accuracy {system.accuracy}" for system in comparison.systems),
        measures={name: _HEADINGS[name] for name in METRICS},
        dimensions=list(dict.fromkeys(name for system in comparison.systems for name in system.concordance)),
        notes=[*comparison.notes, describe_method(comparison), *_DEFINITIONS],
        signed=format_signed,
        p_value=format_p,
    )
    return str(html)


def _image(figure: Figure) -> dict[str, Any]:
    """A figure as a ``data:`` URL of SVG, with its letters as outlines, and its width in CSS pixels."""
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None})
    url = f"data:image/svg+xml;base64,{b64encode(data.getvalue()).decode()}"
    return {"url": url, "width": round(figure.get_figwidth() * 96)}
