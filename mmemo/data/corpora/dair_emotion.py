"""The emotion set of dair.ai: 20,000 English tweets with six emotions, labeled by their hashtags.

Paper: E. Saravia, H.-C. T. Liu, Y.-H. Huang, J. Wu and Y.-S. Chen, "CARER: Contextualized Affect Representations for
Emotion Recognition", EMNLP 2018. Copies: https://github.com/dair-ai/emotion_dataset and
huggingface.co/datasets/dair-ai/emotion.

Reads ``train.txt``, ``val.txt`` and ``test.txt`` (``text;sadness``, with or without a header), and the JSON Lines of
Hugging Face, ``train.jsonl``, ``validation.jsonl`` and ``test.jsonl`` (``{"text": …, "label": 0}``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import read_text_lines
from mmemo.errors import ManifestError
from mmemo.labels import DAIR6
from mmemo.reading import parse_json

_NUMBERED = ("sadness", "joy", "love", "anger", "fear", "surprise")  # as on Hugging Face
_FILES = {
    "train": ("train.txt", "train.jsonl"),
    "val": ("val.txt", "validation.jsonl"),
    "test": ("test.txt", "test.jsonl"),
}


def read(folder: str | Path) -> Reading:
    """Read the emotion set of dair.ai.

    Raises:
        ManifestError: if nothing of it is there, or a line does not fit.
    """
    gathering = Gathering(CORPUS, folder)
    faults: list[str] = []
    for split, names in _FILES.items():
        path = next((gathering.folder / name for name in names if (gathering.folder / name).is_file()), None)
        if path is None:
            gathering.caveat(MISSING, names[0])
            continue
        for number, text, label in _lines(path, faults):
            gathering.add(id=f"dair-{split}-{number}", text=text, label=label, language="en", split=split)
    if faults:
        raise ManifestError(gathering.folder, faults)
    return gathering.reading()


def _lines(path: Path, faults: list[str]) -> Iterator[tuple[int, str, str]]:
    """Numbers from 1, without a header."""
    count = 0
    for number, line in read_text_lines(path):
        if (number == 1 and line.strip() == "text;label_name") or not line.strip():
            continue
        count += 1
        try:
            if path.suffix == ".jsonl":
                values = parse_json(line)
                text, label = str(values["text"]), _NUMBERED[values["label"]]
            else:
                text, _, label = line.rstrip("\r\n").rpartition(";")
                DAIR6.index(label)
        except (ValueError, LookupError, TypeError):
            faults.append(f"{path.name} line {number}: expected a text and one of {list(DAIR6)}")
        else:
            yield count, text, label


CORPUS = Corpus(
    name="dair_emotion",
    title="dair.ai emotion",
    paper="Saravia et al., CARER: Contextualized Affect Representations for Emotion Recognition, EMNLP 2018",
    license="education and research",
    terms="Education and research. From https://github.com/dair-ai/emotion_dataset",
    layout="train.txt, val.txt, test.txt (text;label), or train.jsonl, validation.jsonl, test.jsonl",
    labels=DAIR6,
    read=read,
)
