"""Summary of many clips: one self-contained HTML page without network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmemo.batch.agreement import compare
from mmemo.report.export.cells import printable
from mmemo.report.html.templating import render

if TYPE_CHECKING:
    from mmemo.batch.result import Batch
    from mmemo.batch.row import Row

MOST_ROWS = 5000
"""Clips that are listed: a browser is slow with more."""


def page(batch: Batch) -> str:
    """HTML text of the summary."""
    analyzed = [row for row in batch.rows if row.scores]
    html = render(
        "batch.html.jinja",
        "mmemo.batch",
        batch=batch,
        analyzed=analyzed,
        most_rows=MOST_ROWS,
        seconds=sum(row.duration or 0.0 for row in analyzed),
        shares=_shares([row.label for row in analyzed], batch.labels),
        labels=_labels(analyzed, batch.labels),
        modalities=[_modality(name, analyzed, batch.labels) for name in batch.modalities if analyzed],
        comparison=compare(batch),
        notes=Counter(code for row in batch.rows for code in row.notes).most_common(),
        name=_name,
    )
    return printable(str(html))


def _labels(analyzed: Sequence[Row], labels: Sequence[str]) -> list[dict[str, Any]]:
    """For each label: how many clips have it, and its mean score."""
    counts = Counter(row.label for row in analyzed)
    return [
        {"label": label, "clips": counts[label], "score": float(np.mean([row.scores[label] for row in analyzed]))}
        for label in labels
        if analyzed
    ]


def _modality(name: str, analyzed: Sequence[Row], labels: Sequence[str]) -> dict[str, Any]:
    """For one modality: how many clips have it, its coverage and labels, and how often its label is the fused one."""
    rows = [row for row in analyzed if name in row.modalities]
    scores = [row.modalities[name] for row in rows]
    agreeing = [one.label == row.label for one, row in zip(scores, rows, strict=True)]
    return {
        "name": name,
        "clips": len(rows),
        "coverage": float(np.mean([one.coverage for one in scores])) if rows else 0.0,
        "shares": _shares([one.label for one in scores], labels),
        "agreement": float(np.mean(agreeing)) if rows else 0.0,
    }


def _shares(names: Sequence[str | None], labels: Sequence[str]) -> dict[str, float]:
    return {label: names.count(label) / len(names) for label in labels} if names else {}


def _name(row: Row) -> str:
    name = row.path or row.id or "text"
    return f"{name} from {row.start:.1f} s" if row.start else name
