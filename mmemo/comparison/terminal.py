"""A comparison as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmemo.comparison.predictions import WITH_BASELINE
from mmemo.comparison.wording import describe_method, format_p, format_signed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmemo.comparison.result import Comparison
    from mmemo.comparison.significance import PairedTest


def render_terminal(comparison: Comparison) -> RenderableType:
    """The table of systems, the gain of fusion and its significance, missing modalities, and notes."""
    people = f" of {comparison.speakers} speakers" if comparison.speakers else ""
    parts: list[RenderableType] = [
        Text.assemble(
            (comparison.title or "Comparison", "bold"), (f"  {comparison.clips:,} clips{people}", "dim"), "\n"
        ),
        _systems(comparison),
    ]
    if comparison.fused and comparison.best_unimodal:
        parts += [
            Text(f"\nGain over {comparison.best_unimodal}, the best single modality", style="bold"),
            _gains(comparison),
        ]
    twins = [(name.removesuffix(WITH_BASELINE), name) for name in comparison.by_name if name.endswith(WITH_BASELINE)]
    gains = [comparison.pair(*pair) for pair in twins if pair[0] in comparison.by_name]
    if gains:
        parts += [Text("\nGain by a baseline of the speaker's other clips", style="bold"), _baseline_gains(gains)]
    missing = _missing_modalities(comparison)
    if missing is not None:
        parts += [Text("\nAccuracy when a modality is missing from some of the clips", style="bold"), missing]
    notes = [*comparison.notes, describe_method(comparison)]
    parts.append(Text("\nNotes", style="bold"))
    parts += [Padding(Text(f"- {note}"), (0, 0, 0, 2)) for note in notes]
    return Group(*parts)


def _systems(comparison: Comparison) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for head in ("accuracy", "UAR", "macro F1", "ECE", "coverage"):
        table.add_column(head, justify="right", no_wrap=True)
    for system in comparison.systems:
        table.add_row(
            system.name,
            str(system.accuracy),
            str(system.uar),
            f"{system.macro_f1.value:.3f}",
            f"{system.ece.value:.3f}",
            f"{system.coverage:.1%}" if system.coverage < 1 else "all",
            style="bold" if system.name == comparison.best_fused else "",
        )
    return table


def _gains(comparison: Comparison) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for head in ("accuracy", "p", "p McNemar", f"only {comparison.best_unimodal}", "only it"):
        table.add_column(head, justify="right", no_wrap=True)
    for name in comparison.fused:
        pair = comparison.gain(name)
        if pair is not None:
            table.add_row(
                name,
                format_signed(pair.gain),
                format_p(pair.bootstrap_corrected),
                format_p(pair.mcnemar_corrected),
                f"{pair.only_first:,}",
                f"{pair.only_second:,}",
            )
    return table


def _baseline_gains(pairs: Sequence[PairedTest]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for head in ("accuracy", "p", "p McNemar"):
        table.add_column(head, justify="right", no_wrap=True)
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
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("", "", *(f"{level:.0%}" for level in levels)):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for curve in curves:
        accuracy = dict(zip(curve.levels, curve.accuracy, strict=True))
        table.add_row(curve.condition, curve.system, *(f"{accuracy[level].value:.3f}" for level in levels))
    return table
