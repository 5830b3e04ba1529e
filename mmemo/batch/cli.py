"""`mmemo analyze` for many clips: progress, and the summary at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mmemo.batch.analyze_many import BatchProgress, analyze_many, journal_of
from mmemo.batch.relative import NOTE
from mmemo.batch.sources import By
from mmemo.errors import ArgumentError
from mmemo.report.export.cells import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmemo.batch.result import Batch

_SHOWN_ERRORS = 5
"""Errors that are shown at the end; the table has all."""
_EVERY = 30.0
"""Seconds between two lines of progress, where they go to a file and not to a terminal."""


def analyze_and_summarize(
    sources: Sequence[Path],
    out: Path | None,
    summary: Path | None,
    one_clip_only: dict[str, Any],
    **settings: Any,
) -> None:
    """Analyze many clips, write the table and perhaps the page, and print a summary.

    Args:
        one_clip_only: options that make no sense here, by name, with the values given.
        settings: those of `analyze_many`.

    Raises:
        ArgumentError: if there is no ``out``, or an option of single clips is given.
    """
    from rich.console import Console

    misplaced = [f"--{name}" for name, value in one_clip_only.items() if value]
    if misplaced:
        raise ArgumentError(f"{', '.join(misplaced)}: of one clip only, and these are many.")
    if out is None:
        raise ArgumentError("Many clips go into a table: give --out results.parquet, .csv or .jsonl, or .html.")
    if summary is not None and summary.suffix.lower() != ".html":
        raise ArgumentError(f"The summary is a page: give --summary FILE.html, not {summary.name}.")
    with _progress() as progress:
        batch = analyze_many([str(source) for source in sources], out, summary=summary, progress=progress, **settings)
    Console(highlight=False).print(_summary(batch, out, summary, settings.get("baseline") in get_args(By)))


def _summary(batch: Batch, out: Path, summary: Path | None, relative: bool) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from mmemo.report.style.colors import colors

    counts = Counter(row.label for row in batch.rows if row.label is not None)
    failed = f", {len(batch.failed):,} not analyzed" if batch.failed else ""
    parts: list[RenderableType] = [Text(f"{len(batch.rows):,} clips{failed}", style="bold")]
    if batch.passed_over:
        kinds = ", ".join(f"{count:,} {suffix or 'without a suffix'}" for suffix, count in batch.passed_over.items())
        total = sum(batch.passed_over.values())
        parts.append(Text(f"{total:,} files passed over, no media by their names: {printable(kinds)}"))
    plain = sum(row.error is None and NOTE not in row.notes for row in batch.rows)
    if relative and plain:
        parts.append(Text(f"{plain:,} without a baseline: no person is known, or there is nothing to compare with"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right")
    for label, color in colors(batch.labels).items():
        table.add_row(Text.assemble(("\u25a0 ", color), label), f"{counts[label]:,}")
    parts += [table] * bool(counts)
    errors = (f"{row.path or row.id}: {row.error}" for row in batch.failed[:_SHOWN_ERRORS])
    parts += [Text(printable(error), style="red") for error in errors]
    if len(batch.failed) > _SHOWN_ERRORS:
        parts.append(Text(f"… and {len(batch.failed) - _SHOWN_ERRORS:,} more, in the table's column error"))
    written = " and ".join(str(file) for file in (out, summary) if file is not None)
    kept = f"{journal_of(out).name} lets the next run take over what is unchanged."
    parts.append(Text(printable(f"Written to {written}; {kept}")))
    return Group(*parts)


@contextmanager
def _progress() -> Iterator[Callable[[BatchProgress], None]]:
    """A bar on a terminal; elsewhere a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("analyzing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[aside]}"),
    )
    # The speed is the mean of an hour: clips differ, and a long one may take minutes.
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=3600) as bar:
        task = bar.add_task("", total=None, aside="")

        def show(state: BatchProgress) -> None:
            bar.update(task, total=state.total, completed=state.done, aside=_aside(state))

        yield show


class _Lines:
    """Progress for a log: how many are done, and how long the rest will take."""

    def __init__(self) -> None:
        self._began = self._shown = time.monotonic()

    def __call__(self, state: BatchProgress) -> None:
        now = time.monotonic()
        if now - self._shown < _EVERY:
            return
        self._shown = now
        print(f"mmemo: {progress_line(state, now - self._began)}", file=sys.stderr, flush=True)


def progress_line(state: BatchProgress, seconds: float) -> str:
    """How far a batch is after some seconds, and how long the rest takes at this pace."""
    made = state.done - state.kept
    rest = f", about {_span((state.total - state.done) * seconds / made)} remaining" if made else ""
    return f"{state.done:,} of {state.total:,} clips{rest}{_aside(state, ', ')}"


def _aside(state: BatchProgress, before: str = "") -> str:
    parts = []
    if state.kept:
        parts.append(f"{state.kept:,} kept from before")
    if state.failed:
        parts.append(f"{state.failed:,} failed")
    return before + ", ".join(parts) if parts else ""


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if minutes < 2 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
