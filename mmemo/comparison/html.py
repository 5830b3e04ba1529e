"""The report of a comparison: one self-contained HTML page without network; prints well."""

from __future__ import annotations

import io
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from mmemo.comparison.export import format_p, format_signed
from mmemo.comparison.measures import METRICS
from mmemo.comparison.terminal import describe_method
from mmemo.evaluation.bootstrap import Interval
from mmemo.report.html.markup import LIMITS, asset, document, listing, section

if TYPE_CHECKING:
    from mmemo.comparison.result import Comparison

_HEADS = {
    "accuracy": "accuracy",
    "uar": "UAR",
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "ece": "ECE",
    "nll": "NLL",
    "brier": "Brier",
}


def page(comparison: Comparison) -> str:
    """The report as HTML text."""
    drawn = comparison.figures()
    groups = {name: figure for name, figure in drawn.items() if name.startswith("by ")}
    parts = [
        f"<style>{asset('html.css', 'mmemo.comparison')}</style>",
        _head(comparison),
        section("Systems", _picture(drawn["systems"], _alt(comparison)) + _systems(comparison)),
        section("Is the gain real?", _gains(comparison, drawn.get("gains")), "paired, on the same clips"),
        section(
            "Where a modality is lost",
            _picture(drawn.get("missing modalities"), "Accuracy as modalities are lost"),
            "expected accuracy if a modality is missing from a share of the clips, chosen at random; bands are 95%",
        ),
        section(
            "Under noise, blur and wrong words",
            _picture(drawn.get("corruptions"), "Accuracy as evidence gets worse"),
            "the same clips, encoded again from evidence made worse; bands are 95%",
        ),
        section("Recall by class", _picture(drawn["recalls"], "Recall of each class by system")),
        section("What is taken for what", _picture(drawn["confusion"], "Confusion matrices")),
        section(
            "Can the scores be believed?",
            _picture(drawn["reliability"], "Reliability diagrams"),
            "a system on the dashed line is right as often as it says; small dots are few clips",
        ),
        *(section(f"By {name.removeprefix('by ')}", _picture(one, name)) for name, one in groups.items()),
        _values(comparison),
        section(
            "Notes and limits",
            listing([*comparison.notes, describe_method(comparison), *_definitions()]) + listing(LIMITS),
        ),
    ]
    return document(f"{comparison.title}: systems compared", parts, "")


def _head(comparison: Comparison) -> str:
    people = f" of {comparison.speakers} speakers" if comparison.speakers else ""
    told = f"{comparison.clips:,} clips{people}, {len(comparison.labels)} classes: {', '.join(comparison.labels)}"
    best, alone = comparison.best_fused, comparison.best_unimodal
    name = best or alone or comparison.systems[0].name
    figure = comparison[name].accuracy
    lead = ""
    if best and alone:
        pair = comparison.pair(alone, best)
        sure = pair.gain.low > 0 or pair.gain.high < 0
        more = "more" if pair.gain.value >= 0 else "fewer"
        lead = (
            f"Of 100 clips it has {abs(100 * pair.gain.value):.1f} {more} right than {alone}, the best modality alone "
            f"({comparison[alone].accuracy.value:.3f}). The interval of that difference, {format_signed(pair.gain)}, "
            f"{'lies clear of zero' if sure else 'includes zero: it may be chance'}."
        )
    return (
        f'<header><h1>{escape(comparison.title)}</h1><p class="verdict">{escape(name)} {figure.value:.3f} '
        f'<span class="dim">accuracy, 95% interval {figure.low:.3f} to {figure.high:.3f}</span></p>'
        f'<p class="lead">{escape(lead)}</p><p class="dim">{escape(told)}</p></header>'
    )


def _systems(comparison: Comparison) -> str:
    head = "".join(f'<th class="number">{name}</th>' for name in _HEADS.values())
    rows = []
    for system in comparison.systems:
        cells = "".join(f'<td class="number">{_figure(getattr(system, name))}</td>' for name in METRICS)
        kind = ' class="best"' if system.name == comparison.best_fused else ""
        rows.append(
            f'<tr{kind}><td>{escape(system.name)}</td>{cells}<td class="number">{system.coverage:.1%}</td></tr>'
        )
    return f'<table class="systems"><tr><th></th>{head}<th class="number">answered</th></tr>{"".join(rows)}</table>'


def _gains(comparison: Comparison, drawn: Figure | None) -> str:
    rows = "".join(
        f"<tr><td>{escape(pair.second)}</td><td>{escape(pair.first)}</td>"
        f'<td class="number">{format_signed(pair.gain)}</td><td class="number">{format_signed(pair.uar_gain)}</td>'
        f'<td class="number">{pair.only_second:,} : {pair.only_first:,}</td>'
        f'<td class="number">{format_p(pair.bootstrap_corrected)}</td>'
        f'<td class="number">{format_p(pair.mcnemar_corrected)}</td></tr>'
        for pair in comparison.pairs
    )
    if not rows:
        return ""
    head = (
        '<tr><th>system</th><th>against</th><th class="number">accuracy gained</th><th class="number">UAR gained</th>'
        '<th class="number">right alone</th><th class="number">p, bootstrap</th><th class="number">p, McNemar</th></tr>'
    )
    table = f'<table class="systems">{head}{rows}</table>'
    told = f"All {len(comparison.pairs)} pairs, p corrected for as many comparisons (Holm)"
    kept = table if len(comparison.pairs) <= 10 else f"<details><summary>{told}</summary>{table}</details>"
    return _picture(drawn, "Accuracy gained over the best modality alone") + kept


def _values(comparison: Comparison) -> str:
    dimensions = list(dict.fromkeys(name for system in comparison.systems for name in system.concordance))
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in dimensions)
    rows = [
        f"<tr><td>{escape(system.name)}</td>"
        + "".join(
            f'<td class="number">{_figure(system.concordance[name]) if name in system.concordance else ""}</td>'
            for name in dimensions
        )
        + "</tr>"
        for system in comparison.systems
        if system.concordance
    ]
    table = f'<table class="systems"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    return section("Dimensions", table if rows else "", "concordance correlation coefficient")


def _definitions() -> tuple[str, ...]:
    return (
        "UAR is the mean recall of the classes. ECE is the expected calibration error over 15 bins; resampling raises "
        "it, so its interval may lie above it.",
        "A clip in which a system finds nothing to look at counts as wrong; 'answered' says how many it can answer.",
        "The bootstrap draws whole speakers. McNemar's test takes clips for independent; those of one speaker are not, "
        "so its p is too small.",
    )


def _figure(figure: Interval) -> str:
    return f'{figure.value:.3f} <span class="dim">{figure.low:.3f} to {figure.high:.3f}</span>'


def _alt(comparison: Comparison) -> str:
    return "; ".join(f"{system.name}: accuracy {system.accuracy}" for system in comparison.systems)


def _picture(figure: Figure | None, alt: str) -> str:
    """A figure inside the page, as SVG with its letters as outlines."""
    if figure is None:
        return ""
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None})
    coded = b64encode(data.getvalue()).decode()
    wide = round(figure.get_figwidth() * 96)
    return f'<img class="figure" width="{wide}" alt="{escape(alt)}" src="data:image/svg+xml;base64,{coded}">'
