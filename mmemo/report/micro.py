"""Micro-expressions as a table, and as marks on a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmemo.micro.spot import MicroResult
    from mmemo.micro_expression import MicroExpression


def terminal(result: MicroResult) -> RenderableType:
    """What `mmemo micro` prints: a row a micro-expression, and the notes."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    length = f"  {result.duration:.1f} s, {result.frame_rate:.0f} frames a second"
    parts: list[RenderableType] = [Text.assemble((result.source, "bold"), (length, "dim")), Text("")]
    parts.append(table(result.expressions) if result.expressions else Text("No micro-expression was found."))
    if result.notes:
        parts.append(Text("\nNotes", style="bold"))
        parts += [Padding(Text(f"- {note.message}"), (0, 0, 0, 2)) for note in result.notes]
    return Group(*parts)


def table(expressions: Sequence[MicroExpression]) -> RenderableType:
    """A row a micro-expression: times, frames, where, how strong, how sure, and what it looks like."""
    from rich.table import Table

    several = len({one.person for one in expressions}) > 1
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", caption="Times in seconds; px of a 128 px face.")
    for name in ("onset", "apex", "offset", "frames", *(["person"] if several else []), "where", "px", "conf."):
        drawn.add_column(name, no_wrap=True, justify="left" if name == "where" else "right")
    drawn.add_column("looks like", no_wrap=True)
    for one in expressions:
        drawn.add_row(
            f"{one.onset:.3f}",
            f"{one.apex:.3f}",
            f"{one.offset:.3f}",
            f"{one.onset_frame} {one.apex_frame} {one.offset_frame}",
            *([str(one.person)] if several else []),
            one.region,
            f"{one.strength:.1f}",
            f"{one.confidence:.2f}",
            f"{one.label} {one.scores[one.label]:.0%}" if one.scores and one.label else "-",
        )
    return drawn


def told(expression: MicroExpression) -> str:
    """One micro-expression in a few words, for whoever points at its mark."""
    looks = f", looks {expression.label}" if expression.label else ""
    times = f"{expression.onset:.2f} to {expression.offset:.2f} s"
    return f"micro-expression, {times}, {expression.region}, {expression.strength:.1f} px{looks}"


def html_table(expressions: Sequence[MicroExpression]) -> str:
    """The same table for the HTML page; empty if there is none."""
    if not expressions:
        return ""
    body = "".join(
        f"<tr><td>{one.onset:.2f} to {one.offset:.2f}</td><td>{one.apex:.2f}</td><td>{escape(one.region)}</td>"
        f"<td>{one.strength:.1f} px</td><td>{one.confidence:.2f}</td><td>{escape(one.label or '-')}</td></tr>"
        for one in expressions
    )
    head = "<tr><th>seconds</th><th>apex</th><th>where</th><th>strength</th><th>confidence</th><th>looks like</th></tr>"
    return f"<table>{head}{body}</table>"
