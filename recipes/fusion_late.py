"""Late fusion: calibrate the three encoders and learn the weight of each.

    python recipes/fusion_late.py --face RUNS/face --voice RUNS/voice --text RUNS/text --out mmemo/weights/fusion

The priors that a model divides out are those of the encoders' cards, in the folders beside ``--out``. The head is
fitted with the priors in: clips are put together with all labels equally often, and the temperatures that are best
without the priors differ by less than .06.

Reads ``val_logits.npz`` and ``test_logits.npz`` that the encoders' recipes leave in their run folders: logits (N, 7)
and targets (N, 7) of samples no encoder was trained on. Takes a minute.

No corpus here has face, voice and words of the same moment for all seven labels, so clips are put together: one face,
one voice and one text of the same label. That assumes the three are independent given the label. Real words often carry
no emotion ("kids are talking by the door"), so in a share of the clips the text is of a random label
instead. Both are assumptions; the scores measure the head on clips made the same way from test samples, not on films.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import expected_calibration_error, uar
from mmemo.files import check_folder
from mmemo.fusion.late import LateFusion, scores_only
from mmemo.labels import EKMAN7
from mmemo.model import KIND

log = logging.getLogger("fusion_late")


def main(
    face: Path, voice: Path, text: Path, out: Path, clips: int = 7000, text_agrees: float = 0.6, seed: int = 0
) -> None:
    """Fit on validation samples, measure on test samples, save.

    Args:
        face: run folder of the face recipe.
        voice: run folder of the voice recipe.
        text: run folder of the text recipe.
        out: folder of the fusion head.
        clips: how many clips are put together, the same number for each label.
        text_agrees: share of clips whose words have the clip's label; in the others they have a random one.
        seed: of the pairing.
    """
    folders = {"face": face, "voice": voice, "text": text}
    check_folder(out, [folder / "val_logits.npz" for folder in folders.values()])
    validation = {name: _read(folder / "val_logits.npz") for name, folder in folders.items()}
    temperatures = {name: fit_temperature(logits, target) for name, (logits, target) in validation.items()}
    for name, temperature in temperatures.items():
        log.info("%s: temperature %.3f", name, temperature)
    logits, target = _pair(validation, temperatures, clips, text_agrees, seed)
    head = LateFusion.fit(EKMAN7, {name: scores_only(one) for name, one in logits.items()}, target)
    log.info("weights %s, agreement %.3f", head.weights, head.agreement)

    test = {name: _read(folder / "test_logits.npz") for name, folder in folders.items()}
    logits, target = _pair(test, temperatures, clips, text_agrees, seed + 1)
    scores = {}
    for chosen in (
        ("face",),
        ("voice",),
        ("text",),
        ("face", "voice"),
        ("face", "text"),
        ("voice", "text"),
        tuple(folders),
    ):
        fused = head.fuse({name: scores_only(logits[name]) for name in chosen})
        predicted = fused.argmax(axis=1)
        interval = bootstrap(lambda rows, p=predicted: uar(target[rows], p[rows], len(EKMAN7)), len(target))
        error = expected_calibration_error(target, fused)
        scores["+".join(chosen)] = {"uar": interval.value, "low": interval.low, "high": interval.high, "ece": error}
        log.info("%-16s UAR %s  ECE %.3f", "+".join(chosen), interval, error)
    fusion, arrays = head.state()
    config = {
        "kind": KIND,
        "labels": EKMAN7.name,
        "encoders": {"face": "FaceEncoder", "voice": "VoiceEncoder", "text": "TextEncoder"},
        "temperatures": temperatures,
        "priors": {name: load_checkpoint(out.parent / name, f"{name}-encoder").config["prior"] for name in folders},
        "fusion": fusion,
        "recipe": {"clips": clips, "text_agrees": text_agrees, "seed": seed, "scores": scores},
    }
    save_checkpoint(out, config, arrays)


def _read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, 7) and the most voted label (N,); samples whose best label is tied are left out."""
    held = np.load(file)
    ranked = np.sort(held["target"], axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 1e-3
    return held["logits"][clear].astype(np.float64), held["target"][clear].argmax(axis=1)


def _pair(
    samples: dict[str, tuple[np.ndarray, np.ndarray]],
    temperatures: dict[str, float],
    clips: int,
    text_agrees: float,
    seed: int,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Clips of one face, one voice and one text each: calibrated logits by modality, and the clips' labels."""
    rng = np.random.default_rng(seed)
    target = np.resize(np.arange(len(EKMAN7)), clips)
    paired = {}
    for name, (logits, labels) in samples.items():
        wanted = target.copy()
        if name == "text":
            other = rng.random(clips) >= text_agrees
            wanted[other] = rng.choice(labels, int(other.sum()))
        members = [np.flatnonzero(labels == label) for label in range(len(EKMAN7))]
        rows = np.array([rng.choice(members[label]) for label in wanted])
        paired[name] = logits[rows] / temperatures[name]
    return paired, target


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for folder in ("face", "voice", "text"):
        parser.add_argument(f"--{folder}", type=Path, required=True, help=f"run folder of the {folder} recipe")
    parser.add_argument("--out", type=Path, required=True, help="folder of the fusion head")
    parser.add_argument("--clips", type=int, default=7000)
    parser.add_argument("--text-agrees", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
