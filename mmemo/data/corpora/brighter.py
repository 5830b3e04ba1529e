"""BRIGHTER: lines in 28 languages, each with the emotions that its readers perceived: several, one or none.

Paper: S. H. Muhammad et al., "BRIGHTER: BRIdging the Gap in Human-Annotated Textual Emotion Recognition Datasets for 28
Languages", ACL 2025; the data of SemEval 2025 task 11, track A.

Reads a table ``brighter.tsv`` (columns id, lang, split, emotion, text; ``neutral`` for none). Some languages lack a
label, as English does disgust; the test parts of German, Spanish, Chinese, Hindi, Algerian Arabic and Brazilian
Portuguese are missing from the copy used.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.labeled_texts import read_labeled_texts
from mmemo.labels import BRIGHTER7


def read(folder: str | Path) -> Reading:
    """Read BRIGHTER.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    return read_labeled_texts(CORPUS, folder, {"train": "train", "dev": "val", "test": "test"})


CORPUS = Corpus(
    name="brighter",
    title="BRIGHTER",
    paper="Muhammad et al., BRIGHTER: BRIdging the Gap in Human-Annotated Textual Emotion Recognition Datasets for 28 "
    "Languages, ACL 2025",
    license="CC BY 4.0",
    terms="CC BY 4.0. From https://github.com/emotion-analysis-project/SemEval2025-Task11",
    layout="brighter.tsv (id, lang, split, emotion, text)",
    labels=BRIGHTER7,
    read=read,
)
