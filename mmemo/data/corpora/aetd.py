"""AETD: Egyptian Arabic tweets, each with one of eight classes.

Paper: A. Al-Khatib and S. R. El-Beltagy, "Emotional Tone Detection in Arabic Tweets", CICLing 2017. Copy:
https://github.com/AmrMehasseb/Emotional-Tone.

Reads a table ``aetd.tsv`` (columns id, lang, split, emotion, text). There are no splits.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.labeled_texts import read_labeled_texts
from mmemo.labels import AETD8


def read(folder: str | Path) -> Reading:
    """Read AETD.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    return read_labeled_texts(CORPUS, folder, {"all": None})


CORPUS = Corpus(
    name="aetd",
    title="AETD",
    paper="Al-Khatib and El-Beltagy, Emotional Tone Detection in Arabic Tweets, CICLing 2017",
    license="none stated: research",
    terms="No license is stated; research. From https://github.com/AmrMehasseb/Emotional-Tone",
    layout="aetd.tsv (id, lang, split, emotion, text)",
    labels=AETD8,
    read=read,
)
