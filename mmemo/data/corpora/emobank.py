"""EmoBank: 10,062 English sentences with valence, arousal and dominance from 1 to 5, and no classes.

Paper: S. Buechel and U. Hahn, "EmoBank: Studying the Impact of Annotation Perspective and Representation Format on
Dimensional Emotion Analysis", EACL 2017. Copy: https://github.com/JULIELab/EmoBank.

Reads ``emobank.csv`` (columns id, split, V, A, D, text) or ``emobank.tsv`` with the same columns. No clip has a label.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError
from mmemo.labels import SENTIMENT3

_SPLITS = {"train": "train", "dev": "val", "test": "test"}


def read(folder: str | Path) -> Reading:
    """Read EmoBank.

    Raises:
        ManifestError: if nothing of it is there, or a row does not fit.
    """
    gathering = Gathering(CORPUS, folder)
    names = ("emobank.csv", "corpus/emobank.csv", "emobank.tsv")
    tables = [gathering.folder] if gathering.folder.is_file() else [gathering.folder / name for name in names]
    table = next((path for path in tables if path.is_file()), None)
    faults = []
    for row in read_rows(table, ["id", "split", "V", "A", "D", "text"], quoted=table.suffix == ".csv") if table else ():
        try:
            valence, arousal, dominance = (row.number(column) for column in "VAD")
            split = _SPLITS[row.one_of("split", _SPLITS)]
        except ValueError as error:
            faults.append(str(error))
            continue
        gathering.add(
            id=f"emobank-{row['id']}",
            text=row["text"],
            valence=valence,
            arousal=arousal,
            dominance=dominance,
            language="en",
            split=split,
        )
    if faults:
        raise ManifestError(table, faults)
    return gathering.reading()


CORPUS = Corpus(
    name="emobank",
    title="EmoBank",
    paper="Buechel and Hahn, EmoBank: Studying the Impact of Annotation Perspective and Representation Format on "
    "Dimensional Emotion Analysis, EACL 2017",
    license="CC BY 4.0",
    terms="CC BY 4.0. From https://github.com/JULIELab/EmoBank",
    layout="emobank.csv (id, split, V, A, D, text), or emobank.tsv with the same columns",
    labels=SENTIMENT3,  # a manifest needs a set; no clip has a label of it
    read=read,
)
