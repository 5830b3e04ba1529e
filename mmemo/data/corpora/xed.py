"""XED: 17,528 English and 14,449 Finnish lines of film subtitles with Plutchik's eight emotions, and neutral ones.

Paper: E. Öhman, M. Pàmies, K. Kajava and J. Tiedemann, "XED: A Multilingual Dataset for Sentiment Analysis and Emotion
Detection", COLING 2020. Copy: https://github.com/Helsinki-NLP/XED.

Reads the original ``en-annotated.tsv`` and ``fi-annotated.tsv`` (text, numbers from 1 to 8) with ``neu_en.txt`` and
``neu_fi.txt`` (text, 0), and a table ``xed_annotated.tsv`` (columns split, label, lang, id, text). ``label`` is set
where a line has one emotion only; all of them are in ``extra["labels"]``, with ``|`` between. The corpus has no
official split; ``split`` is what the table says.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.corpora.goemotions import SEVERAL
from mmemo.data.spreadsheets import read_rows, read_text_lines
from mmemo.errors import ManifestError
from mmemo.labels import XED9

_NAMES = ("{}-annotated.tsv", "neu_{}.txt")


def read(folder: str | Path) -> Reading:
    """Read XED.

    Raises:
        ManifestError: if nothing of it is there, or a line does not fit.
    """
    gathering = Gathering(CORPUS, folder)
    table = gathering.folder if gathering.folder.is_file() else gathering.folder / "xed_annotated.tsv"
    faults: list[str] = []
    if table.is_file():
        for row in read_rows(table, ["split", "label", "lang", "id", "text"], delimiter="\t", quoted=False):
            labels = row["label"].split(",")
            if not set(labels) <= set(XED9):
                faults.append(f"{table.name} line {row.line}: labels {row['label']}, expected some of {list(XED9)}")
                continue
            split = "val" if row["split"] == "dev" else row["split"]
            _add(gathering, row["id"], row["text"], labels, row["lang"], split)
    else:
        for language in ("en", "fi"):
            for name in _NAMES:
                path = next(iter(sorted(gathering.folder.rglob(name.format(language)))), None)
                if path is not None:
                    _from_original(gathering, path, language, faults)
    if faults:
        raise ManifestError(gathering.folder, faults)
    return gathering.reading()


def _from_original(gathering: Gathering, path: Path, language: str, faults: list[str]) -> None:
    kind = "neutral-" if path.name.startswith("neu_") else ""
    for number, line in read_text_lines(path):
        text, _, numbers = line.rstrip("\r\n").rpartition("\t")
        try:
            labels = [XED9[int(value)] for value in numbers.split(",")]
        except (ValueError, IndexError):
            faults.append(f"{path.name} line {number}: expected a text, a tab and numbers from 0 to 8")
        else:
            _add(gathering, f"{language}-{kind}{number}", text, labels, language, None)


def _add(gathering: Gathering, name: str, text: str, labels: list[str], language: str, split: str | None) -> None:
    if len(labels) > 1:
        gathering.caveat(SEVERAL, name)
    gathering.add(
        id=f"xed-{name}",
        text=text,
        label=labels[0] if len(labels) == 1 else None,
        language=language,
        split=split,
        extra={"labels": "|".join(labels)},
    )


CORPUS = Corpus(
    name="xed",
    title="XED",
    paper="Öhman et al., XED: A Multilingual Dataset for Sentiment Analysis and Emotion Detection, COLING 2020",
    license="CC BY 4.0",
    terms="CC BY 4.0; the subtitles are from OPUS. From https://github.com/Helsinki-NLP/XED",
    layout="en-annotated.tsv, fi-annotated.tsv, neu_en.txt, neu_fi.txt, or xed_annotated.tsv (split, label, lang, id, "
    "text)",
    labels=XED9,
    read=read,
)
