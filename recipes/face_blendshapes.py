"""Train a face encoder on blendshapes and head pose, and measure what it adds to the embedded face network.

    pip install 'mmemo[train]'
    python recipes/face_blendshapes.py DATA --out runs/face_blendshapes

DATA is a folder with ``fer2013/`` as `recipes/face_fer2013.py` takes it. ``CK+48/`` is measured on too, if it is there;
it is never trained on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from face_fer2013 import CK_CLASSES, TERMS, end_to_end, read_fer, refuse_leaks, scores, targets
from torch import nn
from torch.nn import functional

from mmemo.encoders.blendshapes import FEATURES, BlendshapeEncoder, mirror
from mmemo.encoders.face import FaceEncoder
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.intervals import bootstrap
from mmemo.evaluation.metrics import accuracy, uar
from mmemo.faces import FaceFinder
from mmemo.files import check_folder
from mmemo.fusion.late import LateFusion, scores_only
from mmemo.labels import EKMAN7
from mmemo.training.loop import Schedule, fit

log = logging.getLogger("face_blendshapes")


@dataclass(frozen=True, eq=False)
class Found:
    """What the landmarker says of the largest face of each of N pictures.

    Attributes:
        blendshapes: (N, 52) float32; zero where there is no face.
        pose: (N, 3) float32, yaw, pitch, roll in degrees.
        quality: (N,) float32.
        found: (N,) bool.
    """

    blendshapes: np.ndarray
    pose: np.ndarray
    quality: np.ndarray
    found: np.ndarray

    def features(self) -> np.ndarray:
        """(N, 58) in the order of `FEATURES`; a still has no movement."""
        still = np.zeros((len(self.pose), len(FEATURES) - 52 - 3), np.float32)
        return np.concatenate([self.blendshapes, self.pose, still], axis=1)


_finder: FaceFinder | None = None  # one a process


def _look(path: Path) -> tuple[np.ndarray, np.ndarray, float, bool]:
    global _finder
    _finder = _finder or FaceFinder()
    faces = _finder.find(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))
    if not faces:
        return np.zeros(52, np.float32), np.zeros(3, np.float32), 0.0, False
    return faces[0].blendshapes, faces[0].pose, faces[0].quality, True


def look(paths: Sequence[Path], cache: Path, workers: int) -> Found:
    """Step 1: blendshapes and pose of every picture, by the face finder of `mmemo.analyze`; kept in ``cache``."""
    if not cache.exists():
        with ProcessPoolExecutor(workers) as pool:
            blendshapes, pose, quality, found = zip(*pool.map(_look, paths, chunksize=64), strict=True)
        partial = cache.with_suffix(".partial.npz")
        partial.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            partial,
            blendshapes=np.stack(blendshapes).astype(np.float32),
            pose=np.stack(pose).astype(np.float32),
            quality=np.array(quality, np.float32),
            found=np.array(found),
        )
        partial.replace(cache)
    return Found(**np.load(cache))


class Network(nn.Module):
    """What `BlendshapeEncoder` computes, as a module to be trained."""

    def __init__(self, mean: np.ndarray, scale: np.ndarray, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("scale", torch.from_numpy(scale))
        self.layer1 = nn.Linear(len(FEATURES), hidden)
        self.layer2 = nn.Linear(hidden, len(EKMAN7))
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, 58) to logits (N, 7)."""
        hidden = functional.relu(self.layer1((values - self.mean) * self.scale))
        return self.layer2(self.dropout(hidden))

    def weights(self) -> dict[str, np.ndarray]:
        """As `BlendshapeEncoder` takes them."""
        parts = {
            "mean": self.mean,
            "scale": self.scale,
            "weight1": self.layer1.weight.T,
            "bias1": self.layer1.bias,
            "weight2": self.layer2.weight.T,
            "bias2": self.layer2.bias,
        }
        return {name: part.detach().numpy().copy() for name, part in parts.items()}


