"""A corpus into a manifest, and what to tell of it: `mmemo prepare`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.data.corpora import CORPORA, Reading, corpus, read_corpus
from mmemo.data.corpora.unreadable import unreadable
from mmemo.data.manifest_file import check_suffix, is_manifest
from mmemo.errors import ArgumentError
from mmemo.files import check_file

if TYPE_CHECKING:
    from rich.console import RenderableType

_FIRST = ("train", "val", "test")


def prepare(name: str, path: str | Path, out: str | Path, *, probe: bool = False, **options: Any) -> Reading:
    """Read the user's copy of a corpus and write its manifest, whole or not at all.

    Args:
        name: one of `mmemo.data.corpora.CORPORA`.
        path: the corpus' folder, or for some corpora a file.
        out: the manifest, ``.jsonl`` or ``.csv``.
        probe: whether to open every file, to find those that can't be.
        options: what this corpus' reader takes beyond that.

    Raises:
        ArgumentError: if there is no such corpus or option, or ``out`` can't be written, or is a file of the corpus.
        ManifestError: if nothing of the corpus is there.
    """
    check_suffix(Path(out))
    # A manifest may lie in the corpus' folder, and be written anew there; nothing else of the corpus is overwritten.
    check_file(out, [path] if Path(path).is_file() or not is_manifest(Path(out)) else [])
    reading = read_corpus(name, path, **options)
    if probe:
        reading = replace(reading, caveats=(*reading.caveats, *unreadable(reading.manifest)))
    reading.manifest.write(out)
    return reading


def columns(pairs: Iterable[str]) -> dict[str, str]:
    """``["label=emotion"]`` as a mapping.

    Raises:
        ArgumentError: if one has no equals sign.
    """
    named = {}
    for pair in pairs:
        column, equals, yours = pair.partition("=")
        if not (column and equals and yours):
            raise ArgumentError(f"--column {pair}: expected COLUMN=YOURS, such as label=emotion.")
        named[column] = yours
    return named


def report(reading: Reading, out: str | Path) -> RenderableType:
    """What was found, for a terminal: counts, terms, paper, and what is odd about this copy."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    counts, manifest = reading.counts, reading.manifest
    found = {split for row in counts.values() for split in row}
    splits = [split for split in (*_FIRST, *sorted(found - {None, *_FIRST}), None) if split in found]  # type: ignore[type-var]
    table = Table(title=f"{reading.corpus.title}: {len(manifest):,} clips", title_justify="left")
    table.add_column("label")
    for split in splits:
        table.add_column(split or ("no split" if len(splits) > 1 else "clips"), justify="right")
    for label, row in counts.items():
        table.add_row(label or "(none)", *(f"{row.get(split, 0):,}" for split in splits))
    if len(counts) > 1:
        table.add_section()
        table.add_row("all", *(f"{sum(row.get(split, 0) for row in counts.values()):,}" for split in splits))
    speakers = {clip.speaker for clip in manifest} - {None}
    languages = sorted({clip.language for clip in manifest if clip.language})
    lines = [f"{len(speakers)} speakers" if speakers else "", ", ".join(languages)]
    told = [Text("; ".join(line for line in lines if line))] if any(lines) else []
    for name, text in (("Paper", reading.corpus.paper), ("Terms", reading.corpus.terms)):
        told += [Text(f"{name}: {text}")] if text else []
    told += [Text(f"Note: {caveat}", style="yellow") for caveat in reading.caveats]
    return Group(table, *told, Text(f"Written to {out}"))


def overview() -> RenderableType:
    """All corpora that can be read, for a terminal."""
    from rich.table import Table

    table = Table("name", "corpus", "terms")
    for name in CORPORA:
        known = corpus(name)
        table.add_row(name, known.title, known.licence)
    return table
