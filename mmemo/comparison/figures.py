"""The pictures of a comparison, each a matplotlib figure of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmemo.comparison.canvas import OTHER, bare, colors_of, sheet
from mmemo.comparison.export import signed
from mmemo.comparison.measures import BINS, Measured
from mmemo.evaluation.bootstrap import Interval
from mmemo.report.style.colors import FAINT, TEXT, ink

if TYPE_CHECKING:
    from mmemo.comparison.result import Comparison

_MOST_PANELS = 6


def figures(comparison: Comparison) -> dict[str, Figure]:
    """Every figure that the comparison has something for, by name."""
    found = {"systems": _systems(comparison), "recalls": _recalls(comparison)}
    if comparison.fused and comparison.best_alone:
        found["gains"] = _gains(comparison)
    found |= {"confusion": _confusions(comparison), "reliability": _reliabilities(comparison)}
    lost = [curve for curve in comparison.curves if curve.unit == "share of clips"]
    worse = [curve for curve in comparison.curves if curve.unit != "share of clips"]
    if lost:
        found["losses"] = _curves(comparison, lost)
    if worse:
        found["degraded"] = _curves(comparison, worse)
    for column in dict.fromkeys(group.column for system in comparison.systems for group in system.groups):
        found[f"by {column}"] = _groups(comparison, column)
    return found


def shown(comparison: Comparison) -> list[Measured]:
    """The systems a reader looks at first: each modality alone, and the best of those that fuse."""
    names = [*comparison.alone, *([comparison.best_fused] if comparison.best_fused else [])]
    return [comparison[name] for name in names or list(comparison.by_name)][-_MOST_PANELS:]


def _systems(comparison: Comparison) -> Figure:
    rows = comparison.systems
    figure = sheet(10.5, 0.9 + 0.34 * len(rows))
    colors = colors_of(comparison)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, name, title in ((left, "accuracy", "Accuracy"), (right, "uar", "Mean recall of the classes (UAR)")):
        figures_of = [getattr(system, name) for system in rows]
        _forest(axes, figures_of, [colors[system.name] for system in rows])
        best = comparison.best_alone
        if best is not None:
            axes.axvline(getattr(comparison[best], name).value, color=colors[best], linewidth=1, linestyle=(0, (4, 3)))
        axes.set_title(title, loc="left", size=10.5, color=TEXT, pad=8)
    _names(left, [system.name for system in rows], comparison)
    return figure


def _gains(comparison: Comparison) -> Figure:
    names = comparison.fused
    figure = sheet(8.0, 0.95 + 0.34 * len(names))
    axes = figure.subplots()
    pairs = [pair for name in names if (pair := comparison.gain(name)) is not None]
    colors = colors_of(comparison)
    _forest(axes, [pair.gain for pair in pairs], [colors[name] for name in names], gains=True)
    axes.axvline(0, color=TEXT, linewidth=1)
    axes.set_title(
        f"Accuracy gained over {comparison.best_alone}, the best modality alone", loc="left", size=10.5, color=TEXT
    )
    _names(axes, names, comparison)
    return figure


def _forest(axes: Axes, found: Sequence[Interval], colors: Sequence[str], *, gains: bool = False) -> None:
    """A dot with its interval in each row, and the figure in words at the right edge."""
    places = np.arange(len(found))[::-1]
    for place, figure, color in zip(places, found, colors, strict=True):
        axes.plot([figure.low, figure.high], [place, place], color=color, linewidth=2.6, solid_capstyle="round")
        axes.plot([figure.value], [place], "o", color=color, markersize=6.5, markeredgecolor="white")
    low, high = min(one.low for one in found), max(one.high for one in found)
    from_zero = min(low, 0.0) if gains else low
    room = max(high - from_zero, 0.02)
    axes.set(xlim=(from_zero - 0.06 * room, high + (0.55 if gains else 0.5) * room), ylim=(-0.6, len(found) - 0.4))
    for place, figure in zip(places, found, strict=True):
        axes.text(
            high + 0.06 * room, place, signed(figure) if gains else str(figure), size=8.5, color=TEXT, va="center"
        )
    bare(axes)
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
    figure = sheet(2.2 + 0.95 * len(comparison.labels), 0.9 + 0.36 * len(rows))
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
    systems, labels = shown(comparison), comparison.labels
    across = _across(len(systems))
    down = -(-len(systems) // across)
    figure = sheet(0.7 + 3.6 * across, 0.9 + 3.4 * down)
    grid = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    for axes, system in zip(grid, systems, strict=False):
        counts = system.confusion if system.confusion[:, -1].any() else system.confusion[:, :-1]
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                axes.text(column, row, f"{share:.0%}", ha="center", va="center", size=7, color=_on_blue(share))
        names = [*labels, "no answer"][: counts.shape[1]]
        axes.set_xticks(range(len(names)), names, size=8, rotation=45, ha="right", color=TEXT)
        axes.set_yticks(range(len(labels)), list(labels), size=8, color=TEXT)
        axes.set_title(system.name, loc="left", size=10.5, color=TEXT)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    for axes in grid[len(systems) :]:
        axes.set_visible(False)
    figure.supxlabel("answered", size=9, color=FAINT)
    figure.supylabel("true, each row 100%", size=9, color=FAINT)
    return figure


def _reliabilities(comparison: Comparison) -> Figure:
    systems, colors = shown(comparison), colors_of(comparison)
    across = _across(len(systems))
    down = -(-len(systems) // across)
    figure = sheet(0.6 + 3.3 * across, 0.5 + 3.0 * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, system in zip(grid, systems, strict=False):
        total = sum(one.clips for one in system.reliability)
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for one in system.reliability:
            middle = (min(int(one.confidence * BINS), BINS - 1) + 0.5) / BINS
            axes.bar(middle, one.clips / total, width=0.9 / BINS, color="#dfe4e8", zorder=0)
        sure, right = [one.confidence for one in system.reliability], [one.accuracy for one in system.reliability]
        # A bin of few clips says little: its dot is small.
        sizes = [6 + 60 * np.sqrt(one.clips / total) for one in system.reliability]
        axes.plot(sure, right, color=colors[system.name], linewidth=1.2)
        axes.scatter(sure, right, sizes, color=colors[system.name], zorder=3)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set_title(f"{system.name}: ECE {system.ece.value:.3f}", loc="left", size=10.5, color=TEXT)
        bare(axes, both=True)
    for axes in grid[len(systems) :]:
        axes.set_visible(False)
    figure.supxlabel("highest score (grey bars: share of the clips)", size=9, color=FAINT)
    figure.supylabel("share that is right", size=9, color=FAINT)
    return figure


def _curves(comparison: Comparison, curves: Sequence[Any]) -> Figure:
    panels = list(dict.fromkeys(curve.what for curve in curves))
    across = _across(len(panels))
    down = -(-len(panels) // across)
    figure = sheet(0.6 + 3.5 * across, 0.75 + 2.9 * down)
    grid = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    colors = colors_of(comparison)
    first = [system.name for system in shown(comparison)]
    drawn: dict[str, Any] = {}
    for axes, what in zip(grid, panels, strict=False):
        for curve in sorted((c for c in curves if c.what == what), key=lambda c: c.system in first):
            values, places = [one.value for one in curve.accuracy], np.arange(len(curve.levels))
            if curve.system not in first:
                (drawn["other systems that fuse"],) = axes.plot(places, values, color=OTHER, linewidth=1)
                continue
            color, best = colors[curve.system], curve.system == comparison.best_fused
            low, high = [one.low for one in curve.accuracy], [one.high for one in curve.accuracy]
            if curve.system in (comparison.best_fused, comparison.best_alone):
                axes.fill_between(places, low, high, color=color, alpha=0.12, linewidth=0)
            (drawn[curve.system],) = axes.plot(
                places, values, "o-", color=color, markersize=4, linewidth=1 + 1.4 * best
            )
        levels = next(curve.levels for curve in curves if curve.what == what)
        unit = next(curve.unit for curve in curves if curve.what == what)
        axes.set_xticks(range(len(levels)), [_level(level, unit, number) for number, level in enumerate(levels)])
        axes.set_title(what, loc="left", size=10.5, color=TEXT)
        axes.set_xlabel(unit, size=8.5, color=FAINT)
        bare(axes, both=True)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    grid[0].set_ylabel("accuracy", size=9, color=FAINT)
    ordered = [name for name in [*first[::-1], "other systems that fuse"] if name in drawn]
    figure.legend(
        [drawn[name] for name in ordered], ordered, loc="outside upper left", ncols=6, frameon=False, fontsize=9
    )
    return figure


def _across(panels: int) -> int:
    """Panels in a row: no more than three, and none alone in the last one."""
    return 2 if panels in (2, 4) else min(3, panels)


def _level(level: float, unit: str, number: int) -> str:
    if unit == "share of clips":
        return f"{level:.0%}"
    return "clean" if number == 0 else f"{level:g}"


def _groups(comparison: Comparison, column: str) -> Figure:
    systems, colors = shown(comparison), colors_of(comparison)
    found = {s.name: {group.value: group for group in s.groups if group.column == column} for s in systems}
    values = list(next(iter(found.values())))
    last = systems[-1].name
    values.sort(key=lambda value: -found[last][value].accuracy.value)
    figure = sheet(8.5, 1.1 + 0.34 * len(values) * (1 if len(values) > 6 else 1.6))
    axes = figure.subplots()
    places = np.arange(len(values))[::-1].astype(float)
    offsets = np.linspace(0.22, -0.22, len(systems)) if len(systems) > 1 else np.zeros(1)
    for offset, (name, groups) in zip(offsets, found.items(), strict=True):
        for place, value in zip(places, values, strict=True):
            figure_of = groups[value].accuracy
            axes.plot([figure_of.low, figure_of.high], [place + offset] * 2, color=colors[name], linewidth=2, alpha=0.6)
        middle = [groups[value].accuracy.value for value in values]
        axes.plot(middle, places + offset, "o", color=colors[name], markersize=6, markeredgecolor="white", label=name)
    told = [f"{value}  ({found[last][value].clips})" for value in values]
    axes.set_yticks(places, told, size=9, color=TEXT)
    axes.set_title(f"Accuracy by {column} (clips)", loc="left", size=10.5, color=TEXT)
    axes.set_ylim(-0.7, len(values) - 0.3)
    bare(axes)
    figure.legend(loc="outside upper right", ncols=len(systems), frameon=False, fontsize=9)
    return figure


def _on_blue(share: float) -> str:
    return ink("#ffffff" if not np.isfinite(share) or share < 0.6 else "#08306b")
