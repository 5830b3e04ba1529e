"""Results, micro-expressions and live updates as the command line prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmemo.report.style.colors import colors
from mmemo.report.style.wording import affect_origin, name_of, person_title, speaking_share

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmemo.micro.spot import MicroResult
    from mmemo.micro_expression import MicroExpression
    from mmemo.notes import Note
    from mmemo.pipeline.live_update import Dropped, LiveUpdate
    from mmemo.result import EmotionResult

_MOST_ROWS = 24
_MOST_LETTERS = 600
_BAR = 24
"""Characters of a score of 1."""
_LIVE_LINES = 3
"""Lines of words that the live view shows."""


def render_result(result: EmotionResult) -> RenderableType:
    """Output of `mmemo analyze`: label, scores by modality, windows over time, people, words and notes."""
    length = f"  {result.duration:.1f} s" if result.duration else ""
    share = f"  {result.scores[result.label]:.0%}"
    parts: list[RenderableType] = [
        Text.assemble((result.source or "text", "bold"), (length, "dim")),
        Text.assemble("\n", _label(result.label), share, ("  of the fused score\n", "dim")),
        _scores(result),
    ]
    if result.affect is not None:
        values = (f"{name} {getattr(result.affect, name):+z.2f}" for name in ("valence", "arousal", "dominance"))
        origin = affect_origin(result.modalities)
        parts.append(Text.assemble(f"\n{', '.join(values)}", (f"  -1 to 1; {origin}", "dim")))
    if len(result.segments) > 1:
        parts += [_heading("Over time"), _windows(result)]
    if len(result.people) > 1:
        parts.append(_heading("People"))
        for person in result.people:
            details = f"  {person.start:.1f} to {person.end:.1f} s, seen {person.coverage:.0%}"
            details += f", {speaking_share(person)}" if speaking_share(person) else ""
            details += f", confidence {person.confidence:.2f}" if person.confidence is not None else ""
            parts.append(Text.assemble(f"  {person_title(person)}  ", _label(person.label), (details, "dim")))
    if result.micro_expressions:
        parts += [_heading("Micro-expressions"), _micro_expressions(result.micro_expressions)]
    if result.transcript is not None and result.transcript.lines:
        source = result.transcript.source
        origin = f"{source}: {result.transcript.detail}" if result.transcript.detail else source
        parts.append(Text.assemble(("\nWords", "bold"), (f"  ({origin})", "dim")))
        parts.append(Padding(Text(_shorten(result.transcript.text)), (0, 0, 0, 2)))
    return Group(*parts, *_notes(result.notes))


def render_micro(result: MicroResult) -> RenderableType:
    """Output of `mmemo micro`: a row a micro-expression, and the notes."""
    length = f"  {result.duration:.1f} s, {result.frame_rate:.0f} frames a second"
    return Group(
        Text.assemble((result.source, "bold"), (length, "dim")),
        Text(""),
        _micro_expressions(result.expressions) if result.expressions else Text("No micro-expression was found."),
        *_notes(result.notes),
    )


def render_update(update: LiveUpdate) -> RenderableType:
    """The live view of `mmemo live`: fused label and scores, those by modality, people, words, and what was dropped."""
    speaking = {None: "", True: "  a voice", False: "  silent"}[update.speaking]
    label = Text("nobody is seen or heard", style="dim") if update.label is None else _label(update.label)
    share = f"  {update.scores[update.label]:.0%}" if update.scores and update.label else ""
    details = f"  {update.time:.1f} s{speaking}  {1000 * update.latency:.0f} ms"
    parts: list[RenderableType] = [Text.assemble(label, (share, "bold"), (details, "dim")), Text("")]
    if update.scores:
        parts.append(_bars(update))
    if len(update.people) > 1:
        parts.append(_heading("People"))
        for one in update.people:
            name = "  new     " if one.person is None else f"  person {one.person}"
            parts.append(Text.assemble(f"{name}  ", _label(one.label), f"  {one.scores[one.label]:.0%}"))
    if update.words:
        parts.append(_heading("Words"))
        parts += [Padding(Text(_shorten(line.text)), (0, 0, 0, 2)) for line in update.words[-_LIVE_LINES:]]
    if lost := _dropped(update.dropped):
        parts.append(Text(f"\nDropped: {lost}", style="dim"))
    return Group(*parts, *_notes(update.notes))


def _bars(update: LiveUpdate) -> Table:
    """A row a label with a bar of its fused score, a column a modality."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("Fused", no_wrap=True, min_width=_BAR)
    table.add_column("", justify="right", no_wrap=True, min_width=4)
    for name in update.modalities:
        table.add_column(name_of(name), justify="right", no_wrap=True)
    for label, score in (update.scores or {}).items():
        bar = Text("\u2588" * round(_BAR * score), style=colors([label])[label])
        shares = (f"{modality.scores[label]:.0%}" for modality in update.modalities.values())
        table.add_row(_label(label), bar, f"{score:.0%}", *shares, style="bold" if label == update.label else "")
    return table


