"""Tables of texts with one or several emotions: the form in which several corpora without media come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.corpora.goemotions import SEVERAL
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError

COLUMNS = ("id", "lang", "split", "emotion", "text")


def read_labeled_texts(corpus: Corpus, path: str | Path, splits: Mapping[str, str | None]) -> Reading:
    """Read a table of a text in each row, with the columns `COLUMNS`, ``dialogue`` and ``speaker``.

    ``emotion`` may hold several labels with commas between. ``label`` is set where there is one; all of them are in
    ``extra["labels"]``, with ``|`` between.

    Args:
        path: the table, or the folder with ``NAME.tsv``, NAME being that of the corpus.
        splits: the split of a clip, by that of the table; None for none.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    gathering = Gathering(corpus, path)
    table = gathering.folder if gathering.folder.is_file() else gathering.folder / f"{corpus.name}.tsv"
    faults = []
    turns: dict[str, int] = {}
    rows = read_rows(table, list(COLUMNS), delimiter="\t", quoted=False) if table.is_file() else ()
    for row in rows:
        labels = row["emotion"].split(",")
        if not set(labels) <= set(corpus.labels):
            faults.append(f"line {row.line}: emotion {row['emotion']}, expected some of {list(corpus.labels)}")
            continue
        try:
            split = splits[row.one_of("split", splits)]
        except ValueError as error:
            faults.append(str(error))
            continue
        if len(labels) > 1:
            gathering.caveat(SEVERAL, row["id"])
        dialogue = row.cells.get("dialogue") or None
        if dialogue is not None:
            turns[dialogue] = turns.get(dialogue, -1) + 1
        gathering.add(
            id=f"{corpus.name}-{row['lang']}-{row['id']}",
            text=row["text"],
            label=labels[0] if len(labels) == 1 else None,
            language=row["lang"],
            split=split,
            dialogue=dialogue,
            turn=None if dialogue is None else turns[dialogue],
            speaker=row.cells.get("speaker") or None,
            extra={"labels": "|".join(labels)},
        )
    if faults:
        raise ManifestError(table, faults)
    return gathering.reading()
