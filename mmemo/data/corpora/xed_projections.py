"""XED projected: lines of film subtitles in 40 languages with the emotions of their English counterparts.

Paper: E. Öhman, M. Pàmies, K. Kajava and J. Tiedemann, "XED: A Multilingual Dataset for Sentiment Analysis and Emotion
Detection", COLING 2020. Copy: https://github.com/Helsinki-NLP/XED. The labels are those of the aligned English line:
nobody labeled the lines themselves.

Reads a table ``xed_projections.tsv`` (columns id, lang, split, emotion, text). There are no splits.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.labeled_texts import read_labeled_texts
from mmemo.labels import XED9


def read(folder: str | Path) -> Reading:
    """Read the projections of XED.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    return read_labeled_texts(CORPUS, folder, {"all": None})


CORPUS = Corpus(
    name="xed_projections",
    title="XED, projected",
    paper="Öhman et al., XED: A Multilingual Dataset for Sentiment Analysis and Emotion Detection, COLING 2020",
    license="CC BY 4.0",
    terms="CC BY 4.0; the subtitles are from OPUS. From https://github.com/Helsinki-NLP/XED",
    layout="xed_projections.tsv (id, lang, split, emotion, text)",
    labels=XED9,
    read=read,
)
