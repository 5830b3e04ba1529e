"""CPED: lines of 40 Chinese television series with their speakers and 13 emotions.

Paper: Y. Chen et al., "CPED: A Large-Scale Chinese Personalized and Emotional Dialogue Dataset for Conversational AI",
2022. Copy: https://github.com/scutcyr/CPED.

Reads a table ``cped.tsv`` (columns id, lang, split, emotion, text, dialogue, speaker). "valid" becomes "val".
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.labeled_texts import read_labeled_texts
from mmemo.labels import CPED13


def read(folder: str | Path) -> Reading:
    """Read CPED.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    return read_labeled_texts(CORPUS, folder, {"train": "train", "valid": "val", "test": "test"})


CORPUS = Corpus(
    name="cped",
    title="CPED",
    paper="Chen et al., CPED: A Large-Scale Chinese Personalized and Emotional Dialogue Dataset for Conversational AI, "
    "2022",
    license="Apache-2.0",
    terms="Apache-2.0; lines of television series. From https://github.com/scutcyr/CPED",
    layout="cped.tsv (id, lang, split, emotion, text, dialogue, speaker)",
    labels=CPED13,
    read=read,
)
