"""Train the embedded face encoder: a small CNN on aligned crops of FER2013, with the votes of FER+.

    pip install 'mmemo[train]'
    python recipes/face_fer2013.py DATA --out mmemo/weights/face

DATA is a folder with ``fer2013/{train,test}/CLASS/*.jpg``, ``fer2013/fer2013new.csv`` and
``fer2013/fer_map.csv`` (the join of FER+ votes to the files). ``CK+48/``, ``sfew/`` and ``yale/`` are measured on too,
if they are there, and the best epoch is chosen on half of their people and films; they are never trained on.

CLIPS, an option, is a folder of clips with a ``manifest.csv``: more to measure on.

Minutes: 99 on one core of a busy machine, after 21 to detect the faces, once per run folder. Scores of the
embedded weights on PrivateTest without leaks, with 95% intervals: first head, FER2013 label, accuracy .708 [.693,
.723], UAR .682 [.657, .709]; second head, FER+ majority, accuracy .849 [.835, .862]; the combination that ships .681
[.666, .696] and .794 [.780, .809]. Their card is ``docs/models/face.md``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from scipy.special import log_softmax, softmax
from torch import nn
from torch.nn import functional

from mmemo import media
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.encoders.face.architecture import FaceArchitecture
from mmemo.encoders.face.encoder import FaceEncoder, gray_crops
from mmemo.encoders.face.frames import Doubt
from mmemo.encoders.face.network import FaceNetwork
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import accuracy, confusion, expected_calibration_error, macro_f1, recalls, uar
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.faces import FaceFinder
from mmemo.faces.align import SIZE, unalign
from mmemo.faces.warp import invert, warp
from mmemo.files import check_folder
from mmemo.labels import EKMAN7, FER7_TO_EKMAN7, FER8, FER8_TO_EKMAN7
from mmemo.training import image_augmentation as augment
from mmemo.training.export_onnx import export_classifier
from mmemo.training.loop import Schedule, fit
from mmemo.training.losses import triplet_loss

log = logging.getLogger("face_fer2013")
TERMS = {
    "FER2013": "images found by web search (Goodfellow et al. 2013), for research",
    "FER+": "votes of ten annotators (Barsoum et al. 2016), MIT",
}
PREPROCESSING = (
    "mmemo.faces.align at 112 px, luma (ITU-R BT.601), area interpolation to the network's size, "
    "0..1; the network itself brings each crop to zero mean and unit deviation"
)
CK_CLASSES = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sadness": "sadness",
    "surprise": "surprise",
}
USAGES = ("Training", "PublicTest", "PrivateTest")
STRONG = {"degrees": 20.0, "zoom": 0.25, "stretch": 0.15, "shift": 0.08}


@dataclass(frozen=True, eq=False)
class Fer:
    """FER2013 as arrays; N = 35,887.

    Attributes:
        paths: (N,) of the files.
        images: (N, 48, 48) uint8.
        label: (N,) int, the FER2013 class, in the order of EKMAN7.
        votes: (N, 7) float32, FER+ votes for the classes of EKMAN7, summing to 1; zero where there are none
            of them.
        majority: (N,) int, FER+ class by most votes of all ten columns; -1 where that is a tie, contempt,
            unknown, no face, or where there are no votes.
        usage: (N,) int index into `USAGES`.
        leaked: (N,) bool: a test image that is pixel for pixel a training image.
    """

    paths: list[Path]
    images: np.ndarray
    label: np.ndarray
    votes: np.ndarray
    majority: np.ndarray
    usage: np.ndarray
    leaked: np.ndarray

    def select(self, usage: str, leaks: bool = False) -> np.ndarray:
        """Indices of one split."""
        chosen = self.usage == USAGES.index(usage)
        return np.flatnonzero(chosen if leaks else chosen & ~self.leaked)

    def trainable(self) -> np.ndarray:
        """Indices of the training images that at least one voter gave one of the seven classes."""
        return np.flatnonzero((self.usage == 0) & (self.votes.sum(axis=1) > 0))


def log_shares(fer: Fer, balance: float) -> np.ndarray:
    """(2, 7): logarithms of the shares of the labels that each head is trained under."""
    rows = fer.trainable()
    weights = np.bincount(fer.label[rows]).astype(float)[fer.label[rows]] ** -balance
    weights /= weights.sum()
    return np.log([np.bincount(fer.label[rows], weights, minlength=len(EKMAN7)), weights @ fer.votes[rows]])


def prior(fer: Fer, balance: float, adjustment: float) -> dict[str, float]:
    """Shares of the labels that the scores carry: the geometric mean of those of the two heads."""
    shares = np.exp((1 - adjustment) * log_shares(fer, balance).mean(axis=0))
    return EKMAN7.scores((shares / shares.sum()).round(4))


@dataclass(frozen=True, eq=False)
class HeadLogits:
    """Logits (N, 7) of N pictures: of both heads (their mean, the encoder's output), and of each."""

    both: np.ndarray
    label: np.ndarray
    votes: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> HeadLogits:
        return HeadLogits(self.both[rows], self.label[rows], self.votes[rows])

    def plus(self, offsets: np.ndarray) -> HeadLogits:
        """With (2, 7) log shares added to the heads, as to put a prior in."""
        return HeadLogits(self.both + offsets.mean(axis=0), self.label + offsets[0], self.votes + offsets[1])


@dataclass(frozen=True, eq=False)
class Crops:
    """Aligned crops of the faces detected in N images.

    Attributes:
        gray: (N, S, S) uint8, aligned crops.
        placement: (N, 2, 3) float32: pixels of the crop to pixels of the 48 x 48 image.
        quality: (N,) float32 of the crop; 1 where no face is detected.
        detected: (N,) bool; where it is False the crop is the image in the median placement of the others.
    """

    gray: np.ndarray
    placement: np.ndarray
    quality: np.ndarray
    detected: np.ndarray


def read_fer(folder: Path) -> Fer:
    """Step 1: images, labels, votes, and which test images leak."""
    with (folder / "fer2013new.csv").open(newline="") as file:
        votes_of = {row["Image name"]: row for row in csv.DictReader(file)}
    with (folder / "fer_map.csv").open(newline="") as file:
        png_of = {row["jpg"]: row["png"] for row in csv.DictReader(file)}
    paths = sorted(folder.glob("t*/*/*.jpg"))
    images = np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths])
    label = np.array([EKMAN7.index(str(FER7_TO_EKMAN7(path.parent.name))) for path in paths])
    usage = np.array([USAGES.index(path.name.split("_")[0]) for path in paths])
    columns = [*FER8, "unknown", "NF"]
    counts = np.zeros((len(paths), len(columns)), np.float32)
    for row, path in enumerate(paths):
        votes = votes_of.get(png_of.get(path.relative_to(folder).as_posix(), ""))
        if votes is not None:
            counts[row] = [float(votes[column]) for column in columns]
    ordered = counts[:, : len(FER8)] @ FER8_TO_EKMAN7.matrix()
    top = counts.max(axis=1, keepdims=True)
    single = ((counts == top).sum(axis=1) == 1) & (ordered.max(axis=1) == top[:, 0])
    majority = np.where(single, ordered.argmax(axis=1), -1)
    share = ordered / np.maximum(ordered.sum(axis=1, keepdims=True), 1)
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    trained = {digests[i] for i in np.flatnonzero(usage == 0)}
    leaked = np.array([use != 0 and digest in trained for use, digest in zip(usage, digests, strict=True)])
    return Fer(paths, images, label, share.astype(np.float32), majority, usage, leaked)


