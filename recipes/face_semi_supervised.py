"""What unlabeled faces add to few labels: FixMatch on FER2013, against the same network on the labeled images alone.

    pip install 'mmemo[train]'
    python recipes/face_semi_supervised.py DATA --labels 100
    python recipes/face_semi_supervised.py DATA --labels 100 --alone

DATA is as for ``face_fer2013.py``: ``fer2013/{train,test}/CLASS/*.jpg`` with its two tables. The crops that that recipe
keeps in its run folder are used if they are there, else detected first.

FixMatch (Sohn et al., NeurIPS 2020): the network labels a lightly changed view of an unlabeled face; where it is sure,
a strongly changed view of the same face must get the same label. Both runs see the same labeled images in the same
order, for the same number of steps. The epoch is chosen on PublicTest, which has more labels than the network is
trained on, so that either figure is higher than one without them would be; PrivateTest is measured once. No weights are
embedded.

Minutes on one core: about 4 with unlabeled faces, 1 without.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import torch
import typer
from face_fer2013 import decayed, find_crops, read_fer, scores
from torch import nn
from torch.nn import functional

from mmemo.encoders.face.architecture import FaceArchitecture
from mmemo.encoders.face.encoder import gray_crops
from mmemo.encoders.face.network import FaceNetwork
from mmemo.evaluation.metrics import accuracy, uar
from mmemo.faces import FaceFinder
from mmemo.files import check_file
from mmemo.labels import EKMAN7
from mmemo.training import image_augmentation as augment
from mmemo.training.loop import Schedule, fit

log = logging.getLogger("face_semi_supervised")
MARGIN = 1.25
"""Crops are kept larger than the network's input by this, so that turning and enlarging them loses little."""
UNLABELED = 3
"""Unlabeled images a step, for each labeled one."""


class Batch(NamedTuple):
    """The images of one step, each (·, 1, S, S), and the classes of the labeled ones."""

    labeled: torch.Tensor
    classes: torch.Tensor
    weak: torch.Tensor
    strong: torch.Tensor


def choose_labeled(label: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows of ``count`` images with the class shares of all; those of a smaller count are among those of a larger."""
    generator, place = np.random.default_rng(seed), np.empty(len(label))
    for each in np.unique(label):
        rows = np.flatnonzero(label == each)
        place[rows] = (generator.permutation(len(rows)) + 0.5) / len(rows)
    return np.argsort(place, kind="stable")[:count]


def read_faces(folder: Path, side: int) -> np.ndarray:
    """More unlabeled faces (N, side, side) uint8: the largest in each picture of a folder, aligned."""
    finder, crops = FaceFinder(), []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")):
        picture = cv2.imread(str(path))
        faces = finder.find(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)) if picture is not None else []
        crops += [cv2.cvtColor(face.crop, cv2.COLOR_RGB2GRAY) for face in faces[:1]]
    return shrink(np.stack(crops), side)


def shrink(gray: np.ndarray, side: int) -> np.ndarray:
    """Crops (N, S, S) uint8 at another size, by area interpolation."""
    return np.stack([cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in gray])


def place(crops: np.ndarray, size: int, generator: torch.Generator, strength: float) -> torch.Tensor:
    """Crops (N, S, S) uint8 as images (N, 1, size, size), turned, moved, enlarged and mirrored at random."""
    ratio = crops.shape[1] / size
    middle = torch.tensor([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2]])
    placements = augment.random_placements(
        middle.repeat(len(crops), 1, 1), size, generator, degrees=15 * strength, zoom=0.15 * strength, shift=0.06
    )
    return augment.sample(torch.from_numpy(crops).float()[:, None] / 255, placements, size)


def distort(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images with changed light, resolution and sharpness, noise, and a part covered."""
    images = augment.random_resolution(images, generator)
    images = augment.random_blur(images, generator)
    images = augment.random_tone(images, generator)
    images = augment.random_noise(images, generator)
    return augment.random_erase(images, generator, share=0.7)


def epoch_batches(
    labeled: np.ndarray, classes: np.ndarray, unlabeled: np.ndarray, *, size: int, batch: int, steps: int, seed: int
) -> Iterator[Batch]:
    """The augmented batches of one epoch.

    Args:
        labeled: (N, S, S) uint8.
        classes: (N,) int.
        unlabeled: (M, S, S) uint8; none for the labeled images alone.
        size: side of the images of the network.
        batch: labeled images a step.
        steps: number of batches.
        seed: a different one each epoch.
    """
    generator, more = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 2**32)
    for _ in range(steps):
        rows = torch.randint(len(labeled), (batch,), generator=generator).numpy()
        images = distort(place(labeled[rows], size, generator, 1.0), generator)
        weak = strong = images[:0]
        if len(unlabeled):  # from a generator of its own: both runs draw the same labeled images
            others = unlabeled[torch.randint(len(unlabeled), (UNLABELED * batch,), generator=more).numpy()]
            weak, strong = place(others, size, more, 0.3), distort(place(others, size, more, 1.0), more)
        yield Batch(images, torch.from_numpy(classes[rows]), weak, strong)


