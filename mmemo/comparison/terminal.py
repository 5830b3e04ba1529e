"""A comparison as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmemo.comparison.export import chance, signed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmemo.comparison.result import Comparison


def terminal(comparison: Comparison) -> RenderableType:
    """The table of systems, what fusing gains and whether that is sure, losses, and notes."""
    people = f" of {comparison.speakers} speakers" if comparison.speakers else ""
    parts: list[RenderableType] = [
        Text.assemble(
            (comparison.title or "Comparison", "bold"), (f"  {comparison.clips:,} clips{people}", "dim"), "\n"
        ),
        _systems(comparison),
    ]
    if comparison.fused and comparison.best_alone:
        parts += [Text(f"\nGained over {comparison.best_alone}, the best alone", style="bold"), _gains(comparison)]
    lost = _losses(comparison)
    if lost is not None:
        parts += [Text("\nAccuracy when a modality is lost from some of the clips", style="bold"), lost]
    notes = [*comparison.notes, how(comparison)]
    parts.append(Text("\nNotes", style="bold"))
    parts += [Padding(Text(f"- {note}"), (0, 0, 0, 2)) for note in notes]
    return Group(*parts)


def how(comparison: Comparison) -> str:
    """What intervals and p values are of, in one sentence."""
    over = "speakers" if comparison.speakers else "clips"
    return (
        f"Intervals are 95%, p is of the paired bootstrap, both over {over} ({comparison.draws:,} draws); "
        f"p is corrected after Holm for {len(comparison.pairs)} pairs."
    )


def _systems(comparison: Comparison) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for head in ("accuracy", "UAR", "macro F1", "ECE", "answered"):
        table.add_column(head, justify="right", no_wrap=True)
    for system in comparison.systems:
        table.add_row(
            system.name,
            str(system.accuracy),
            str(system.uar),
            f"{system.macro_f1.value:.3f}",
            f"{system.ece.value:.3f}",
            f"{system.answered:.1%}" if system.answered < 1 else "all",
            style="bold" if system.name == comparison.best_fused else "",
        )
    return table


def _gains(comparison: Comparison) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for head in ("accuracy", "p", "p McNemar", "right alone", "it alone"):
        table.add_column(head, justify="right", no_wrap=True)
    for name in comparison.fused:
        pair = comparison.gain(name)
        if pair is not None:
            table.add_row(
                name,
                signed(pair.gain),
                chance(pair.bootstrap_corrected),
                chance(pair.mcnemar_corrected),
                f"{pair.only_first:,}",
                f"{pair.only_second:,}",
            )
    return table


def _losses(comparison: Comparison) -> Table | None:
    """The best fused system and each modality alone, at 0%, 20% and 50% of the clips."""
    shown = [*comparison.alone, *([comparison.best_fused] if comparison.best_fused else [])]
    curves = [c for c in comparison.curves if c.unit == "share of clips" and c.system in shown]
    if not curves:
        return None
    levels = [level for level in curves[0].levels if level in (0.0, 0.2, 0.5)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("", "", *(f"{level:.0%}" for level in levels)):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for curve in curves:
        found = dict(zip(curve.levels, curve.accuracy, strict=True))
        table.add_row(curve.what, curve.system, *(f"{found[level].value:.3f}" for level in levels))
    return table
