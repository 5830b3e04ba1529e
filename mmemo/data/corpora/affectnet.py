"""AffectNet: about 440,000 faces from the web, labeled by hand with eight expressions, valence and arousal.

Paper: A. Mollahosseini, B. Hasani and M. H. Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal
Computing in the Wild", IEEE Transactions on Affective Computing 10(1), 2019, doi:10.1109/TAFFC.2017.2740923.
Copy: http://mohammadmahoor.com/affectnet (on request).

Reads three layouts. The published lists ``training.csv`` and ``validation.csv`` (columns subDirectory_filePath,
expression, valence, arousal …) with ``Manually_Annotated_Images``; the smaller release with ``train_set/images/0.jpg``
and ``train_set/annotations/0_exp.npy``, ``0_val.npy``, ``0_aro.npy``; and class folders ``train/0`` … ``train/7``, or
named by the expression. The validation set is "val"; AffectNet has published no test set. Images that are no face or of
no certain expression (8, 9, 10) are left out. Valence and arousal are from -1 to 1.
"""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path

import numpy as np

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, NAME, Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError
from mmemo.labels import AFFECTNET8
from mmemo.media import IMAGE
from mmemo.reading import read_bytes, reason

_COLUMNS = ("subDirectory_filePath", "expression", "valence", "arousal")
_LISTS = {"training.csv": "train", "validation.csv": "val"}
_SPLITS = {"train": "train", "training": "train", "train_set": "train", "train_class": "train"} | dict.fromkeys(
    ("val", "valid", "validation", "val_set", "val_class"), "val"
)
_SPLITS["test"] = "test"
_WORDS = {**{label: label for label in AFFECTNET8}, "happy": "happiness", "sad": "sadness", "angry": "anger"}
_LARGEST_NUMBER = 10_000  # bytes
_OTHER = "images of no face, no expression or an uncertain one, left out"


def read(folder: str | Path) -> Reading:
    """Read AffectNet.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    lists = [path for name in _LISTS for path in sorted(gathering.folder.rglob(name))]
    annotations = sorted(gathering.folder.rglob("annotations"))
    if lists:
        _listed(gathering, lists)
    elif annotations:
        for path in annotations:
            _annotated(gathering, path)
    else:
        _in_classes(gathering)
    return gathering.reading()


def _listed(gathering: Gathering, tables: list[Path]) -> None:
    images = {"/".join(path.parts[-2:]): path for path in gathering.files(IMAGE)}
    faults = []
    for table in tables:
        for row in read_rows(table, _COLUMNS, delimiter=","):
            place = row["subDirectory_filePath"]
            try:
                number, valence, arousal = row.integer("expression"), row.number("valence"), row.number("arousal")
            except ValueError as error:
                faults.append(f"{table.name} {error}")
                continue
            if place not in images:
                gathering.caveat(MISSING, place)
            else:
                _add(gathering, Path(place).stem, images[place], number, valence, arousal, _LISTS[table.name])
    if faults:
        raise ManifestError(gathering.folder, faults)


def _annotated(gathering: Gathering, annotations: Path) -> None:
    split = _SPLITS.get(annotations.parent.name.lower(), annotations.parent.name)
    images = {path.stem: path for path in gathering.files(IMAGE, annotations.parent / "images")}
    for path in gathering.files(["_exp.npy"], annotations):
        name = path.stem.removesuffix("_exp")
        if name not in images:
            gathering.caveat(MISSING, f"{annotations.parent.name}/images/{name}.jpg")
            continue
        valence, arousal = (_number(path.with_name(f"{name}_{kind}.npy")) for kind in ("val", "aro"))
        _add(gathering, f"affectnet-{split}-{name}", images[name], int(_number(path) or 0), valence, arousal, split)


def _in_classes(gathering: Gathering) -> None:
    for path in gathering.files(IMAGE):
        folders = [part.lower() for part in path.relative_to(gathering.folder).parts[:-1]]
        label = folders[-1] if folders else ""
        number = int(label) if label.isdecimal() else None
        name = _WORDS.get(label) if number is None else AFFECTNET8[number] if number < len(AFFECTNET8) else None
        split = next((_SPLITS[part] for part in folders if part in _SPLITS), None)
        if name is None:
            gathering.caveat(NAME, path)
        else:
            gathering.add(id="-".join([*folders, path.stem]), path=path, label=name, split=split)


def _number(path: Path) -> float | None:
    """Some annotations are numbers, others their text; none is a pickle."""
    if not path.is_file():
        return None
    try:
        number = float(np.load(BytesIO(read_bytes(path, _LARGEST_NUMBER)), allow_pickle=False))
    except (OSError, TypeError, ValueError, EOFError) as error:
        raise ManifestError(path, [f"expected one number: {reason(error)}"]) from None
    if not math.isfinite(number):
        raise ManifestError(path, [f"expected one number, got {number}"])
    return number


def _add(
    gathering: Gathering, name: str, path: Path, number: int, valence: float | None, arousal: float | None, split: str
) -> None:
    if number >= len(AFFECTNET8):
        gathering.caveat(_OTHER, path)
        return
    known = {"valence": valence, "arousal": arousal}
    known = {kind: value for kind, value in known.items() if value is not None and value >= -1}  # -2 is "not given"
    gathering.add(id=name, path=path, label=AFFECTNET8[number], split=split, **known)


CORPUS = Corpus(
    name="affectnet",
    title="AffectNet",
    paper="Mollahosseini, Hasani and Mahoor, AffectNet, IEEE TAFFC 10(1), 2019",
    license="on request: research",
    terms="On request, research only. From http://mohammadmahoor.com/affectnet",
    layout="training.csv and validation.csv with Manually_Annotated_Images, or train_set/images with "
    "train_set/annotations/0_exp.npy …, or class folders train/0 … val/7",
    labels=AFFECTNET8,
    read=read,
)