def standardized(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Step 2: mean and scale of each feature; what never varies in training is scaled to nothing, and so ignored."""
    deviation = values.std(axis=0)
    scale = np.where(deviation > 1e-4, 1 / np.maximum(deviation, 1e-4), 0)
    return values.mean(axis=0).astype(np.float32), scale.astype(np.float32)


def encode(encoder: BlendshapeEncoder, found: Found) -> np.ndarray:
    """Logits (N, 7), each picture a window of its own."""
    windows = np.column_stack([found.features(), np.maximum(found.quality, 0.1)])
    return encoder.encode(list(windows[:, None])).logits


def together(face: np.ndarray, blendshapes: np.ndarray, label: np.ndarray) -> LateFusion:
    """Step 4: the late fusion of both encoders' logits (N, 7)."""
    return LateFusion.fit(EKMAN7, {"face": scores_only(face), "blendshapes": scores_only(blendshapes)}, label)


def compare(
    label: np.ndarray, face: np.ndarray, blendshapes: np.ndarray, head: LateFusion, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Step 5: each encoder alone, both fused, and the paired difference of fused and network, over groups if known."""
    fused = head.fuse({"face": scores_only(face), "blendshapes": scores_only(blendshapes)})
    alone, both, classes = face.argmax(axis=1), fused.argmax(axis=1), len(EKMAN7)
    measures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "accuracy": accuracy,
        "uar": lambda truth, said: uar(truth, said, classes),
    }
    gain = {}
    for name, measure in measures.items():
        interval = bootstrap(
            lambda rows, m=measure: m(label[rows], both[rows]) - m(label[rows], alone[rows]), len(label), groups=groups
        )
        gain[name] = [round(x, 4) for x in (interval.value, interval.low, interval.high)]
    return {
        "face": scores(label, face, groups),
        "blendshapes": scores(label, blendshapes, groups),
        "fused": scores(label, np.log(fused), groups),
        "gain": gain,
    }


def main(
    data: Annotated[Path, typer.Argument(help="Folder with fer2013/, and CK+48/ if it is there.")],
    out: Annotated[Path, typer.Option(help="Where the weights go.")] = Path("runs/face_blendshapes"),
    run: Annotated[Path, typer.Option(help="Blendshapes and checkpoints; a run begun here is resumed.")] = Path(
        "~/.cache/mmemo/runs/face_blendshapes"
    ),
    face: Annotated[Path, typer.Option(help="The face network to compare and fuse with.")] = Path("mmemo/weights/face"),
    epochs: Annotated[int, typer.Option(help="Passes over the training pictures.")] = 60,
    hidden: Annotated[int, typer.Option(help="Width of the hidden layer.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 3e-3,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.02,
    dropout: Annotated[float, typer.Option(help="Of the hidden layer.")] = 0.3,
    noise: Annotated[float, typer.Option(help="Added in training, in standard deviations of a feature.")] = 0.1,
    votes: Annotated[float, typer.Option(help="Weight of FER+ votes against the FER2013 label in the targets.")] = 0.5,
    balance: Annotated[float, typer.Option(help="0: classes as they come; 1: all classes equally often.")] = 0.4,
    batch: Annotated[int, typer.Option(help="Pictures a step.")] = 256,
    seed: Annotated[int, typer.Option(help="Of weights and batches.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that look for faces.")] = 2,
) -> None:
    """Train the blendshape encoder on FER2013 and FER+, measure it alone and fused, and write its weights."""
    settings = {name: value for name, value in locals().items() if isinstance(value, int | float)}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    run = run.expanduser()
    check_folder(out, (face, run / "report.json"))

    fer = read_fer(data / "fer2013")
    refuse_leaks(fer, ())
    found = look(fer.paths, run / "fer2013.npz", workers)
    values, target = found.features(), targets(fer, votes)
    rows = fer.trainable()
    rows = rows[found.found[rows]]
    mean, scale = standardized(np.concatenate([values[rows], mirror(values[rows])]))

    # Step 3: train; PublicTest without leaks chooses the epoch.
    weight = np.bincount(fer.label[rows], minlength=len(EKMAN7)).astype(np.float64) ** -balance
    draw = torch.from_numpy(weight[fer.label[rows]])
    spread = torch.from_numpy(np.where(scale > 0, 1 / np.maximum(scale, 1e-9), 0).astype(np.float32))
    validation = fer.select("PublicTest")
    validation = validation[found.found[validation]]
    label, majority = fer.label[validation], fer.majority[validation]

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(seed + epoch)
        drawn = rows[torch.multinomial(draw, len(rows) // batch * batch, True, generator=generator).numpy()]
        for chosen in drawn.reshape(-1, batch):
            side = torch.rand(batch, 1, generator=generator).numpy() < 0.5
            inputs = torch.from_numpy(np.where(side, values[chosen], mirror(values[chosen])))
            jitter = noise * spread * torch.randn(inputs.shape, generator=generator)
            yield inputs + jitter, torch.from_numpy(target[chosen])

    def validate(model: nn.Module) -> float:
        said = model(torch.from_numpy(values[validation])).numpy().argmax(axis=1)
        voted = majority >= 0
        return float(
            np.mean([accuracy(label, said), uar(label, said, len(EKMAN7)), accuracy(majority[voted], said[voted])])
        )

    schedule = Schedule(epochs, learning_rate, weight_decay, averaging=0.998, bfloat16=False)
    network = fit(
        Network(mean, scale, hidden, dropout),
        batches,
        len(rows) // batch,
        lambda model, pair: functional.cross_entropy(model(pair[0]), pair[1], label_smoothing=0.05),
        validate,
        schedule,
        run,
    )
    assert isinstance(network, Network)
    weights = network.weights()
    logits = encode(BlendshapeEncoder(weights, EKMAN7), _part(found, validation))
    kept = target[validation].sum(axis=1) > 0
    temperature = fit_temperature(logits[kept], target[validation][kept])
    weights["weight2"] /= temperature
    weights["bias2"] /= temperature
    encoder = BlendshapeEncoder(weights, EKMAN7)

    # The network beside it, from the same files; the fusion of the two is fitted on PublicTest.
    other = FaceEncoder.load(face)
    report: dict[str, Any] = {}
    pairs = {}
    for usage in ("PublicTest", "PrivateTest"):
        rows = fer.select(usage)
        seen, said = end_to_end(other, [fer.paths[row] for row in rows])
        rows = rows[seen]
        pairs[usage] = rows, said.both, encode(encoder, _part(found, rows))
    rows, first, second = pairs["PublicTest"]
    kept = target[rows].sum(axis=1) > 0
    head = together(first[kept], second[kept], fer.label[rows][kept])
    log.info("weights %s, agreement %.2f", head.weights, head.agreement)
    report["weights"] = head.weights
    for usage, (rows, first, second) in pairs.items():
        voted = fer.majority[rows] >= 0
        report[usage] = {
            "fer2013": compare(fer.label[rows], first, second, head),
            "ferplus": compare(fer.majority[rows][voted], first[voted], second[voted], head),
        }
    if (data / "CK+48").is_dir():
        paths = [p for p in sorted((data / "CK+48").glob("*/*.png")) if p.parent.name in CK_CLASSES]
        seen, said = end_to_end(other, paths)
        posed = _part(look(paths, run / "ck48.npz", workers), seen)
        truth = np.array([EKMAN7.index(CK_CLASSES[paths[row].parent.name]) for row in seen])
        people = np.array([paths[row].name[:4] for row in seen])
        report["ck+48"] = compare(truth, said.both, encode(encoder, posed), head, people)
    (run / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    log.info("%s", json.dumps(report))
    encoder.info = {
        "recipe": "recipes/face_blendshapes.py",
        "corpora": TERMS,
        "training": {**settings, "temperature": temperature, "schedule": asdict(schedule)},
        "scores": {name: report["PrivateTest"][name]["blendshapes"] for name in ("fer2013", "ferplus")},
    }
    encoder.save(out)


def _part(found: Found, rows: np.ndarray) -> Found:
    return Found(found.blendshapes[rows], found.pose[rows], found.quality[rows], found.found[rows])


if __name__ == "__main__":
    typer.run(main)