def fixmatch_loss(network: nn.Module, batch: Batch, threshold: float, shares: torch.Tensor | None) -> torch.Tensor:
    """Cross-entropy of the labeled images, and of strong views against the confident labels of the weak ones.

    Args:
        network: a `FaceNetwork`.
        batch: whose ``weak`` and ``strong`` may be empty.
        threshold: probability from which a label counts as confident.
        shares: of the classes, to which those of a batch's pseudo-labels are brought, or the frequent classes take over
            (distribution alignment, after Berthelot et al., ICLR 2020); None for none.
    """
    count = len(batch.labeled)
    logits = network(torch.cat([batch.labeled, batch.strong]))[1].float()
    loss = functional.cross_entropy(logits[:count], batch.classes)
    if not len(batch.weak):
        return loss
    with torch.no_grad():
        probability = network(batch.weak)[1].float().softmax(dim=1)
        if shares is not None:
            probability = probability * (shares / probability.mean(dim=0).clamp_min(1e-6))
            probability = probability / probability.sum(dim=1, keepdim=True)
        confidence, label = probability.max(dim=1)
    sure = (confidence >= threshold).float()
    return loss + (functional.cross_entropy(logits[count:], label, reduction="none") * sure).mean()


def main(
    data: Annotated[Path, typer.Argument(help="Folder with fer2013/.")],
    labels: Annotated[int, typer.Option(help="Labeled images, with the class shares of all.")] = 100,
    alone: Annotated[bool, typer.Option("--alone", help="Train on the labeled images alone.")] = False,
    more: Annotated[Path | None, typer.Option(help="Folder of pictures with more unlabeled faces.")] = None,
    crops: Annotated[Path, typer.Option(help="Crops of face_fer2013.py; made if they are not there.")] = Path(
        "~/.cache/mmemo/runs/face/crops.npz"
    ),
    run: Annotated[Path | None, typer.Option(help="Checkpoints and report; a run begun here is resumed.")] = None,
    epochs: Annotated[int, typer.Option(help="Of so many steps each.")] = 12,
    steps: Annotated[int, typer.Option(help="Batches an epoch.")] = 100,
    size: Annotated[int, typer.Option(help="Side of the images, in pixels.")] = 32,
    batch: Annotated[int, typer.Option(help="Labeled images a step; of the others three times as many.")] = 32,
    threshold: Annotated[float, typer.Option(help="Probability from which a label counts as confident.")] = 0.95,
    align: Annotated[bool, typer.Option(help="Bring pseudo-labels to the class shares of the labeled images.")] = True,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 2e-3,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.05,
    averaging: Annotated[float, typer.Option(help="Decay of the moving average of the weights.")] = 0.995,
    bfloat16: Annotated[bool, typer.Option(help="Faster on CPUs that have it, ten times slower on others.")] = False,
    seed: Annotated[int, typer.Option(help="Of the choice of labeled images, weights and augmentation.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that detect faces.")] = 2,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 1,
) -> None:
    """Train on few labels, with or without unlabeled faces, and measure on FER2013's PrivateTest."""
    settings = {name: value for name, value in locals().items() if isinstance(value, int | float)}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    name = f"{labels}-{'alone' if alone else 'fixmatch'}-{seed}"
    run = (run or Path("~/.cache/mmemo/runs/face_semi_supervised") / name).expanduser()
    run.mkdir(parents=True, exist_ok=True)
    check_file(run / "report.json")

    fer = read_fer(data / "fer2013")
    found, side = find_crops(fer.images, crops.expanduser(), workers).gray, round(size * MARGIN)
    training, validation, test = (fer.select(usage) for usage in ("Training", "PublicTest", "PrivateTest"))
    pool = shrink(found[training], side)
    chosen = choose_labeled(fer.label[training], labels, seed)
    classes = fer.label[training][chosen]
    unlabeled = pool[:0] if alone else pool
    if more is not None and not alone:
        unlabeled = np.concatenate([unlabeled, read_faces(more, side)])
    log.info("%d labeled, %d unlabeled", len(chosen), len(unlabeled))
    shares = torch.from_numpy(np.bincount(classes, minlength=len(EKMAN7)) / len(classes)).float() if align else None

    def logits(model: nn.Module, rows: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(gray_crops(np.repeat(found[rows][..., None], 3, axis=3), size))[:, None]
        with torch.inference_mode():
            return np.concatenate([model(chunk)[1].numpy() for chunk in images.split(256)])

    def validate(model: nn.Module) -> float:
        truth, predicted = fer.label[validation], logits(model, validation).argmax(axis=1)
        metrics = {"accuracy": accuracy(truth, predicted), "uar": uar(truth, predicted, len(EKMAN7))}
        log.info("validation %s", {name: round(value, 4) for name, value in metrics.items()})
        return float(np.mean(list(metrics.values())))

    def batches(epoch: int) -> Iterator[Batch]:
        drawn = seed * 1000 + epoch
        return epoch_batches(pool[chosen], classes, unlabeled, size=size, batch=batch, steps=steps, seed=drawn)

    network = FaceNetwork(FaceArchitecture(size=size, widths=(16, 32, 64), depths=(1, 1, 1)))
    schedule = Schedule(epochs, learning_rate, weight_decay, averaging=averaging, bfloat16=bfloat16)
    groups = decayed(network, weight_decay)
    best = fit(
        network, batches, steps, lambda model, part: fixmatch_loss(model, part, threshold, shares), validate, schedule,
        run, groups=groups,
    )  # fmt: skip
    report = {"settings": settings, "unlabeled": len(unlabeled)}
    for part, rows in (("validation", validation), ("test", test)):
        report[part] = scores(fer.label[rows], logits(best, rows))
    (run / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    log.info("%s", json.dumps(report))


if __name__ == "__main__":
    typer.run(main)
