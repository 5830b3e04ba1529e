"""A comparison as tables for the terminal, of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmemo.comparison.predictions import CALIBRATED, WITH_BASELINE
from mmemo.comparison.verdict import widest
from mmemo.comparison.wording import describe_method, format_p, format_short, format_signed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmemo.comparison.result import Comparison
    from mmemo.comparison.significance import PairedTest


def render_terminal(comparison: Comparison, by_label: bool = False) -> RenderableType:
    """The verdict, the table of systems, the gain of fusion and its significance, missing modalities, and notes.

    Args:
        by_label: also the recall of each label, and the groups, of the best system.
    """
    people = f" of {comparison.speakers} speakers" if comparison.speakers else ""
    parts: list[RenderableType] = [
        Text.assemble(
            (comparison.title or "Comparison", "bold"), (f"  {comparison.clips:,} clips{people}", "dim"), "\n"
        ),
        *(Text(sentence) for sentence in comparison.verdict),
        *([Text("")] if comparison.verdict else []),
        _systems(comparison),
    ]
    if by_label:
        whole = widest(comparison.by_name)
        chosen = whole if " + " in whole else comparison.best_fused or comparison.systems[0].name
        best = comparison[chosen]
        parts += [Text(f"\nRecall of each label by {best.name}", style="bold"), _recalls(comparison, best.name)]
        if best.groups:
            parts += [Text(f"\n{best.name} by group", style="bold"), _groups(comparison, best.name)]
    if comparison.fused and comparison.best_unimodal:
        parts += [
            Text(f"\nGain over {comparison.best_unimodal}, the best single modality", style="bold"),
            _gains(comparison),
        ]
    for suffix, how in ((WITH_BASELINE, "a baseline of the speaker's other clips"), (CALIBRATED, "calibrating")):
        twins = [(name.removesuffix(suffix), name) for name in comparison.by_name if name.endswith(suffix)]
        gains = [comparison.pair(*pair) for pair in twins if pair[0] in comparison.by_name]
        if gains:
            parts += [Text(f"\nGain by {how}", style="bold"), _twin_gains(gains)]
    missing = _missing_modalities(comparison)
    if missing is not None:
        parts += [Text("\nAccuracy when a modality is missing from some of the clips", style="bold"), missing]
    notes = [*comparison.notes, describe_method(comparison)]
    parts.append(Text("\nNotes", style="bold"))
    parts += [Padding(Text(f"- {note}"), (0, 0, 0, 2)) for note in notes]
    return Group(*parts)


def _table(*heads: str) -> Table:
    """A table whose first column wraps, so that the figures of the others are never cut."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", no_wrap=place > 0, overflow="fold")
    return table


def _systems(comparison: Comparison) -> Table:
    table = _table("", "accuracy", "UAR", "F1", "ECE", "coverage")
    for system in comparison.systems:
        table.add_row(
            system.name,
            format_short(system.accuracy),
            format_short(system.uar),
            f"{system.macro_f1.value:.2f}",
            f"{system.ece.value:.2f}",
            f"{system.coverage:.0%}" if system.coverage < 1 else "all",
            style="bold" if system.name == comparison.best_fused else "",
        )
    return table


def _recalls(comparison: Comparison, name: str) -> Table:
    """Of each label how many are right, and what the others are taken for."""
    table = _table("", "recall", "right", "clips", "most often taken for")
    system = comparison[name]
    names = [*comparison.labels, "nothing"]
    for row, label in zip(system.confusion, comparison.labels, strict=True):
        if not row.sum():
            continue
        place = comparison.labels.index(label)
        wrong = {names[column]: int(count) for column, count in enumerate(row) if column != place and count}
        most = max(wrong, key=lambda one: wrong[one], default="")
        taken = f"{most} {wrong[most]}" if most else ""
        table.add_row(label, format_short(system.recalls[label]), f"{row[place]:,}", f"{row.sum():,}", taken)
    return table


def _groups(comparison: Comparison, name: str) -> Table:
    table = _table("", "clips", "accuracy", "UAR")
    for group in comparison[name].groups:
        figures = (format_short(group.accuracy), format_short(group.uar))
        table.add_row(f"{group.column} {group.value}", f"{group.clips:,}", *figures)
    return table


def _gains(comparison: Comparison) -> Table:
    table = _table("", "accuracy", "p", "McNemar", "right alone")
    for name in comparison.fused:
        pair = comparison.gain(name)
        if pair is not None:
            table.add_row(
                name,
                format_signed(pair.gain),
                format_p(pair.bootstrap_corrected),
                format_p(pair.mcnemar_corrected),
                f"{pair.only_second:,} : {pair.only_first:,}",
            )
    return table


def _twin_gains(pairs: Sequence[PairedTest]) -> Table:
    table = _table("", "accuracy", "p", "McNemar")
    for pair in pairs:
        tests = (format_p(pair.bootstrap_corrected), format_p(pair.mcnemar_corrected))
        table.add_row(pair.first, format_signed(pair.gain), *tests)
    return table


def _missing_modalities(comparison: Comparison) -> Table | None:
    """The best fused system and each unimodal one, at 0%, 20% and 50% of the clips."""
    shown = [*comparison.unimodal, *([comparison.best_fused] if comparison.best_fused else [])]
    curves = [c for c in comparison.curves if c.unit == "share of clips" and c.system in shown]
    if not curves:
        return None
    levels = [level for level in curves[0].levels if level in (0.0, 0.2, 0.5)]
    table = _table("", *(f"{level:.0%}" for level in levels))
    for curve in curves:
        accuracy = dict(zip(curve.levels, curve.accuracy, strict=True))
        table.add_row(f"{curve.condition}: {curve.system}", *(f"{accuracy[level].value:.3f}" for level in levels))
    return table