def _dropped(dropped: Dropped) -> str:
    """What came too late, in words; empty if nothing did."""
    parts = [f"{dropped.frames} picture{'s' * (dropped.frames > 1)}"] if dropped.frames else []
    parts += [f"{dropped.sound:.1f} s of sound"] if dropped.sound else []
    parts += [f"the words of {dropped.words} pieces of speech"] if dropped.words else []
    return ", ".join(parts)


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _notes(notes: Sequence[Note]) -> list[RenderableType]:
    if not notes:
        return []
    return [_heading("Notes"), *(Padding(Text(f"- {note.message}"), (0, 0, 0, 2)) for note in notes)]


def _scores(result: EmotionResult) -> Table:
    """A row a label, a column a modality."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for column in ("Fused", *(name_of(name) for name in result.modalities)):
        table.add_column(column, justify="right", no_wrap=True)
    modalities = result.modalities.values()
    for label, score in result.scores.items():
        shares = (f"{modality.scores[label]:.0%}" for modality in modalities)
        table.add_row(_label(label), f"{score:.0%}", *shares, style="bold" if label == result.label else "")
    table.add_row("coverage", "", *(f"{modality.coverage:.0%}" for modality in modalities), style="dim")
    weights = ("" if modality.weight is None else f"{modality.weight:.0%}" for modality in modalities)
    table.add_row("weight", "", *weights, style="dim")
    return table


def _windows(result: EmotionResult) -> Table:
    """A row a window: the fused label, and that of each modality."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("seconds", "Fused", "", *(name_of(name) for name in result.modalities)):
        table.add_column(column, justify="right" if column in ("seconds", "") else "left", no_wrap=True)
    every = -(-len(result.segments) // _MOST_ROWS)
    for segment in result.segments[::every]:
        modalities = (segment.modalities.get(name) for name in result.modalities)
        labels = (
            Text.assemble(_label(scores.label), " (vocal burst)" if scores.is_vocal_burst else "") if scores else "-"
            for scores in modalities
        )
        span, share = f"{segment.start:.1f} to {segment.end:.1f}", f"{segment.scores[segment.label]:.0%}"
        table.add_row(span, _label(segment.label), share, *labels)
    if every > 1:
        table.caption = f"Every {every}th of {len(result.segments)} windows; --json has them all."
    return table


def _micro_expressions(expressions: Sequence[MicroExpression]) -> Table:
    """A row a micro-expression: times, frames, region, strength, confidence, and class."""
    several = len({expression.person for expression in expressions}) > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", caption="Times in seconds; px of a 128 px face.")
    for name in ("onset", "apex", "offset", "frames", *(["person"] if several else []), "where", "px", "conf."):
        table.add_column(name, no_wrap=True, justify="left" if name == "where" else "right")
    table.add_column("looks like", no_wrap=True)
    for expression in expressions:
        label, scores = expression.label, expression.scores
        table.add_row(
            f"{expression.onset:.3f}",
            f"{expression.apex:.3f}",
            f"{expression.offset:.3f}",
            f"{expression.onset_frame} {expression.apex_frame} {expression.offset_frame}",
            *([str(expression.person)] if several else []),
            expression.region,
            f"{expression.strength:.1f}",
            f"{expression.confidence:.2f}",
            f"{label} {scores[label]:.0%}" if scores and label else "-",
        )
    return table


def _label(label: str) -> Text:
    """A label behind a mark in its color: the word itself stays legible on any background."""
    return Text.assemble(("\u25a0 ", colors([label])[label]), label)


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else text[:_MOST_LETTERS].rsplit(" ", 1)[0] + " …"
