"""EmpatheticDialogues: people telling of a situation in which they felt one of 32 emotions, in English.

Paper: H. Rashkin, E. M. Smith, M. Li and Y.-L. Boureau, "Towards Empathetic Open-domain Conversation Models", ACL 2019.
Copy: https://github.com/facebookresearch/EmpatheticDialogues.

Reads a table ``empathetic_dialogues.tsv`` (columns id, lang, split, emotion, text) of the first turns; "dev" becomes
"val".
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.labeled_texts import read_labeled_texts
from mmemo.labels import EMPATHETIC32


def read(folder: str | Path) -> Reading:
    """Read the first turns of EmpatheticDialogues.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    return read_labeled_texts(CORPUS, folder, {"train": "train", "dev": "val", "test": "test"})


CORPUS = Corpus(
    name="empathetic_dialogues",
    title="EmpatheticDialogues",
    paper="Rashkin et al., Towards Empathetic Open-domain Conversation Models, ACL 2019",
    license="CC BY-NC 4.0",
    terms="CC BY-NC 4.0. From https://github.com/facebookresearch/EmpatheticDialogues",
    layout="empathetic_dialogues.tsv (id, lang, split, emotion, text)",
    labels=EMPATHETIC32,
    read=read,
)
