"""Train a fusion head on any manifest of clips, with any encoders: what you run on your own corpus.

    pip install 'mmemo[train]'
    mmemo prepare crema_d FOLDER --out clips.jsonl
    python recipes/fusion_manifest.py clips.jsonl --run RUNS/mine --head stacked

Splits of the manifest are kept; without any, speakers are divided into train, val and test. Encodings are computed once
and kept in the run folder, so that another head or seed takes seconds to minutes. Temperatures are fitted on the
clips of ``val``, the head on ``train`` (it holds speakers out by itself where it must choose), ``test`` is looked at
once, at the end. ``mmemo.load_model("RUNS/mine/model")`` then serves ``mmemo.analyze(…, model=…)``.

Several machines or devices share the encoding: ``accelerate launch recipes/fusion_manifest.py …`` gives each
process its part of the clips to encode into the same cache, and the first one goes on alone.
"""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from accelerate import PartialState

from mmemo import EmotionModel, load_model
from mmemo.checkpoint import replacing_file
from mmemo.data import EncodedClips, FeatureCache, Manifest, encode
from mmemo.encoders.base import Encoding
from mmemo.errors import ManifestError
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.intervals import bootstrap
from mmemo.evaluation.metrics import accuracy, expected_calibration_error, macro_f1, uar
from mmemo.evaluation.reliance import reliance
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, RuleFusion
from mmemo.fusion.stacked import StackedFusion
from mmemo.probability import softmax

log = logging.getLogger("fusion_manifest")
Head = Literal["mean", "late", "gated", "stacked", "concat", "cross-attention"]
HEADS: dict[str, Any] = {
    "mean": RuleFusion,
    "late": LateFusion,
    "gated": GatedFusion,
    "stacked": StackedFusion,
    "concat": ConcatFusion,
    "cross-attention": CrossAttentionFusion,
}


def main(
    manifest: Annotated[Path, typer.Argument(help="a .jsonl or .csv manifest, labels as the encoders have them")],
    run: Annotated[Path, typer.Option(help="folder of cache, model, scores and results")],
    head: Annotated[Head, typer.Option(help="which head")] = "late",
    encoders: Annotated[str, typer.Option(help='"default", or a folder of a saved model')] = "default",
    modalities: Annotated[str, typer.Option(help="comma-separated")] = "face,voice,text",
    seed: Annotated[int, typer.Option(help="of everything random")] = 0,
    workers: Annotated[int, typer.Option(help="processes that read media")] = 0,
    draws: Annotated[int, typer.Option(help="resamplings of the speakers for the intervals")] = 2000,
    allow: Annotated[list[str] | None, typer.Option(help="codes of leaks between splits that are accepted")] = None,
) -> None:
    """Encode, calibrate, fit, measure once, save."""
    run.mkdir(parents=True, exist_ok=True)
    base = load_model(encoders, modalities=modalities.split(","))
    clips = Manifest.read(manifest, labels=base.labels).filter(lambda clip: clip.label is not None)
    if all(clip.split is None for clip in clips):
        clips = clips.split(by="speaker", seed=seed)
    clips.audit().refuse_leaks(allow or ())
    cache = FeatureCache(run / "features.sqlite")
    process = PartialState()
    with process.split_between_processes(list(range(len(clips)))) as part:
        mine = Manifest(tuple(clips[row] for row in part), clips.labels)
        encode(mine, list(base.encoders.values()), cache, workers=workers, on_error="leave out", tick=progress)
    process.wait_for_everyone()
    if not process.is_main_process:
        return
    parts = {
        split: some(encode(clips.part(split), list(base.encoders.values()), cache, on_error="leave out"))
        for split in ("train", "val", "test")
    }
    temperatures = {}
    for modality, one in parts["val"][0].items():
        known = one.present
        temperatures[modality] = fit_temperature(one.logits[known], parts["val"][1][known]) if known.any() else 1.0
    train, val, test = (
        ({modality: one.calibrated(temperatures[modality]) for modality, one in encodings.items()}, target, speakers)
        for encodings, target, speakers in parts.values()
    )
    fitted = HEADS[head].fit(base.labels, train[0], train[1], groups=train[2], seed=seed)
    model = EmotionModel(list(base.encoders.values()), fitted, temperatures, name=run.name)
    model.save(run / "model", info={"recipe": {"manifest": str(manifest), "head": head, "seed": seed}})

    encodings, target, speakers = test
    scores = {"fused": fitted.fuse(encodings)}
    scores |= {modality: softmax(one.logits.astype(float)) for modality, one in encodings.items() if one.present.any()}
    results: dict[str, Any] = {
        "config": {"manifest": str(manifest), "encoders": encoders, "head": head, "seed": seed, "git": git_state()},
        "clips": {split: len(part[1]) for split, part in parts.items()},
        "temperatures": temperatures,
        "validation": {"accuracy": accuracy(val[1], fitted.fuse(val[0]).argmax(axis=1))},
        "systems": {name: measure(one, target, speakers, len(base.labels), draws) for name, one in scores.items()},
    }
    with replacing_file(run / "scores.npz") as partial, partial.open("wb") as file:
        systems = {f"scores {name}": one for name, one in scores.items()}
        np.savez(file, target=target, speaker=speakers, labels=list(base.labels), **systems)
    with replacing_file(run / "results.json") as partial:
        partial.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print("| system | accuracy | UAR | macro-F1 | ECE |\n|---|---|---|---|---|")
    for name, one in results["systems"].items():
        print(f"| {name} | {one['accuracy']} | {one['uar']} | {one['macro_f1']} | {one['ece']:.3f} |")
    print(f"On {len(target)} test clips of {len(set(speakers))} speakers; an absent modality counts all classes alike.")
    if all(one.present.any() for one in encodings.values()):
        print(f"Where all modalities are there: {reliance(fitted, encodings, target)}")


def some(clips: EncodedClips) -> tuple[dict[str, Encoding], np.ndarray, np.ndarray]:
    """Encodings, targets and speakers of the clips in which any modality was found.

    Raises:
        ManifestError: if there are none.
    """
    for fault in clips.faults:
        log.warning("left out: %s", fault)
    encodings = clips.batch()
    kept = np.flatnonzero(np.any([one.present for one in encodings.values()], axis=0))
    if not len(kept):
        raise ManifestError(clips.manifest, ["no clip has any of the modalities asked for"])
    if len(kept) < len(clips.manifest):
        log.warning("%d clips have no modality at all and are left out", len(clips.manifest) - len(kept))
    speakers = np.array([clip.speaker or clip.id for clip in clips.manifest])
    return {modality: one.rows(kept) for modality, one in encodings.items()}, clips.target[kept], speakers[kept]


def measure(scores: np.ndarray, target: np.ndarray, speakers: np.ndarray, classes: int, draws: int) -> dict[str, Any]:
    """Figures with intervals over speakers, as text, and the calibration error."""
    said = scores.argmax(axis=1)
    metrics = {
        "accuracy": lambda rows: accuracy(target[rows], said[rows]),
        "uar": lambda rows: uar(target[rows], said[rows], classes),
        "macro_f1": lambda rows: macro_f1(target[rows], said[rows], classes),
    }
    figures = {
        name: str(bootstrap(metric, len(target), groups=speakers, draws=draws)) for name, metric in metrics.items()
    }
    return {**figures, "ece": expected_calibration_error(target, scores)}


def progress(done: int) -> None:
    """Says now and then how far the encoding is."""
    if done % 50 == 0:
        log.info("%d clips encoded", done)


def git_state() -> str:
    """The commit, with "+" if files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    typer.run(main)
