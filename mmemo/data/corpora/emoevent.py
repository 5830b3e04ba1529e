"""EmoEvent: English and Spanish tweets about eight events of 2019, each with one of seven classes.

Paper: F. M. Plaza-del-Arco, C. Strapparava, L. A. Ureña-López and M. T. Martín-Valdivia, "EmoEvent: A Multilingual
Emotion Corpus based on different Events", LREC 2020. Copy: https://github.com/fmplaza/EmoEvent.

Reads a table ``emoevent.tsv`` (columns id, lang, split, emotion, text).
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.labeled_texts import read_labeled_texts
from mmemo.labels import EMOEVENT7


def read(folder: str | Path) -> Reading:
    """Read EmoEvent.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    return read_labeled_texts(CORPUS, folder, {"train": "train", "dev": "val", "test": "test"})


CORPUS = Corpus(
    name="emoevent",
    title="EmoEvent",
    paper="Plaza-del-Arco et al., EmoEvent: A Multilingual Emotion Corpus based on different Events, LREC 2020",
    license="none stated: research",
    terms="No license is stated; research. From https://github.com/fmplaza/EmoEvent",
    layout="emoevent.tsv (id, lang, split, emotion, text)",
    labels=EMOEVENT7,
    read=read,
)
