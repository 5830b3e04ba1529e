"""Results as tables: for pandas, and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mmemo.report.micro import table
from mmemo.report.needs import need
from mmemo.report.style.colors import colors
from mmemo.report.style.wording import name_of, spoken

if TYPE_CHECKING:
    import pandas
    from rich.console import RenderableType

    from mmemo.result import EmotionResult, ModalityScores, Person, Scores, Segment

COLUMNS = ("start", "end", "what", "modality", "person", "coverage", "label")
"""Columns of a result's table before those of the scores."""
AFFECT = ("valence", "arousal", "dominance")
"""Columns after them, where a modality tells these; values are in its own rows."""
_MOST_ROWS = 24


def rows(result: EmotionResult) -> Iterator[dict[str, Any]]:
    """One flat row for the clip and for each window: fused, by modality, and by person."""
    yield from _rows(
        "clip", result.start, result.start + result.duration, result.label, result.scores, result.modalities
    )
    for segment in result.segments:
        yield from _rows("segment", segment.start, segment.end, segment.label, segment.scores, segment.modalities)
    for person in result.people:
        what = {"start": person.start, "end": person.end, "what": "person", "person": person.id}
        yield from _of_person(what, person, person.modalities, person.coverage)
        for piece in person.segments:
            what = {"start": piece.start, "end": piece.end, "what": "segment", "person": person.id}
            yield from _of_person(what, piece, piece.modalities, None)
    for spotted in result.micro_expressions or ():
        whose = {"modality": "face", "person": spotted.person, "coverage": None, "label": spotted.label}
        yield {"start": spotted.onset, "end": spotted.offset, "what": "micro"} | whose


def frame(result: EmotionResult) -> pandas.DataFrame:
    """The rows as a pandas table; see `EmotionResult.to_frame`."""
    need("A data frame", "export", "pandas")
    import pandas

    data = pandas.DataFrame(list(rows(result)))
    return data.astype({"person": "Int64"})[[*COLUMNS, *result.scores, *(AFFECT if result.affect else ())]]


def _rows(
    what: str, start: float, end: float, label: str, scores: Scores, modalities: dict[str, ModalityScores]
) -> Iterator[dict[str, Any]]:
    span = {"start": start, "end": end, "what": what, "person": None}
    yield span | {"modality": "fused", "coverage": None, "label": label} | scores
    for name, said in modalities.items():
        felt = asdict(said.affect) if said.affect else {}
        yield span | {"modality": name, "coverage": said.coverage, "label": said.label} | said.scores | felt


def _of_person(
    what: dict[str, Any], said: Person | Segment, modalities: Mapping[str, ModalityScores], coverage: float | None
) -> Iterator[dict[str, Any]]:
    """The face alone is one row; while the person speaks there are rows of each modality and of them fused."""
    if len(modalities) < 2:
        own = modalities["face"].coverage if coverage is None else coverage
        yield what | {"modality": "face", "coverage": own, "label": said.label} | said.scores
        return
    yield what | {"modality": "fused", "coverage": coverage, "label": said.label} | said.scores
    for name, one in modalities.items():
        yield what | {"modality": name, "coverage": one.coverage, "label": one.label} | one.scores


def terminal(result: EmotionResult) -> RenderableType:
    """What `mmemo analyze` prints: the verdict, each modality, the course over time, people, words and notes."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    length = f"  {result.duration:.1f} s" if result.duration else ""
    share = f"  {result.scores[result.label]:.0%}"
    parts: list[RenderableType] = [
        Text.assemble((result.source or "text", "bold"), (length, "dim")),
        Text.assemble("\n", _named(result.label), share, ("  of the fused score\n", "dim")),
        _shares(result),
    ]
    if result.affect is not None:
        told = (f"{name} {value:+.2f}" for name, value in asdict(result.affect).items())
        parts.append(Text(f"\n{', '.join(told)}  (of the words, -1 to 1)", style="dim"))
    if len(result.segments) > 1:
        parts += [Text("\nOver time", style="bold"), _timeline(result)]
    if len(result.people) > 1:
        parts.append(Text("\nPeople", style="bold"))
        for person in result.people:
            where = f"  {person.start:.1f} to {person.end:.1f} s, seen {person.coverage:.0%}"
            where += f", {spoken(person)}" if spoken(person) else ""
            parts.append(Text.assemble(f"  person {person.id}  ", _named(person.label), (where, "dim")))
    if result.micro_expressions:
        parts += [Text("\nMicro-expressions", style="bold"), table(result.micro_expressions)]
    if result.transcript is not None and result.transcript.lines:
        source = result.transcript.source
        origin = f"{source}: {result.transcript.detail}" if result.transcript.detail else source
        parts.append(Text.assemble(("\nWords", "bold"), (f"  ({origin})", "dim")))
        parts.append(Padding(Text(_shortened(result.transcript.text)), (0, 0, 0, 2)))
    if result.notes:
        parts.append(Text("\nNotes", style="bold"))
        parts += [Padding(Text(f"- {note.message}"), (0, 0, 0, 2)) for note in result.notes]
    return Group(*parts)


def _shares(result: EmotionResult) -> RenderableType:
    """A row a label, a column a modality."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for column in ("Fused", *(name_of(name) for name in result.modalities)):
        table.add_column(column, justify="right", no_wrap=True)
    for label, score in result.scores.items():
        said = (f"{modality.scores[label]:.0%}" for modality in result.modalities.values())
        table.add_row(_named(label), f"{score:.0%}", *said, style="bold" if label == result.label else "")
    covered = (f"{modality.coverage:.0%}" for modality in result.modalities.values())
    table.add_row("coverage", "", *covered, style="dim")
    weights = ("" if said.weight is None else f"{said.weight:.0%}" for said in result.modalities.values())
    table.add_row("weight", "", *weights, style="dim")
    return table


def _timeline(result: EmotionResult) -> RenderableType:
    """A row a window: the fused label, and what each modality says."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("seconds", "Fused", "", *(name_of(name) for name in result.modalities)):
        table.add_column(column, justify="right" if column in ("seconds", "") else "left", no_wrap=True)
    shown, every = _thinned(result.segments)
    for segment in shown:
        said = (segment.modalities.get(name) for name in result.modalities)
        labels = (_named(scores.label) if scores else "-" for scores in said)
        span, share = f"{segment.start:.1f} to {segment.end:.1f}", f"{segment.scores[segment.label]:.0%}"
        table.add_row(span, _named(segment.label), share, *labels)
    if every > 1:
        table.caption = f"Every {every}th of {len(result.segments)} windows; --json has them all."
    return table


def _thinned(segments: tuple[Segment, ...]) -> tuple[tuple[Segment, ...], int]:
    every = -(-len(segments) // _MOST_ROWS)
    return segments[::every], every


def _named(label: str) -> Any:
    """A label behind a mark in its colour: the word itself stays legible on any background."""
    from rich.text import Text

    return Text.assemble(("\u25a0 ", colors([label])[label]), label)


def _shortened(text: str, most: int = 600) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"
