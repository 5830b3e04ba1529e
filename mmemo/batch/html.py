"""The summary of many clips: one self-contained HTML page without network."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mmemo.batch.agreement import Comparison, compare
from mmemo.report.html.markup import LIMITS, asset, bar, document, key, listing, section
from mmemo.report.style.colors import colors
from mmemo.report.style.wording import name_of

if TYPE_CHECKING:
    from mmemo.batch.result import Batch
    from mmemo.batch.row import Row

MOST_ROWS = 5000
"""Clips that are listed: a browser is slow with more."""


def page(batch: Batch) -> str:
    """The summary as HTML text."""
    parts = [
        _head(batch),
        section("Labels", _labels(batch), "of the fused scores"),
        section("By modality", _modalities(batch)),
        _comparison(compare(batch)),
        section("Notes", _notes(batch), "what a reader of single results must know"),
        section("Not analyzed", _failed(batch), "each with its error"),
        _clips(batch),
        section("Limits", listing(LIMITS) + f'<p class="dim">Model: {escape(batch.model)}.</p>'),
    ]
    return document(f"{len(batch.rows)} clips", parts, asset("html.js", "mmemo.batch"))


def _head(batch: Batch) -> str:
    analyzed = [row for row in batch.rows if row.scores]
    seconds = sum(row.duration or 0.0 for row in analyzed)
    told = [f"{len(analyzed):,} analyzed", f"{_clock(seconds)} in all"]
    if batch.failed:
        told.append(f"{len(batch.failed):,} not analyzed")
    shares = _shares([row.label for row in analyzed], batch.labels)
    drawn = f"{bar(shares)}{key(shares)}" if shares else ""
    count = len(batch.rows)
    noun = "clip" if count == 1 else "clips"
    return f'<header><p class="verdict">{count:,} {noun}</p><h1>{"; ".join(told)}</h1><p></p>{drawn}</header>'


def _labels(batch: Batch) -> str:
    analyzed = [row for row in batch.rows if row.scores]
    if not analyzed:
        return ""
    counts, chosen = Counter(row.label for row in analyzed), colors(batch.labels)
    most = max(counts.values())
    rows = [
        f'<tr><td><i style="background:{chosen[label]}"></i>{escape(label)}</td>'
        f'<td class="number">{counts[label]:,}</td><td class="number">{counts[label] / len(analyzed):.0%}</td>'
        f'<td style="width:50%">{_stripe(counts[label] / most, chosen[label])}</td>'
        f'<td class="number">{np.mean([row.scores[label] for row in analyzed]):.0%}</td></tr>'
        for label in batch.labels
    ]
    head = (
        '<tr><th></th><th class="number">clips</th><th class="number">share</th><th></th>'
        '<th class="number">mean score</th></tr>'
    )
    return f'<table class="shares">{head}{"".join(rows)}</table>'


def _modalities(batch: Batch) -> str:
    analyzed = [row for row in batch.rows if row.scores]
    rows = []
    for modality in batch.modalities if analyzed else ():
        having = [row for row in analyzed if modality in row.modalities]
        cells = f'<td>{escape(name_of(modality))}</td><td class="number">{len(having):,}</td>'
        if having:
            said = [row.modalities[modality] for row in having]
            same = np.mean([one.label == row.label for one, row in zip(said, having, strict=True)])
            cells += (
                f'<td class="number">{len(having) / len(analyzed):.0%}</td>'
                f'<td class="number">{np.mean([one.coverage for one in said]):.0%}</td>'
                f'<td style="width:40%">{bar(_shares([one.label for one in said], batch.labels))}</td>'
                f'<td class="number">{same:.0%}</td>'
            )
        rows.append(f"<tr>{cells}</tr>")
    head = (
        '<tr><th></th><th class="number">clips with it</th><th class="number">share</th>'
        '<th class="number">mean coverage</th><th>its labels</th><th class="number">same as fused</th></tr>'
    )
    return f'<table class="shares">{head}{"".join(rows)}</table>' if rows else ""


def _comparison(found: Comparison | None) -> str:
    if found is None:
        return ""
    count, right = int(found.table.sum()), int(found.table.trace())
    told = (
        f"Of {count:,} clips with a label of the manifest {right:,} ({right / count:.0%}) got the same one. "
        f"Mean over the labels: {found.uar.value:.0%}, 95% interval {found.uar.low:.0%} to {found.uar.high:.0%}, "
        f"by {found.by}."
    )
    if found.others:
        told += f" {found.others:,} more have labels that the model does not know, and are not compared."
    head = "".join(f'<th class="number">{escape(label)}</th>' for label in found.labels)
    rows = []
    for label, counts in zip(found.labels, found.table, strict=True):
        total = int(counts.sum())
        if total:
            cells = "".join(
                f'<td class="number" style="background:rgba(70,120,200,{amount / total * 0.6:.2f})">{amount:,}</td>'
                for amount in counts
            )
            rows.append(f"<tr><td>{escape(label)}</td>{cells}</tr>")
    table = f"<table><tr><th>of the manifest</th>{head}</tr>{''.join(rows)}</table>"
    return section("Compared with the manifest", f"<p>{escape(told)}</p>{table}", "columns: labels found")


def _notes(batch: Batch) -> str:
    counts = Counter(code for row in batch.rows for code in row.notes)
    rows = [
        f'<tr><td>{escape(code)}</td><td class="number">{count:,}</td></tr>' for code, count in counts.most_common()
    ]
    return (
        f'<table style="width:auto"><tr><th>note</th><th class="number">clips</th></tr>{"".join(rows)}</table>'
        if rows
        else ""
    )


def _failed(batch: Batch) -> str:
    rows = [f"<tr><td>{escape(_name(row))}</td><td>{escape(row.error or '')}</td></tr>" for row in batch.failed]
    return f'<table class="failed">{"".join(rows[:MOST_ROWS])}</table>' if rows else ""


def _clips(batch: Batch) -> str:
    analyzed = [row for row in batch.rows if row.scores]
    if not analyzed:
        return ""
    chosen = colors(batch.labels)
    heads = "".join(f"<th>{escape(name_of(modality))}</th>" for modality in batch.modalities)
    rows = []
    for row in analyzed[:MOST_ROWS]:
        label = str(row.label)
        own = "".join(
            f"<td>{escape(said.label)}</td>"
            if (said := row.modalities.get(modality))
            else '<td class="dim">&ndash;</td>'
            for modality in batch.modalities
        )
        length = f"{row.duration:.1f}" if row.duration else ""
        rows.append(
            f'<tr class="clip"><td>{escape(_name(row))}</td><td class="number">{length}</td>'
            f'<td><i style="background:{chosen[label]}"></i>{escape(label)} {row.scores[label]:.0%}'
            f'{bar(row.scores)}</td>{own}<td class="dim">{escape(" ".join(row.notes))}</td></tr>'
        )
    head = f'<tr><th>clip</th><th class="number">seconds</th><th>fused</th>{heads}<th>notes</th></tr>'
    find = '<input class="find" type="search" placeholder="Find: part of a name, a label, a note" aria-label="Find">'
    aside = f"the first {MOST_ROWS:,} of {len(analyzed):,}" if len(analyzed) > MOST_ROWS else ""
    return section(
        "Clips", f'{find} <span class="found dim"></span><table class="clips">{head}{"".join(rows)}</table>', aside
    )


def _stripe(share: float, color: str) -> str:
    return f'<div class="plain" style="width:{share:.1%};background:{color}"></div>' if share else ""


def _shares(found: list[str | None], labels: tuple[str, ...]) -> dict[str, float]:
    return {label: found.count(label) / len(found) for label in labels} if found else {}


def _name(row: Row) -> str:
    name = row.path or row.id or "text"
    return f"{name} from {row.start:.1f} s" if row.start else name


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h" if minutes >= 60 else f"{minutes}:{rest:02} min"
