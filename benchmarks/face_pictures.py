"""Labeled pictures of faces that the benchmarks of the face measure on, and their scores."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmemo.data import Manifest
from mmemo.data.corpora import read_corpus
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.faces import Face
from mmemo.labels import EKMAN7, FER7_TO_EKMAN7
from mmemo.model import EmotionModel

NO_SCORE = len(EKMAN7)
"""Predicted class of a picture without scores, as in `mmemo.evaluation.metrics.sample_confusions`."""


@dataclass(frozen=True)
class Picture:
    """A labeled picture.

    Attributes:
        path: of the file.
        label: index in EKMAN7.
        group: what is resampled as a whole: the person, for SFEW the film, for FER2013 the picture.
    """

    path: Path
    label: int
    group: str

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return np.asarray(cv2.cvtColor(cv2.imread(str(self.path)), cv2.COLOR_BGR2RGB))


def fer2013(data: Path, split: str) -> list[Picture]:
    """FER2013: the pictures of "val" (PublicTest) or "test" (PrivateTest) that are not in Training pixel by pixel."""
    manifest = read_corpus("fer2013", data / "face" / "fer2013").manifest
    trained = {_digest(path) for path, _, _ in _clips(manifest, "train")}
    kept = (clip for clip in _clips(manifest, split) if _digest(clip[0]) not in trained)
    return [Picture(path, EKMAN7.index(str(FER7_TO_EKMAN7(label))), path.stem) for path, label, _ in kept]


def ck48(data: Path) -> list[Picture]:
    """CK+48 without contempt: the last three frames of each sequence."""
    clips = _clips(read_corpus("ck48", data / "face" / "CK+48").manifest)
    names = {"happy": "happiness"}
    return [
        Picture(path, EKMAN7.index(names.get(label, label)), person)
        for path, label, person in clips
        if label != "contempt"
    ]


def listed(folder: Path) -> list[Picture]:
    """The pictures of a ``manifest.csv`` with the columns path, label and subject, as SFEW and Yale have it."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [
            Picture(folder / row["path"], EKMAN7.index(row["label"]), row["subject"]) for row in csv.DictReader(file)
        ]


def balanced(pictures: Iterable[Picture], each: int) -> list[Picture]:
    """At most so many pictures of each label, always the same ones."""
    by_label = defaultdict(list)
    for picture in sorted(pictures, key=lambda picture: hashlib.sha256(picture.path.name.encode()).digest()):
        by_label[picture.label].append(picture)
    return [picture for label in sorted(by_label) for picture in by_label[label][:each]]


def scores(model: EmotionModel, faces: Sequence[Face], shape: tuple[int, ...]) -> np.ndarray | None:
    """(7,) scores of one person's faces in pictures of one shape, or None if none of them is good enough."""
    evidence = FaceEvidence(
        person=0,
        times=np.arange(len(faces), dtype=float),
        crops=np.stack([face.crop for face in faces]),
        quality=np.array([face.quality for face in faces], np.float32),
        landmarks=np.stack([face.landmarks for face in faces]),
        blendshapes=np.stack([face.blendshapes for face in faces]),
        pose=np.stack([face.pose for face in faces]),
        box=np.stack([face.box for face in faces]),
        frame_size=(shape[1], shape[0]),
        coverage=1.0,
    )
    encoding = model.encode("face", [Evidence(0.0, 0.0, evidence)])
    return np.asarray(model.scores(encoding)[0]) if encoding.present[0] else None


def _clips(manifest: Manifest, split: str | None = None) -> list[tuple[Path, str, str]]:
    return [
        (clip.path, clip.label, clip.speaker or clip.id)
        for clip in manifest
        if clip.path is not None and clip.label is not None and clip.split == split
    ]


def _digest(path: Path) -> bytes:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return hashlib.sha256(image.tobytes()).digest()
