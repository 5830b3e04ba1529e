"""FER2013: 35,887 grey faces of 48x48 pixels, found by searching the web for words of emotion.

Paper: I. J. Goodfellow et al., "Challenges in Representation Learning: A report on three machine learning contests",
ICONIP 2013. Copy: https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge.

Reads folders of images, ``train/angry/Training_1426440.jpg`` and ``test/…/PublicTest_…``, and the original
``fer2013.csv`` (columns emotion, pixels, Usage). The official splits are Training (train), PublicTest (val) and
PrivateTest (test); images named otherwise have the split of their folder. Pixels are no media, so those of the CSV are
written as PNG files into a folder that the user names: ``train/angry/fer0000000.png``, numbered from 0 by row, as FER+
numbers them.

In the official splits 288 images of PrivateTest and 279 of PublicTest are pixel by pixel the same as one in Training:
audit the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import IMAGE, NAME, Gathering
from mmemo.data.rows import read_rows
from mmemo.errors import ArgumentError, ManifestError
from mmemo.files import make_folder, replacing_file
from mmemo.labels import FER7

SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_FOLDERS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
_WORDS = {**{label: label for label in FER7}, "anger": "angry", "happiness": "happy", "sadness": "sad"}
SIDE = 48


@dataclass(frozen=True)
class Picture:
    """One image of FER2013: its class and split, and its row in the original table, if it comes from there."""

    path: Path
    label: str
    split: str
    usage: str
    row: int | None = None

    @property
    def id(self) -> str:
        """Class and name of the file: two names are there in two classes."""
        return f"{self.label}/{self.path.stem}"


def read(folder: str | Path, pixels: str | Path | None = None) -> Reading:
    """Read FER2013.

    Args:
        folder: the folder of images, or ``fer2013.csv``.
        pixels: where to write the images of ``fer2013.csv``, as PNG; measured, 500 a second on one core.

    Raises:
        ManifestError: if nothing of it is there, or a row of the table does not fit.
        ArgumentError: if it is the table and ``pixels`` names no folder.
    """
    found = Gathering(CORPUS, folder)
    for picture in pictures(found, pixels):
        found.add(
            id=picture.id,
            path=picture.path,
            label=picture.label,
            split=picture.split,
            extra={"usage": picture.usage} if picture.usage else {},
        )
    return found.reading()


def pictures(found: Gathering, pixels: str | Path | None = None) -> Iterator[Picture]:
    """All images, of folders or of the table."""
    table = found.folder if found.folder.is_file() else found.folder / "fer2013.csv"
    if table.is_file():
        if pixels is None:
            raise ArgumentError(
                f"{table} holds pixels, and clips need files: name a folder to write them to (--pixels FOLDER)."
            )
        yield from _unpacked(table, Path(pixels))
        return
    for path in found.files(IMAGE):
        usage = path.stem.partition("_")[0]
        folders = path.relative_to(found.folder).parts[:-1]
        label = _WORDS.get(folders[-1].lower()) if folders else None
        split = SPLITS.get(usage) or next(
            (_FOLDERS[part.lower()] for part in folders if part.lower() in _FOLDERS), None
        )
        if label is None or split is None:
            found.caveat(NAME, path)
            continue
        yield Picture(path, label, split, usage if usage in SPLITS else "")


def _unpacked(table: Path, folder: Path) -> Iterator[Picture]:
    """Write every row's pixels as a PNG, and skip those written before: an interrupted run goes on."""
    import cv2

    faults = []
    for number, row in enumerate(read_rows(table, ["emotion", "pixels", "Usage"], delimiter=",")):
        try:
            label, split = FER7[int(row["emotion"])], SPLITS[row["Usage"]]
            values = np.array(row["pixels"].split(), dtype=np.uint8).reshape(SIDE, SIDE)
        except (ValueError, IndexError, KeyError, OverflowError):
            faults.append(f"line {row.line}: expected an emotion from 0 to 6, {SIDE}x{SIDE} pixels, and a Usage")
            continue
        path = folder / split / label / f"fer{number:07}.png"
        if not path.is_file():
            make_folder(path.parent)
            with replacing_file(path) as partial:
                partial.write_bytes(cv2.imencode(".png", values)[1].tobytes())
        yield Picture(path, label, split, row["Usage"], number)
    if faults:
        raise ManifestError(table, faults)


CORPUS = Corpus(
    name="fer2013",
    title="FER2013",
    paper="Goodfellow et al., Challenges in Representation Learning, ICONIP 2013",
    licence="images from the web: research",
    terms="Images from the web, whose rights are their owners'; research. From Kaggle, challenge of 2013",
    layout="train/angry/Training_1.jpg … test/angry/PrivateTest_1.jpg …, or fer2013.csv (emotion, pixels, Usage)",
    labels=FER7,
    read=read,
    options=("pixels",),
)
