"""Train face encoders that see movement, and measure the gain from time: the inflated network and the CNN-LSTM.

    pip install 'mmemo[train]'
    mmemo prepare ck48 CK+48 --out ck48.jsonl
    python recipes/face_sequence.py ck48.jsonl --frames 3 --out runs/face_sequence

The manifest names videos, or pictures of which those with the same ``extra["sequence"]`` are one sequence, in the order
of their names. Labels without a counterpart among the seven are left out. Splits are by speaker: each fifth of the
speakers is tested by networks trained on the others, and any leak in the audit is refused.

Each network is trained twice: on the frames in their order, and on the same frames separately, each as a clip of its
own. The two have the same parameters and the same pictures, so their difference is the gain from time, and not from
more training on the corpus.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from face_fer2013 import scores
from torch import nn
from torch.nn import functional

from mmemo import media
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.encoders.face.architecture import SequenceArchitecture
from mmemo.encoders.face.encoder import FaceEncoder, gray_crops
from mmemo.encoders.face.sequence import FaceSequenceEncoder
from mmemo.encoders.face.sequence_network import LstmNetwork, SequenceNetwork
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.metrics import accuracy, uar
from mmemo.faces import FaceFinder
from mmemo.files import check_folder
from mmemo.labels import EKMAN7, to_ekman7
from mmemo.training.export_onnx import export_classifier

log = logging.getLogger("face_sequence")


@dataclass(frozen=True, eq=False)
class Clips:
    """The faces of N clips, T frames each.

    Attributes:
        crops: (N, T, S, S) uint8, gray.
        label: (N,) int, in the order of EKMAN7.
        subject: (N,) str.
        corpus: (N,) str.
        fold: (N,) str, the one in which the clip is tested.
    """

    crops: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    corpus: np.ndarray
    fold: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Clips:
        return Clips(*(getattr(self, field.name)[rows] for field in fields(self)))


def read_clips(path: Path) -> Manifest:
    """Step 1: the clips with one of our labels."""
    manifest = Manifest.read(path)
    return manifest.map_labels(to_ekman7(manifest.labels)).filter(lambda clip: bool(clip.path and clip.label))


def sequences_of(clips: Manifest) -> list[list[Clip]]:
    """Each video by itself, and the pictures of each sequence together, in the order of their names."""
    sequences: dict[tuple[str | None, str], list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: str(clip.path)):
        sequences.setdefault((clip.corpus, clip.extra.get("sequence", clip.id)), []).append(clip)
    return list(sequences.values())


def read_pictures(sequence: Sequence[Clip], count: int) -> list[np.ndarray]:
    """Up to ``count`` pictures (H, W, 3) of a video or of a sequence of pictures, evenly spread over it."""
    if len(sequence) > 1:
        return [next(iter(media.frames(sequence[i].path))).image for i in _spread(len(sequence), count)]
    clip = sequence[0]
    side = media.MAX_SIDE
    frames = [frame.image for frame in media.frames(clip.path, start=clip.start, end=clip.end, max_side=side)]
    return [frames[i] for i in _spread(len(frames), count)] if frames else []


def _spread(length: int, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, count).round().astype(int))


def find_faces(clips: Manifest, count: int, run: Path) -> Clips:
    """Step 2: the largest face in ``count`` pictures of each sequence that has any; kept in ``run``."""
    sequences = sequences_of(clips)
    named = [[(clip.id, str(clip.path), clip.start, clip.end) for clip in sequence] for sequence in sequences]
    cache = run / f"faces_{hashlib.sha256(repr((named, count)).encode()).hexdigest()[:12]}.npz"
    if not cache.exists():
        finder, crops, kept = FaceFinder(), [], []
        for place, sequence in enumerate(sequences):
            detected = [faces[0].crop for image in read_pictures(sequence, count) if (faces := finder.find(image))]
            if detected:
                chosen = np.linspace(0, len(detected) - 1, count).round().astype(int)  # repeats some of few
                crops.append(np.stack([detected[i] for i in chosen]))
                kept.append(place)
        log.info("a face in %d of %d clips", len(kept), len(sequences))
        luma = (gray_crops(np.concatenate(crops), 112) * 255).round().astype(np.uint8)
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".partial.npz")
        np.savez(partial, crops=luma.reshape(len(kept), count, 112, 112), kept=np.array(kept))
        partial.replace(cache)
    saved = np.load(cache)
    firsts = [sequences[i][0] for i in saved["kept"]]
    return Clips(
        saved["crops"],
        np.array([EKMAN7.index(str(clip.label)) for clip in firsts]),
        np.array([str(clip.speaker) for clip in firsts]),
        np.array([clip.corpus or "" for clip in firsts]),
        np.array([clip.fold or "" for clip in firsts]),
    )


def inputs_of(clips: Clips, size: int) -> torch.Tensor:
    """(N, T, 1, S, S) float32, as the networks take them."""
    flat = np.repeat(clips.crops.reshape(-1, *clips.crops.shape[2:])[..., None], 3, axis=3)
    return torch.from_numpy(gray_crops(flat, size)).reshape(*clips.crops.shape[:2], 1, size, size)


def train(
    network: SequenceNetwork,
    clips: torch.Tensor,
    label: torch.Tensor,
    *,
    separate: bool,
    epochs: int,
    rate: float,
    seed: int,
) -> None:
    """Step 3: everything but the image network's convolutions; with ``separate`` each frame is a clip of its own."""
    torch.manual_seed(seed)
    for parameter in network.image.parameters():
        parameter.requires_grad_(False)
    for parameter in network.image.head.parameters():
        parameter.requires_grad_(True)
    views = [clips, clips.flip(4)]
    run: Callable[[torch.Tensor], torch.Tensor] = lambda part: network(part)[1]  # noqa: E731
    if isinstance(network, LstmNetwork):  # its image network is frozen: features are computed once
        with torch.no_grad():
            views = [network.image.features(view.flatten(0, 1)).unflatten(0, view.shape[:2]) for view in views]
        run = lambda part: network.follow(part)[1]  # noqa: E731
    if separate:
        views = [view.flatten(0, 1)[:, None] for view in views]
        label = label.repeat_interleave(clips.shape[1])
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=rate, weight_decay=0.01)
    batch = 32 * (clips.shape[1] if separate else 1)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(label)).split(batch):
            side = torch.rand(len(rows)) < 0.5
            part = torch.where(side.view(-1, *[1] * (views[0].ndim - 1)), views[0][rows], views[1][rows])
            logits = torch.log_softmax(run(part), dim=2).mean(dim=1)
            loss = functional.cross_entropy(logits, label[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    network.eval()


def predict(network: SequenceNetwork, clips: torch.Tensor, *, separate: bool = False) -> np.ndarray:
    """Log scores (N, 7): the mean over the frames and both mirror images."""
    parts = []
    with torch.inference_mode():
        for part in clips.split(32):
            for view in (part, part.flip(4)):
                frames = view.flatten(0, 1)[:, None] if separate else view
                logits = torch.log_softmax(network(frames)[1], dim=2)
                parts.append(logits.reshape(len(part), -1, logits.shape[-1]).mean(dim=1))
    pairs = [(first + second) / 2 for first, second in zip(parts[::2], parts[1::2], strict=True)]
    return torch.cat(pairs).numpy()


def gain(clips: Clips, without: np.ndarray, with_time: np.ndarray) -> dict[str, list[float]]:
    """The paired difference of two predictions with its bootstrap interval over speakers."""
    first, second = without.argmax(axis=1), with_time.argmax(axis=1)
    measures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "accuracy": accuracy,
        "uar": lambda true, predicted: uar(true, predicted, len(EKMAN7)),
    }
    result = {}
    for name, measure in measures.items():
        interval = bootstrap(
            lambda rows, m=measure: m(clips.label[rows], second[rows]) - m(clips.label[rows], first[rows]),
            len(clips.label),
            groups=clips.subject,
        )
        result[name] = [round(x, 4) for x in (interval.value, interval.low, interval.high)]
    return result


def report_of(clips: Clips, predictions: dict[str, np.ndarray]) -> dict[str, Any]:
    """Step 5: each network's scores, and its gain from time; intervals are over speakers."""
    report: dict[str, Any] = {name: scores(clips.label, logits, clips.subject) for name, logits in predictions.items()}
    for kind in ("lstm", "inflated"):
        report[f"time adds to {kind}"] = gain(clips, predictions[f"{kind}, frames apart"], predictions[kind])
    return report


def main(
    manifest: Annotated[Path, typer.Argument(help="A .jsonl or .csv manifest with labels and speakers.")],
    test: Annotated[list[Path] | None, typer.Option(help="More manifests, to measure on only.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the weights of both networks go; none are kept without.")
    ] = None,
    run: Annotated[Path, typer.Option(help="Crops and the report; a run begun here is resumed.")] = Path(
        "~/.cache/mmemo/runs/face_sequence"
    ),
    face: Annotated[Path, typer.Option(help="The image encoder to begin with.")] = Path("mmemo/weights/face"),
    frames: Annotated[int, typer.Option(help="Pictures of each clip.")] = 8,
    test_frames: Annotated[int, typer.Option(help="The same of the other manifests' clips.")] = 8,
    folds: Annotated[int, typer.Option(help="Parts the speakers are divided into.")] = 5,
    lstm_epochs: Annotated[int, typer.Option(help="Passes over the clips for the LSTM.")] = 30,
    lstm_rate: Annotated[float, typer.Option(help="Its learning rate.")] = 1e-3,
    inflated_epochs: Annotated[int, typer.Option(help="Passes over the clips for the inflated network.")] = 5,
    inflated_rate: Annotated[float, typer.Option(help="Its learning rate.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Of folds, weights and batches.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 1,
    allow: Annotated[list[str] | None, typer.Option(help="Codes of leaks between speakers that are accepted.")] = None,
) -> None:
    """Train the inflated network and the CNN-LSTM with splits by speaker, and report the gain from time."""
    settings = {name: value for name, value in locals().items() if isinstance(value, int | float)}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    run = run.expanduser()
    kinds: tuple[Literal["lstm", "inflated"], ...] = ("lstm", "inflated")
    for kind in kinds if out is not None else ():
        check_folder(out / kind, (face, run / "report.json"))
    encoder = FaceEncoder.load(face)
    epochs, rates = {"lstm": lstm_epochs, "inflated": inflated_epochs}, {"lstm": lstm_rate, "inflated": inflated_rate}

    def fit_network(kind: Literal["lstm", "inflated"], separate: bool, clips: Clips) -> FaceSequenceEncoder:
        torch.manual_seed(seed)
        sequence = FaceSequenceEncoder.inflate(encoder, SequenceArchitecture(kind=kind))
        inputs, label = inputs_of(clips, encoder.size), torch.from_numpy(clips.label)
        train(sequence.network, inputs, label, separate=separate, epochs=epochs[kind], rate=rates[kind], seed=seed)
        return sequence

    named = read_clips(manifest).folds(folds, by="speaker", seed=seed)
    named.audit(media="hashes").refuse_leaks(allow or ())
    clips = find_faces(named, frames, run)
    image = FaceSequenceEncoder.inflate(encoder, SequenceArchitecture(kind="lstm")).network
    out_of_fold = {"image network": predict(image, inputs_of(clips, encoder.size))}

    # Step 4: each fold's speakers are predicted by networks that were not trained on them.
    for fold in np.unique(clips.fold):
        tested = clips.fold == fold
        for kind in kinds:
            for separate in (True, False):
                name = f"{kind}, frames apart" if separate else kind
                network = fit_network(kind, separate, clips[~tested]).network
                scored = out_of_fold.setdefault(name, np.zeros((len(clips.label), len(EKMAN7)), np.float32))
                scored[tested] = predict(network, inputs_of(clips[tested], encoder.size), separate=separate)
        log.info("fold %s of %d", fold, folds)
    report: dict[str, Any] = {
        "clips": len(clips.label),
        "subjects": len(np.unique(clips.subject)),
        "folds": report_of(clips, out_of_fold),
        "tests": {},
    }

    ways = [(kind, separate) for kind in kinds for separate in (True, False)] if test else []
    final = {(kind, separate): fit_network(kind, separate, clips) for kind, separate in ways}
    for other in test or []:
        tested = find_faces(read_clips(other), test_frames, run)
        tested = tested[np.isin(tested.label, clips.label)]  # labels that are not in training can't be predicted
        inputs = inputs_of(tested, encoder.size)
        predictions = {"image network": predict(image, inputs)}
        for (kind, separate), sequence in final.items():
            name = f"{kind}, frames apart" if separate else kind
            predictions[name] = predict(sequence.network, inputs, separate=separate)
        measured = report["tests"][str(other)] = {"all": report_of(tested, predictions)}
        for corpus in np.unique(tested.corpus):
            rows = tested.corpus == corpus
            label = tested.label[rows]
            measured[str(corpus)] = {
                "clips": int(rows.sum()),
                "right": {name: int((one[rows].argmax(1) == label).sum()) for name, one in predictions.items()},
            }
    (run / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    log.info("%s", json.dumps(report, indent=1))
    if out is not None:
        for kind in kinds:
            sequence = final[kind, False] if final else fit_network(kind, False, clips)
            sequence.card = {
                "recipe": "recipes/face_sequence.py",
                "training": settings,
                "scores": report["folds"][kind],
            }
            export_classifier(sequence, out / kind)


if __name__ == "__main__":
    typer.run(main)
