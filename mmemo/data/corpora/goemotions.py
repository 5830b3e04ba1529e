"""GoEmotions: 58,009 comments from Reddit with 27 emotions and neutral, several at once where raters saw several.

Paper: D. Demszky, D. Movshovitz-Attias, J. Ko, A. Cowen, G. Nemade and S. Ravi, "GoEmotions: A Dataset of Fine-Grained
Emotions", ACL 2020. Copy: https://github.com/google-research/google-research/tree/master/goemotions.

Reads ``train.tsv``, ``dev.tsv`` and ``test.tsv`` (text, numbers of the labels, id; no header; dev becomes "val"). The
names are in ``labels.txt`` or ``emotions.txt`` beside them; with seven names they are those grouped after Ekman
(``ekman_labels.csv`` of the original gives the same). ``label`` is set where a comment has one label only; all of them
are in ``extra["labels"]``, with ``|`` between. Given the folder above, the subfolder ``original`` is read.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import read_document, read_text_lines
from mmemo.errors import ManifestError
from mmemo.labels import GOEMOTIONS28, MELD7

_SPLITS = {"train": "train", "dev": "val", "test": "test"}
SEVERAL = "texts with several labels: label is empty, extra.labels has them"


def read(folder: str | Path) -> Reading:
    """Read GoEmotions, with 28 labels or with seven.

    Raises:
        ManifestError: if nothing of it is there, or a line does not fit.
    """
    root = Path(folder)
    if not (root / "train.tsv").is_file():
        inner = [path for path in (root / "original", root / "data") if (path / "train.tsv").is_file()]
        root = inner[0] if inner else root
    names = _names(root)
    gathering = Gathering(CORPUS, root, GOEMOTIONS28 if len(names) == len(GOEMOTIONS28) else MELD7)
    faults = []
    for part, split in _SPLITS.items():
        path = root / f"{part}.tsv"
        if not path.is_file():
            gathering.caveat(MISSING, path)
            continue
        for number, line in read_text_lines(path):
            cells = line.rstrip("\r\n").split("\t")
            try:
                text, numbers, name = cells
                labels = [names[int(value)] for value in numbers.split(",")]
            except (ValueError, IndexError):
                faults.append(f"{path.name} line {number}: expected text, numbers of labels below {len(names)}, id")
                continue
            if len(labels) > 1:
                gathering.caveat(SEVERAL, name)
            gathering.add(
                id=f"goemotions-{name}",
                text=text,
                label=labels[0] if len(labels) == 1 else None,
                language="en",
                split=split,
                extra={"labels": "|".join(labels)},
            )
    if faults:
        raise ManifestError(root, faults)
    return gathering.reading()


def _names(root: Path) -> list[str]:
    """In the file's order, which is that of the numbers."""
    for name in ("labels.txt", "emotions.txt"):
        if (root / name).is_file():
            names = read_document(root / name).split()
            if set(names) in (set(GOEMOTIONS28), set(MELD7)):
                return names
            raise ManifestError(root / name, ["expected the 28 labels of GoEmotions, or the seven after Ekman"])
    return list(GOEMOTIONS28)


CORPUS = Corpus(
    name="goemotions",
    title="GoEmotions",
    paper="Demszky et al., GoEmotions: A Dataset of Fine-Grained Emotions, ACL 2020",
    license="CC BY 4.0",
    terms="CC BY 4.0. From https://github.com/google-research/google-research/tree/master/goemotions",
    layout="train.tsv, dev.tsv, test.tsv, with labels.txt or emotions.txt",
    labels=GOEMOTIONS28,
    read=read,
)
