"""Figures of a comparison with matplotlib: forest plots, recalls, confusion matrices, reliability diagrams, curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmemo.comparison.measures import BINS, SystemMetrics
from mmemo.comparison.wording import format_signed
from mmemo.evaluation.bootstrap import Interval
from mmemo.report.plots.figure import Picture
from mmemo.report.style.colors import FAINT, TEXT, ink

if TYPE_CHECKING:
    from mmemo.comparison.result import Comparison

UNIMODAL = ("#d9822b", "#0f8f82", "#7c4dbd", "#8c6d1f", "#b03a6f", "#4c5b66")
"""Colors of unimodal systems: the first three differ by 18 and more in CIEDE2000, from `BEST` and `OTHER` too."""
BEST, OTHER = "#0e4ea0", "#9fadba"
_MOST_PANELS = 7
_OTHERS = "other fused systems"


def figures(comparison: Comparison) -> dict[str, Figure]:
    """Every figure that the comparison has data for, by name."""
    drawn = {"systems": _systems(comparison), "recalls": _recalls(comparison)}
    if comparison.fused and comparison.best_unimodal:
        drawn["gains"] = _gains(comparison)
    drawn |= {"confusion": _confusions(comparison), "reliability": _reliabilities(comparison)}
    missing = [curve for curve in comparison.curves if curve.unit == "share of clips"]
    corrupted = [curve for curve in comparison.curves if curve.unit != "share of clips"]
    if missing:
        drawn["missing modalities"] = _curves(comparison, missing)
    if corrupted:
        drawn["corruptions"] = _curves(comparison, corrupted)
    for column in dict.fromkeys(group.column for system in comparison.systems for group in system.groups):
        drawn[f"by {column}"] = _groups(comparison, column)
    return drawn


def main_systems(comparison: Comparison) -> list[SystemMetrics]:
    """Each unimodal system and the best fused one."""
    names = [*comparison.unimodal, *([comparison.best_fused] if comparison.best_fused else [])]
    return [comparison[name] for name in names or list(comparison.by_name)][-_MOST_PANELS:]


def colors_of(comparison: Comparison) -> dict[str, str]:
    """The color of each system: one per unimodal system, one for the best fused one, gray for the others."""
    unimodal = {name: UNIMODAL[place % len(UNIMODAL)] for place, name in enumerate(comparison.unimodal)}
    return unimodal | {name: BEST if name == comparison.best_fused else OTHER for name in comparison.fused}


def _systems(comparison: Comparison) -> Figure:
    rows = comparison.systems
    figure = _new_figure(10.5, 0.9 + 0.34 * len(rows))
    colors = colors_of(comparison)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, name, title in ((left, "accuracy", "Accuracy"), (right, "uar", "Mean recall of the classes (UAR)")):
        values = [getattr(system, name) for system in rows]
        _forest(axes, values, [colors[system.name] for system in rows])
        best = comparison.best_unimodal
        if best is not None:
            axes.axvline(getattr(comparison[best], name).value, color=colors[best], linewidth=1, linestyle=(0, (4, 3)))
        axes.set_title(title, loc="left", size=10.5, color=TEXT, pad=8)
    _names(left, [system.name for system in rows], comparison)
    return figure


def _gains(comparison: Comparison) -> Figure:
    names = comparison.fused
    figure = _new_figure(8.0, 0.95 + 0.34 * len(names))
    axes = figure.subplots()
    pairs = [pair for name in names if (pair := comparison.gain(name)) is not None]
    colors = colors_of(comparison)
    _forest(axes, [pair.gain for pair in pairs], [colors[name] for name in names], gains=True)
    axes.axvline(0, color=TEXT, linewidth=1)
    axes.set_title(
        f"Accuracy gained over {comparison.best_unimodal}, the best modality alone", loc="left", size=10.5, color=TEXT
    )
    _names(axes, names, comparison)
    return figure


def _forest(axes: Axes, intervals: Sequence[Interval], colors: Sequence[str], *, gains: bool = False) -> None:
    """A forest plot: a dot with its interval in each row, and the number at the right edge."""
    places = np.arange(len(intervals))[::-1]
    for place, one, color in zip(places, intervals, colors, strict=True):
        axes.plot([one.low, one.high], [place, place], color=color, linewidth=2.6, solid_capstyle="round")
        axes.plot([one.value], [place], "o", color=color, markersize=6.5, markeredgecolor="white")
    low, high = min(one.low for one in intervals), max(one.high for one in intervals)
    from_zero = min(low, 0.0) if gains else low
    room = max(high - from_zero, 0.02)
    axes.set(xlim=(from_zero - 0.06 * room, high + (0.55 if gains else 0.5) * room), ylim=(-0.6, len(intervals) - 0.4))
    for place, one in zip(places, intervals, strict=True):
        number = format_signed(one) if gains else str(one)
        axes.text(high + 0.06 * room, place, number, size=8.5, color=TEXT, va="center")
    _style(axes)
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(from_zero, high)
    axes.set_xticks([tick for tick in ticks if from_zero - 0.06 * room <= tick <= high + 0.06 * room])


def _names(axes: Axes, names: Sequence[str], comparison: Comparison) -> None:
    places = np.arange(len(names))[::-1]
    axes.set_yticks(places, list(names), size=9.5, color=TEXT)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name == comparison.best_fused else "normal")


def _recalls(comparison: Comparison) -> Figure:
    rows = comparison.systems
    table = np.array([[system.recalls[label].value for label in comparison.labels] for system in rows])
    figure = _new_figure(2.2 + 0.95 * len(comparison.labels), 0.9 + 0.36 * len(rows))
    axes = figure.subplots()
    axes.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        known = f"{value:.2f}" if np.isfinite(value) else "-"
        axes.text(column, row, known, ha="center", va="center", size=9, color=_on_blue(value))
    axes.set_xticks(range(len(comparison.labels)), list(comparison.labels), size=9.5, color=TEXT)
    axes.set_yticks(range(len(rows)), [system.name for system in rows], size=9.5, color=TEXT)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def _confusions(comparison: Comparison) -> Figure:
    systems, labels = main_systems(comparison), comparison.labels
    across = _across(len(systems))
    down = -(-len(systems) // across)
    figure = _new_figure(0.7 + 3.6 * across, 0.9 + 3.4 * down)
    grid = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    for axes, system in zip(grid, systems, strict=False):
        counts = system.confusion if system.confusion[:, -1].any() else system.confusion[:, :-1]
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                axes.text(column, row, f"{share:.0%}", ha="center", va="center", size=7, color=_on_blue(share))
        names = [*labels, "no prediction"][: counts.shape[1]]
        axes.set_xticks(range(len(names)), names, size=8, rotation=45, ha="right", color=TEXT)
        axes.set_yticks(range(len(labels)), list(labels), size=8, color=TEXT)
        axes.set_title(system.name, loc="left", size=10.5, color=TEXT)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    for axes in grid[len(systems) :]:
        axes.set_visible(False)
    figure.supxlabel("predicted", size=9, color=FAINT)
    figure.supylabel("true, each row 100%", size=9, color=FAINT)
    return figure


def _reliabilities(comparison: Comparison) -> Figure:
    systems, colors = main_systems(comparison), colors_of(comparison)
    across = _across(len(systems))
    down = -(-len(systems) // across)
    figure = _new_figure(0.6 + 3.3 * across, 0.5 + 3.0 * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, system in zip(grid, systems, strict=False):
        total = sum(one.clips for one in system.reliability)
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for one in system.reliability:
            middle = (min(int(one.confidence * BINS), BINS - 1) + 0.5) / BINS
            axes.bar(middle, one.clips / total, width=0.9 / BINS, color="#dfe4e8", zorder=0)
        confidence, right = [one.confidence for one in system.reliability], [one.accuracy for one in system.reliability]
        # A bin of few clips is uncertain: its dot is small.
        sizes = [6 + 60 * np.sqrt(one.clips / total) for one in system.reliability]
        axes.plot(confidence, right, color=colors[system.name], linewidth=1.2)
        axes.scatter(confidence, right, sizes, color=colors[system.name], zorder=3)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set_title(f"{system.name}: ECE {system.ece.value:.3f}", loc="left", size=10.5, color=TEXT)
        _style(axes, both=True)
    for axes in grid[len(systems) :]:
        axes.set_visible(False)
    figure.supxlabel("highest score (gray bars: share of the clips)", size=9, color=FAINT)
    figure.supylabel("share predicted right", size=9, color=FAINT)
    return figure


def _curves(comparison: Comparison, curves: Sequence[Any]) -> Figure:
    panels = list(dict.fromkeys(curve.condition for curve in curves))
    across = _across(len(panels))
    down = -(-len(panels) // across)
    figure = _new_figure(0.6 + 3.5 * across, 0.75 + 2.9 * down)
    grid = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    colors = colors_of(comparison)
    first = [system.name for system in main_systems(comparison)]
    drawn: dict[str, Any] = {}
    for axes, condition in zip(grid, panels, strict=False):
        for curve in sorted((c for c in curves if c.condition == condition), key=lambda c: c.system in first):
            values, places = [one.value for one in curve.accuracy], np.arange(len(curve.levels))
            if curve.system not in first:
                (drawn[_OTHERS],) = axes.plot(places, values, color=OTHER, linewidth=1)
                continue
            color, best = colors[curve.system], curve.system == comparison.best_fused
            low, high = [one.low for one in curve.accuracy], [one.high for one in curve.accuracy]
            if curve.system in (comparison.best_fused, comparison.best_unimodal):
                axes.fill_between(places, low, high, color=color, alpha=0.12, linewidth=0)
            (drawn[curve.system],) = axes.plot(
                places, values, "o-", color=color, markersize=4, linewidth=1 + 1.4 * best
            )
        levels = next(curve.levels for curve in curves if curve.condition == condition)
        unit = next(curve.unit for curve in curves if curve.condition == condition)
        axes.set_xticks(range(len(levels)), [_level(level, unit, number) for number, level in enumerate(levels)])
        axes.set_title(condition, loc="left", size=10.5, color=TEXT)
        axes.set_xlabel(unit, size=8.5, color=FAINT)
        _style(axes, both=True)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    grid[0].set_ylabel("accuracy", size=9, color=FAINT)
    ordered = [name for name in [*first[::-1], _OTHERS] if name in drawn]
    columns = 4 if len(ordered) > 6 else 6
    figure.legend(
        [drawn[name] for name in ordered], ordered, loc="outside upper left", ncols=columns, frameon=False, fontsize=9
    )
    return figure


def _across(panels: int) -> int:
    """Number of panels in a row: at most four, and no single one in the last row."""
    return {4: 2, 7: 4}.get(panels, min(3, panels))


def _level(level: float, unit: str, number: int) -> str:
    if unit == "share of clips":
        return f"{level:.0%}"
    return "clean" if number == 0 else f"{level:g}"


def _groups(comparison: Comparison, column: str) -> Figure:
    systems, colors = main_systems(comparison), colors_of(comparison)
    metrics = {s.name: {group.value: group for group in s.groups if group.column == column} for s in systems}
    values = list(next(iter(metrics.values())))
    last = systems[-1].name
    values.sort(key=lambda value: -metrics[last][value].accuracy.value)
    figure = _new_figure(8.5, 1.1 + 0.34 * len(values) * (1 if len(values) > 6 else 1.6))
    axes = figure.subplots()
    places = np.arange(len(values))[::-1].astype(float)
    offsets = np.linspace(0.22, -0.22, len(systems)) if len(systems) > 1 else np.zeros(1)
    for offset, (name, groups) in zip(offsets, metrics.items(), strict=True):
        for place, value in zip(places, values, strict=True):
            interval = groups[value].accuracy
            axes.plot([interval.low, interval.high], [place + offset] * 2, color=colors[name], linewidth=2, alpha=0.6)
        middle = [groups[value].accuracy.value for value in values]
        axes.plot(middle, places + offset, "o", color=colors[name], markersize=6, markeredgecolor="white", label=name)
    names = [f"{value}  ({metrics[last][value].clips})" for value in values]
    axes.set_yticks(places, names, size=9, color=TEXT)
    axes.set_title(f"Accuracy by {column} (clips)", loc="left", size=10.5, color=TEXT)
    axes.set_ylim(-0.7, len(values) - 0.3)
    _style(axes)
    figure.legend(loc="outside upper right", ncols=min(4, len(systems)), frameon=False, fontsize=9)
    return figure


def _on_blue(share: float) -> str:
    """The color of text on the shade of blue of a share."""
    return ink("#ffffff" if not np.isfinite(share) or share < 0.6 else "#08306b")


def _new_figure(width: float, height: float) -> Picture:
    """An empty white figure of this size in inches with constrained layout."""
    return Picture(figsize=(width, height), dpi=100, facecolor="white", layout="constrained")


def _style(axes: Axes, *, both: bool = False) -> None:
    """Remove spines and ticks, and draw a faint vertical grid; a horizontal one too if ``both``."""
    for side in axes.spines.values():
        side.set_visible(False)
    axes.grid(axis="both" if both else "x", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=FAINT)