def refuse_leaks(fer: Fer, allow: Sequence[str]) -> None:
    """Stop if a picture to measure on is, pixel for pixel, one to train on."""
    for measured in ("PublicTest", "PrivateTest"):
        clips = [
            Clip(fer.paths[row], id=str(row), label=EKMAN7[fer.label[row]], split=usage)
            for usage in ("Training", measured)
            for row in fer.select(usage)
        ]
        Manifest(tuple(clips), EKMAN7).audit(media="hashes").refuse_leaks(allow)


_finder: FaceFinder | None = None  # one a process


def _find(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Crop, placement and quality of the largest face in a 48 x 48 image; None if there is none."""
    global _finder
    _finder = _finder or FaceFinder()
    faces = _finder.find(np.repeat(image[:, :, None], 3, axis=2))
    if not faces:
        return None
    return faces[0].crop[:, :, 0], unalign(faces[0].landmarks), faces[0].quality


def find_crops(images: np.ndarray, cache: Path, workers: int) -> Crops:
    """Step 2: the crop of every image, by the face finder of `mmemo.analyze`; kept in ``cache``."""
    if not cache.exists():
        with ProcessPoolExecutor(workers) as pool:
            faces = list(pool.map(_find, images, chunksize=64))
        usual = np.median([face[1] for face in faces if face is not None], axis=0)
        faces_or_usual = [
            face or (warp(np.repeat(image[:, :, None], 3, axis=2), invert(usual), SIZE)[:, :, 0], usual, 1.0)
            for image, face in zip(images, faces, strict=True)
        ]
        gray, placement, quality = zip(*faces_or_usual, strict=True)
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            cache,
            gray=np.stack(gray),
            placement=np.stack(placement).astype(np.float32),
            quality=np.array(quality, np.float32),
            found=np.array([face is not None for face in faces]),
        )
    saved = np.load(cache)
    return Crops(saved["gray"], saved["placement"], saved["quality"], saved["found"])


def targets(fer: Fer, weight_of_votes: float) -> np.ndarray:
    """Step 3: (N, 7) float32: FER+ votes mixed with the FER2013 label; zero where no vote is for a class."""
    label = np.eye(len(EKMAN7), dtype=np.float32)[fer.label]
    mixed = weight_of_votes * fer.votes + (1 - weight_of_votes) * label
    mixed[fer.votes.sum(axis=1) == 0] = 0
    return mixed


def epoch_batches(
    fer: Fer,
    crops: Crops,
    *,
    size: int,
    batch: int,
    seed: int,
    whole: float,
    balance: float,
    strong: bool,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Step 4: the augmented batches of one epoch, of images (B, 1, size, size) and targets (B, 2, 7).

    The two targets of an image are its FER2013 label and its FER+ votes, one for each head of the network; the
    two agree on 66% of the images only, so that their mixture would be neither.

    Args:
        fer: the images.
        crops: where the faces are in them.
        size: side of the images the network sees, in pixels.
        batch: images a step.
        seed: a different one each epoch.
        whole: share of the images taken in their own framing instead of the aligned one.
        balance: images are drawn with probability ``count of their class ** -balance``.
        strong: turned, scaled, blurred, darkened and covered further, and compressed or equalized now and then.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = fer.trainable()
    target = np.stack([np.eye(len(EKMAN7), dtype=np.float32)[fer.label], fer.votes], axis=1)
    counts = np.bincount(fer.label[rows], minlength=len(EKMAN7))
    weights = torch.from_numpy((counts.astype(np.float64) ** -balance)[fer.label[rows]])
    drawn = rows[torch.multinomial(weights, len(rows) // batch * batch, True, generator=generator).numpy()]
    full = fer.images.shape[1]
    own = torch.tensor([[full / size, 0, (full / size - 1) / 2], [0, full / size, (full / size - 1) / 2]])
    ratio = crops.gray.shape[1] / size
    to_crop = np.array([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2], [0, 0, 1]], np.float32)
    for first in range(0, len(drawn), batch):
        chosen = drawn[first : first + batch]
        images = torch.from_numpy(fer.images[chosen]).float()[:, None] / 255
        placement = torch.from_numpy(crops.placement[chosen] @ to_crop)
        in_full = torch.rand(len(chosen), generator=generator) < whole
        placement = torch.where(in_full[:, None, None], own, placement)
        if strong:
            placement = augment.random_placements(placement, size, generator, **STRONG)
            images = augment.sample(images, placement, size)
            images = augment.random_resolution(images, generator, share=0.3, least=0.3)
            images = augment.random_blur(images, generator, share=0.35, sigma=1.8)
            images = augment.random_tone(images, generator, gamma=0.9, slope=0.5)
            images = augment.random_equalization(images, generator)
            images = augment.random_noise(images, generator, deviation=0.06)
            images = augment.random_compression(images, generator)
            images = augment.random_erase(images, generator, share=0.3, area=0.25)
        else:
            placement = augment.random_placements(placement, size, generator)
            images = augment.sample(images, placement, size)
            images = augment.random_resolution(images, generator)
            images = augment.random_blur(images, generator)
            images = augment.random_tone(images, generator)
            images = augment.random_noise(images, generator)
            images = augment.random_erase(images, generator)
        yield augment.mixup(images, torch.from_numpy(target[chosen]), generator)


def decayed(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups in which only convolutions and matrices decay."""
    vectors = [p for p in network.parameters() if p.ndim < 2]
    matrices = [p for p in network.parameters() if p.ndim >= 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def evidence_of(crops: Sequence[np.ndarray], quality: Sequence[float], times: Sequence[float]) -> Evidence:
    """A window of crops (S, S, 3) of one face: as much of its evidence as the encoder reads."""
    count = len(crops)
    face = FaceEvidence(
        person=0,
        times=np.array(times, np.float64),
        crops=np.stack(crops),
        quality=np.maximum(np.array(quality, np.float32), 0.1),  # a bad crop is measured too, not left out
        landmarks=np.zeros((count, 478, 3), np.float32),
        blendshapes=np.zeros((count, 52), np.float32),
        pose=np.zeros((count, 3), np.float32),
        box=np.zeros((count, 4), np.float32),
        frame_size=(crops[0].shape[1], crops[0].shape[0]),
        coverage=1.0,
    )
    return Evidence(0.0, 0.0, face)


def encode_crops(encoder: FaceEncoder, gray: np.ndarray, quality: np.ndarray) -> HeadLogits:
    """Logits of crops (N, S, S), each a window of its own, by the encoder's `prepare` and `encode`."""
    parts = []
    for first in range(0, len(gray), 256):
        part = zip(gray[first : first + 256], quality[first : first + 256], strict=True)
        windows = [
            encoder.prepare(evidence_of([np.repeat(crop[:, :, None], 3, axis=2)], [q], [0.0])) for crop, q in part
        ]
        parts.append(logits_of(encoder, [window for window in windows if window is not None]))
    return HeadLogits(*(np.concatenate(arrays) for arrays in zip(*map(astuple, parts), strict=True)))


def logits_of(encoder: FaceEncoder, windows: Sequence[np.ndarray]) -> HeadLogits:
    """Logits of prepared windows of one crop each, of all heads and of each; the encoder may have one head."""
    encoding = encoder.encode(windows)
    readings = encoder.head_logits(encoding.tokens[:, 0])
    return HeadLogits(encoding.logits, readings[:, 0], readings[:, -1])


def end_to_end(encoder: FaceEncoder, paths: Sequence[Path]) -> tuple[np.ndarray, HeadLogits]:
    """Rows (N,) of the image files with a detected face, and their logits: read, detect, crop, prepare, encode."""
    finder, detected, windows = FaceFinder(), np.zeros(len(paths), bool), []
    for row, path in enumerate(paths):
        faces = finder.find(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))
        window = encoder.prepare(evidence_of([faces[0].crop], [faces[0].quality], [0.0])) if faces else None
        if window is not None:
            detected[row] = True
            windows.append(window)
    return np.flatnonzero(detected), logits_of(encoder, windows)


def scores(label: np.ndarray, logits: np.ndarray, groups: np.ndarray | None = None) -> dict[str, Any]:
    """Accuracy, UAR, macro-F1 with 95% bootstrap intervals: over images, or groups where they are known."""
    predicted, classes = logits.argmax(axis=1), len(EKMAN7)
    metrics: dict[str, Callable[[np.ndarray], float]] = {
        "accuracy": lambda rows: accuracy(label[rows], predicted[rows]),
        "uar": lambda rows: uar(label[rows], predicted[rows], classes),
        "macro_f1": lambda rows: macro_f1(label[rows], predicted[rows], classes),
    }
    result: dict[str, Any] = {"samples": len(label)}
    for name, metric in metrics.items():
        interval = bootstrap(metric, len(label), groups=groups)
        result[name] = [round(x, 4) for x in (interval.value, interval.low, interval.high)]
    return result


def calibrate(
    network: FaceNetwork, turn: float, fer: Fer, crops: Crops, target: np.ndarray, offsets: np.ndarray
) -> float:
    """Step 5: the temperature that fits the validation targets best; it goes into the weights of the head.

    ``offsets`` (2, 7) put the prior of FER2013 into logits that carry none.
    """
    rows = fer.select("PublicTest")
    rows = rows[target[rows].sum(axis=1) > 0]
    logits = encode_crops(FaceEncoder(network, EKMAN7, turn=turn), crops.gray[rows], crops.quality[rows]).both
    temperature = fit_temperature(logits, target[rows], offsets.mean(axis=0))
    with torch.no_grad():
        network.head.weight /= temperature
        network.head.bias /= temperature
    return temperature


def corrupt(image: np.ndarray, placement: np.ndarray, how: int) -> np.ndarray:
    """A 48 x 48 picture downsized, blurred, darkened, or with the face covered by a mask or by sunglasses."""
    if how < 3:
        side = (28, 22, 18)[how]
        return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    if how < 6:
        return cv2.GaussianBlur(image, (0, 0), (1.5, 2.5, 3.5)[how - 3])
    if how < 8:
        noise = np.random.default_rng(0).normal(0, 2, image.shape)
        return np.clip(image * (0.2, 0.1)[how - 6] + noise, 0, 255).astype(np.uint8)
    corners = np.array([(0.1, 0.55, 0.9, 1.0), (0.15, 0.28, 0.85, 0.46)][how - 8]) * SIZE
    box = corners[[[0, 1], [2, 1], [2, 3], [0, 3]]] @ placement[:, :2].T + placement[:, 2]
    return cv2.fillConvexPoly(image.copy(), box.round().astype(np.int32), (170, 30)[how - 8])


def fit_doubt(encoder: FaceEncoder, fer: Fer, crops: Crops, target: np.ndarray, offsets: np.ndarray) -> Doubt:
    """Step 6: how confidence must fall with quality, from validation pictures, clean and corrupted."""
    rows = fer.select("PublicTest")
    rows = rows[(target[rows].sum(axis=1) > 0) & crops.detected[rows]]
    finder, logits, quality, wanted = FaceFinder(), [], [], []
    for place, row in enumerate(rows):
        for image in (fer.images[row], corrupt(fer.images[row], crops.placement[row], place % 10)):
            faces = finder.find(np.repeat(image[:, :, None], 3, axis=2))
            window = encoder.prepare(evidence_of([faces[0].crop], [1.0], [0.0])) if faces else None
            if window is not None:
                logits.append(encoder.encode([window]).logits[0])
                quality.append(faces[0].quality)
                wanted.append(target[row])
    scored, trust, truth = np.stack(logits), np.array(quality), np.stack(wanted)
    usable = trust >= encoder.floor

    def loss(doubt: Doubt) -> float:
        confidence = np.array([doubt.confidence(float(q)) for q in trust[usable]])[:, None]
        logits = scored[usable] * confidence + offsets.mean(axis=0)
        return float(-np.mean(np.sum(truth[usable] * log_softmax(logits, axis=1), axis=1)))

    tried = [
        Doubt(amount, round(trusted, 2))
        for trusted in np.arange(0.1, 0.85, 0.05).tolist()
        for amount in np.arange(0, 8, 0.25).tolist()
    ]
    return min(tried, key=loss)


def measure(
    encoder: FaceEncoder, fer: Fer, crops: Crops, target: np.ndarray, shares: np.ndarray, adjustment: float, run: Path
) -> dict[str, Any]:
    """Step 7: scores of the test split, once; logits of validation and test, for fusion, go into ``run``.

    They are those under the prior of FER2013, the log ``shares`` (2, 7), of which the logits lack ``adjustment``.
    """
    offsets = adjustment * shares
    report: dict[str, Any] = {}
    logits = {}
    for usage, name in (("PublicTest", "val"), ("PrivateTest", "test")):
        rows = fer.select(usage, leaks=True)
        logits[name] = encode_crops(encoder, crops.gray[rows], crops.quality[rows]).plus(offsets)
        clean = ~fer.leaked[rows]
        report[name] = compare(fer, rows[clean], logits[name][clean])
        report[name]["fer2013_with_leaks"] = scores(fer.label[rows], logits[name].label)
        kept = clean & (target[rows].sum(axis=1) > 0)
        np.savez(
            run / f"{name}_logits.npz",
            logits=logits[name].both[kept],
            target=target[rows][kept],
            group=np.arange(kept.sum()),  # the person in a picture of FER2013 is not known
        )
    rows = fer.select("PrivateTest")
    prepared = logits["test"][~fer.leaked[fer.select("PrivateTest", leaks=True)]]
    detected, from_files = end_to_end(encoder, [fer.paths[row] for row in rows])
    report["end_to_end"] = {
        "found": round(len(detected) / len(rows), 4),
        "files": compare(fer, rows[detected], from_files.plus(offsets)),
        "prepared": compare(fer, rows[detected], prepared[detected]),
    }
    plain = FaceEncoder(encoder.network, EKMAN7, mirror=False, doubt=encoder.doubt)
    one_view = encode_crops(plain, crops.gray[rows], crops.quality[rows])
    report["one_view"] = compare(fer, rows, one_view.plus(offsets))
    report["balanced"] = compare(fer, rows, prepared.plus(-shares))["combined"]
    return report


def compare(fer: Fer, rows: np.ndarray, logits: HeadLogits) -> dict[str, Any]:
    """Scores of the logits of the pictures ``rows``.

    ``fer2013`` is the first head against the FER2013 label, ``ferplus`` the second against the voters' majority: each
    head against what it was trained on, under its prior. ``combined`` is their mean, the encoder's output, against
    either.
    """
    label, majority = fer.label[rows], fer.majority[rows]
    voted = majority >= 0

    def against(truth: np.ndarray, given: np.ndarray) -> dict[str, Any]:
        table = confusion(truth, given.argmax(axis=1), len(EKMAN7))
        error = expected_calibration_error(truth, softmax(given, axis=1))
        shares = [round(float(x), 4) for x in recalls(truth, given.argmax(axis=1), len(EKMAN7))]
        return {
            **scores(truth, given),
            "recall": dict(zip(EKMAN7, shares, strict=True)),
            "calibration_error": round(error, 4),
            "confusion": table.tolist(),
        }

    return {
        "fer2013": against(label, logits.label),
        "ferplus": against(majority[voted], logits.votes[voted]),
        "combined": {
            "fer2013": against(label, logits.both),
            "ferplus": against(majority[voted], logits.both[voted]),
        },
    }


def _without_confusion(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "confusion"}


@dataclass(frozen=True, eq=False)
class Strangers:
    """Pictures of a corpus that is never trained on.

    Attributes:
        paths: (N,) of the files.
        label: (N,) int, in the order of EKMAN7.
        group: (N,) str: the person, or the film.
        chosen: (N,) bool: those on which the best epoch is chosen; every second group.
    """

    paths: list[Path]
    label: np.ndarray
    group: np.ndarray
    chosen: np.ndarray


def read_strangers(data: Path) -> dict[str, Strangers]:
    """CK+48 (six classes), SFEW (seven) and Yale (four), those of them that are in ``data``."""
    rows: dict[str, list[tuple[Path, str, str]]] = {
        "ck+48": [
            (path, CK_CLASSES[path.parent.name], path.name[:4])
            for path in sorted((data / "CK+48").glob("*/*.png"))
            if path.parent.name in CK_CLASSES
        ],
        "sfew": [
            (path, path.parent.name, path.name.rsplit("_", 2)[0]) for path in sorted((data / "sfew").glob("*/*/*.jpg"))
        ],
        "yale": [
            (path, path.parent.name, path.name.split("_")[1]) for path in sorted((data / "yale").glob("*/*/*.jpg"))
        ],
    }
    found = {}
    for name, pictures in rows.items():
        if pictures:
            paths, labels, group = zip(*pictures, strict=True)
            chosen = np.isin(group, sorted(set(group))[::2])
            label = np.array([EKMAN7.index(one) for one in labels])
            found[name] = Strangers(list(paths), label, np.array(group), chosen)
    return found


def chosen_crops(corpus: Strangers, size: int) -> tuple[torch.Tensor, np.ndarray]:
    """Inputs (N, 1, size, size) and labels (N,) of the pictures to choose on that show a face."""
    finder, crops, label = FaceFinder(), [], []
    for row in np.flatnonzero(corpus.chosen):
        faces = finder.find(cv2.cvtColor(cv2.imread(str(corpus.paths[row])), cv2.COLOR_BGR2RGB))
        if faces:
            crops.append(faces[0].crop)
            label.append(corpus.label[row])
    return torch.from_numpy(gray_crops(np.stack(crops), size))[:, None], np.array(label)


def measure_strangers(encoder: FaceEncoder, strangers: dict[str, Strangers], carried: np.ndarray) -> dict[str, Any]:
    """Step 8: corpora that were never trained on, from files, under a balanced prior.

    ``carried`` (2, 7) is the log prior that the scores of the heads carry, and that is taken off. ``reported`` are the
    people and films that no choice was made on. Of CK+48, a prediction of neutral counts as wrong.
    """
    report: dict[str, Any] = {}
    for name, corpus in strangers.items():
        detected, logits = end_to_end(encoder, corpus.paths)
        balanced = logits.plus(-carried)
        label, group, chosen = corpus.label[detected], corpus.group[detected], corpus.chosen[detected]
        predicted = balanced.both.argmax(axis=1)
        shares = recalls(label, predicted, len(EKMAN7))
        report[name] = {
            "found": round(len(detected) / len(corpus.paths), 4),
            "all": scores(label, balanced.both, group),
            "reported": scores(label[~chosen], balanced.both[~chosen], group[~chosen]),
            "heads": {
                "fer2013": scores(label, balanced.label, group),
                "ferplus": scores(label, balanced.votes, group),
            },
            "calibration_error": round(expected_calibration_error(label, softmax(balanced.both, axis=1)), 4),
            "recall": {EKMAN7[k]: round(float(shares[k]), 4) for k in np.unique(label)},
            "confusion": confusion(label, predicted, len(EKMAN7)).tolist(),
        }
    return report


def measure_clips(encoder: FaceEncoder, folder: Path, carried: np.ndarray, frames: int = 16) -> dict[str, Any]:
    """Step 9: short clips of acted expressions, never trained on, one window a clip; contempt is left out.

    ``carried`` as in `measure_strangers`.
    """
    finder = FaceFinder()
    rows: dict[str, list[tuple[str, str, str]]] = {}
    with (folder / "manifest.csv").open(newline="") as file:
        clips = [row for row in csv.DictReader(file) if row["label"] in EKMAN7.labels]
    for clip in clips:
        shots = list(media.frames(folder / clip["path"]))
        shots = [shots[i] for i in np.unique(np.linspace(0, len(shots) - 1, frames).round().astype(int))]
        faces = [(shot.time, faces[0]) for shot in shots if (faces := finder.find(shot.image))]
        predicted = "no face"
        if faces:
            times, detected = zip(*faces, strict=True)
            window = encoder.prepare(evidence_of([f.crop for f in detected], [f.quality for f in detected], times))
            if window is not None:
                predicted = EKMAN7[int((encoder.encode([window]).logits[0] - carried.mean(axis=0)).argmax())]
        rows.setdefault(clip["corpus"], []).append((clip["id"], clip["label"], predicted))
    return {
        corpus: {
            "clips": len(predictions),
            "right": sum(label == predicted for _, label, predicted in predictions),
            "answers": predictions,
        }
        for corpus, predictions in rows.items()
    }


def main(
    data: Annotated[Path, typer.Argument(help="Folder with fer2013/, and CK+48/ if it is there.")],
    clips: Annotated[Path | None, typer.Option(help="Folder with manifest.csv of clips to measure on.")] = None,
    out: Annotated[Path, typer.Option(help="Where the weights go.")] = Path("mmemo/weights/face"),
    run: Annotated[Path, typer.Option(help="Crops, checkpoints and logits; a run begun here is resumed.")] = Path(
        "~/.cache/mmemo/runs/face"
    ),
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 50,
    small_epochs: Annotated[int, typer.Option(help="The first so many of them at the small size.")] = 20,
    small_size: Annotated[int, typer.Option(help="Side of the images in those epochs, in pixels.")] = 48,
    size: Annotated[int, typer.Option(help="Side of the images after that and in use, in pixels.")] = 64,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 2.5e-3,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.05,
    bfloat16: Annotated[bool, typer.Option(help="Compute in bfloat16: faster where the processor has it.")] = True,
    averaging: Annotated[float, typer.Option(help="Decay of the moving average of the weights.")] = 0.998,
    dropout: Annotated[float, typer.Option(help="Of the features.")] = 0.3,
    smoothing: Annotated[float, typer.Option(help="Share of each target spread over all classes.")] = 0.05,
    votes: Annotated[float, typer.Option(help="Weight of FER+ votes against the FER2013 label in the targets.")] = 0.5,
    whole: Annotated[float, typer.Option(help="Share of the images in their own framing.")] = 0.15,
    balance: Annotated[float, typer.Option(help="0: classes as they come; 1: all classes equally often.")] = 0.4,
    adjustment: Annotated[
        float, typer.Option(help="1: the loss takes the prior off the scores (logit adjustment); 0: they keep it.")
    ] = 0.0,
    strong: Annotated[bool, typer.Option(help="Augment further; see `epoch_batches`.")] = False,
    start: Annotated[Path | None, typer.Option(help="Folder of saved weights to go on from.")] = None,
    turn: Annotated[float, typer.Option(help="Degrees by which crops are turned when they are scored.")] = 10.0,
    triplet: Annotated[float, typer.Option(help="Weight of a triplet loss on the features; 0 for none.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of weights and augmentation.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that detect faces.")] = 2,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 1,
    allow: Annotated[list[str] | None, typer.Option(help="Codes of leaks that are accepted: same-media …")] = None,
) -> None:
    """Train the face encoder on FER2013 and FER+, measure it, and write its weights."""
    settings = {name: value for name, value in locals().items() if isinstance(value, int | float)}
    settings |= {} if start is None else {"start": "weights of an earlier run"}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    run = run.expanduser()
    for folder in (out, run / "calibrated"):
        check_folder(folder, (run / "report.json",))
    network = FaceNetwork(FaceArchitecture(size=size, heads=2, dropout=dropout))
    if start is not None:
        network.load_state_dict(FaceEncoder.load(start).network.state_dict())

    fer = read_fer(data / "fer2013")
    refuse_leaks(fer, allow or ())
    crops = find_crops(fer.images, run / "crops.npz", workers)
    log.info("faces detected in %.1f%% of the images", 100 * crops.detected.mean())
    target = targets(fer, votes)

    # Validation: PublicTest without its leaks, in the aligned framing, at the final size.
    validation = fer.select("PublicTest")
    label, majority = fer.label[validation], fer.majority[validation]
    pictures = np.repeat(crops.gray[validation][..., None], 3, axis=3)
    inputs = torch.from_numpy(gray_crops(pictures, size))[:, None]
    shares = log_shares(fer, balance)
    offsets = adjustment * shares
    natural = torch.from_numpy(offsets).float()
    balanced = torch.from_numpy((adjustment - 1) * shares.mean(axis=0)).float()
    strangers = read_strangers(data)
    choosing = {name: chosen_crops(corpus, size) for name, corpus in strangers.items()}

    def validate(model: nn.Module) -> float:
        assert isinstance(model, FaceNetwork)
        readings = torch.cat([model.head_logits(model.features(chunk)) for chunk in inputs.split(256)]) + natural
        (first, second), both = readings.argmax(dim=2).T.numpy(), readings.mean(dim=1).argmax(dim=1).numpy()
        voted = majority >= 0
        metrics = {
            "accuracy": accuracy(label, first),
            "uar": uar(label, both, len(EKMAN7)),
            "fer+": accuracy(majority[voted], second[voted]),
        }
        for name, (crops_of, label_of) in choosing.items():
            predicted = (model(crops_of)[1] + balanced).argmax(dim=1).numpy()
            metrics[name] = uar(label_of, predicted, len(EKMAN7))
        log.info("validation %s", {name: round(value, 4) for name, value in metrics.items()})
        return float(np.mean(list(metrics.values())))

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        side = small_size if epoch < small_epochs else size
        return epoch_batches(
            fer, crops, size=side, batch=batch, seed=seed + epoch, whole=whole, balance=balance, strong=strong
        )

    def loss(model: nn.Module, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        assert isinstance(model, FaceNetwork)
        features, wanted = model.features(pair[0]), pair[1]
        logits = model.head_logits(features).float() + natural
        total = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(0, 1), label_smoothing=smoothing)
        if triplet:
            share, label = wanted[:, 0].max(dim=1)
            plain = share > 0.9  # what is blended with another image belongs to neither class
            total = total + triplet * triplet_loss(features[plain], label[plain])
        return total

    usable = len(fer.trainable())
    log.info("%d parameters, %d training images", sum(p.numel() for p in network.parameters()), usable)
    schedule = Schedule(epochs, learning_rate, weight_decay, averaging=averaging, bfloat16=bfloat16)
    groups = decayed(network, weight_decay)
    best = fit(network, batches, usable // batch, loss, validate, schedule, run, groups=groups)
    assert isinstance(best, FaceNetwork)
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    settings["minutes"] = round(sum(row["seconds"] for row in history) / 60, 1)

    settings["temperature"] = calibrate(best, turn, fer, crops, target, offsets)
    encoder = FaceEncoder(best, EKMAN7, turn=turn)
    doubt = fit_doubt(encoder, fer, crops, target, offsets)
    log.info("%s", doubt)
    FaceEncoder(best, EKMAN7, turn=turn, doubt=doubt).save(run / "calibrated")
    encoder = FaceEncoder.load(run / "calibrated")  # measured as shipped: with weights rounded to float16
    report = measure(encoder, fer, crops, target, shares, adjustment, run)
    carried = (1 - adjustment) * shares
    report |= measure_strangers(encoder, strangers, carried)
    if clips is not None:
        report["clips"] = measure_clips(encoder, clips, carried)
    (run / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    log.info("%s", json.dumps(report))
    encoder.card = {
        "modality": "face",
        "recipe": "recipes/face_fer2013.py",
        "corpora": TERMS,
        "split": "Training; PublicTest, PrivateTest without images that are pixel for pixel in Training",
        "preprocessing": PREPROCESSING,
        "prior": prior(fer, balance, adjustment),
        "training": {**settings, "schedule": asdict(schedule)},
        "heads": ["FER2013 labels", "FER+ votes"],
        "scores": {
            "fer2013": _without_confusion(report["test"]["fer2013"]),
            "ferplus": _without_confusion(report["test"]["ferplus"]),
            "combined": {name: _without_confusion(row) for name, row in report["test"]["combined"].items()},
            "balanced": {name: report[name]["all"] for name in strangers},
        },
    }
    export_classifier(encoder, out)


if __name__ == "__main__":
    typer.run(main)
