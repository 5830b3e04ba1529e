"""Train fusion heads on any manifest of clips, with any encoders: what you run on your own corpus.

    pip install 'mmemo[train]'
    mmemo prepare crema_d FOLDER --out clips.jsonl
    python recipes/fusion_manifest.py clips.jsonl --run RUNS/mine --head late,stacked,gated

Splits of the manifest are kept; without any, speakers are divided into train, val and test. Encodings are computed once
and kept in the run folder, so that another head or seed takes seconds to minutes. Temperatures are fitted on the
clips of ``val``, the heads on ``train`` (they hold speakers out by themselves where they must choose), the head with
the least log loss on ``val`` becomes the model, ``test`` is looked at once, at the end.

Where the clips have other labels than the encoders, and mmemo has no mapping, or with ``--refit``, each encoder gets a
linear probe of your labels, fitted on ``train``; the heads then learn from scores of probes that did not see the
speaker.

``mmemo.load_model("RUNS/mine")`` then serves ``mmemo.analyze(…, model=…)``; ``mmemo compare RUNS/mine`` shows the
held-out scores, also beside those of other runs.

Several machines or devices share the work: ``accelerate launch recipes/fusion_manifest.py …`` gives each process its
part of the clips to encode into the same cache, and the networks among the heads are trained by all together. On
processors alone start ``torchrun --standalone --nproc_per_node 2 -- recipes/fusion_manifest.py …``.
"""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from accelerate import PartialState
from rich.console import Console

import mmemo
from mmemo import EmotionModel, load_model
from mmemo.comparison.answers import Answers
from mmemo.comparison.asking import groups_of, subsets
from mmemo.comparison.compare import compared
from mmemo.comparison.run_folder import write_run
from mmemo.data import EncodedClips, FeatureCache, Manifest, encode
from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.probe import LinearProbe
from mmemo.encoders.probed import ProbedEncoder, mean_tokens
from mmemo.errors import ArgumentError, ManifestError, expected_one_of
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import accuracy, negative_log_likelihood
from mmemo.evaluation.reliance import reliance
from mmemo.files import check_folder, make_folder, replacing_file
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, RuleFusion
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import LabelSet, find_mapping

log = logging.getLogger("fusion_manifest")
HEADS: dict[str, Any] = {
    "mean": RuleFusion.fit,
    "max": partial(RuleFusion.fit, rule="max"),
    "late": LateFusion.fit,
    "late per class": partial(LateFusion.fit, per_class=True),
    "gated": GatedFusion.fit,
    "stacked": StackedFusion.fit,
    "boosted": partial(StackedFusion.fit, learner="boosting"),
    "concat": ConcatFusion.fit,
    "cross-attention": CrossAttentionFusion.fit,
}


@dataclass(frozen=True)
class Part:
    """The clips of one split in which any modality was found."""

    ids: np.ndarray
    encodings: dict[str, Encoding]
    target: np.ndarray
    groups: dict[str, np.ndarray]

    def only(self, modalities: list[str]) -> Part:
        """Some modalities, and the clips that have any of them."""
        encodings = {modality: self.encodings[modality] for modality in modalities}
        kept = np.flatnonzero(np.any([one.present for one in encodings.values()], axis=0))
        rows = {modality: one.rows(kept) for modality, one in encodings.items()}
        groups = {name: one[kept] for name, one in self.groups.items()}
        return Part(self.ids[kept], rows, self.target[kept], groups)

    @property
    def speakers(self) -> np.ndarray:
        """Who speaks; a clip of which that is not known stands for itself."""
        known = self.groups.get("speaker", np.full(len(self.ids), ""))
        return np.where(known == "", self.ids, known)


def main(
    manifest: Annotated[Path, typer.Argument(help="a .jsonl or .csv manifest")],
    run: Annotated[Path, typer.Option(help="folder of cache, model, scores and results")],
    head: Annotated[str, typer.Option(help='which heads, comma-separated, or "all"')] = "late",
    encoders: Annotated[str, typer.Option(help='"default", or a folder of a saved model')] = "default",
    modalities: Annotated[str, typer.Option(help="comma-separated")] = "face,voice,text",
    refit: Annotated[bool, typer.Option("--refit", help="fit the encoders' classifiers on the clips, too")] = False,
    seed: Annotated[int, typer.Option(help="of everything random")] = 0,
    workers: Annotated[int, typer.Option(help="processes that read media")] = 0,
    draws: Annotated[int, typer.Option(help="resamplings of the speakers for the intervals")] = 10_000,
    allow: Annotated[list[str] | None, typer.Option(help="codes of leaks between splits that are accepted")] = None,
) -> None:
    """Encode, calibrate, fit, choose, measure once, save."""
    config = {name: str(value) if isinstance(value, Path) else value for name, value in locals().items()}
    heads = list(HEADS) if head == "all" else [name.strip() for name in head.split(",")]
    for name in heads:
        if name not in HEADS:
            raise ArgumentError(expected_one_of("Head", [*HEADS, "all"], name))
    make_folder(run)
    check_folder(run / "model", (manifest, encoders))
    base = load_model(encoders, modalities=modalities.split(","))
    clips, refit = labelled(manifest, base.labels, refit)
    if all(clip.split is None for clip in clips):
        clips = clips.split(by="speaker", seed=seed)
    clips.audit().refuse_leaks(allow or ())
    cache = FeatureCache(run / "features.sqlite")
    process = PartialState(cpu=not torch.cuda.is_available())
    with process.split_between_processes(list(range(len(clips)))) as part:
        mine = Manifest(tuple(clips[row] for row in part), clips.labels)
        encode(mine, list(base.encoders.values()), cache, workers=workers, on_error="leave out", tick=progress)
    process.wait_for_everyone()
    train, val, test = (
        found(encode(clips.part(split), list(base.encoders.values()), cache, on_error="leave out"))
        for split in ("train", "val", "test")
    )
    own: list[Encoder] = [e for e in base.encoders.values() if train.encodings[e.modality].present.any()]
    train, val, test = (part.only([encoder.modality for encoder in own]) for part in (train, val, test))
    if refit:
        own, (train, val, test) = probed(own, clips.labels, train, val, test)
    temperatures = {}
    for modality, one in val.encodings.items():
        known = one.present
        temperatures[modality] = fit_temperature(one.logits[known], val.target[known]) if known.any() else 1.0
    train, val, test = (calibrated(part, temperatures) for part in (train, val, test))

    models, validation = {}, {}
    for name in heads:  # in every process: together they train the networks among them
        fitted = HEADS[name](clips.labels, train.encodings, train.target, groups=train.speakers, seed=seed)
        models[name] = EmotionModel(own, fitted, temperatures, name=run.name)
        scores = fitted.fuse(val.encodings)
        validation[name] = {
            "nll": negative_log_likelihood(val.target, scores),
            "accuracy": accuracy(val.target, scores.argmax(axis=1)),
        }
    if not process.is_main_process:
        return
    best = min(validation, key=lambda name: validation[name]["nll"])
    config |= {"refit": refit, "git": git_state(), "mmemo": mmemo.__version__, "chosen": best}
    models[best].save(run / "model", info={"recipe": config})

    answers = ask_all(models, best, test)
    write_run(run, answers, fitted_on=[*train.ids.tolist(), *val.ids.tolist()])
    compared_on_test = compared(answers, run.name, draws=draws, seed=seed)
    results: dict[str, Any] = {
        "config": config,
        "clips of": {"train": len(train.ids), "val": len(val.ids), "test": len(test.ids)},
        "temperatures": temperatures,
        "validation": validation,
        **compared_on_test.to_dict(),
    }
    with replacing_file(run / "results.json") as partial_file:
        partial_file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    Console(highlight=False).print(compared_on_test.to_table())
    if all(one.present.any() for one in test.encodings.values()):
        print(f"{best}, where all modalities are there: {reliance(models[best].fusion, test.encodings, test.target)}")


def labelled(path: Path, labels: LabelSet, refit: bool) -> tuple[Manifest, bool]:
    """The clips that have a label, and whether the encoders must learn it first."""
    clips = Manifest.read(path).filter(lambda clip: clip.label is not None)
    if refit or clips.labels == labels:
        return clips, refit
    if all(clip.label in labels.labels for clip in clips):
        return Manifest(clips.clips, labels), False
    mapping = find_mapping(clips.labels, labels)
    if mapping is None:
        log.warning("the encoders don't know the labels %s: each gets a probe of its own", list(clips.labels))
        return clips, True
    log.warning("labels of %s are mapped to %s. %s", mapping.source.name, mapping.target.name, mapping.loses)
    return clips.map_labels(mapping), False


def found(clips: EncodedClips) -> Part:
    """The clips in which any modality was found.

    Raises:
        ManifestError: if there are none.
    """
    for fault in clips.faults:
        log.warning("left out: %s", fault)
    encodings = clips.batch()
    for modality, one in encodings.items():
        if not one.present.any():
            log.warning("no clip has any %s; without it in training it is left out of the model", modality)
    kept = np.flatnonzero(np.any([one.present for one in encodings.values()], axis=0))
    if not len(kept):
        raise ManifestError(clips.manifest, ["no clip has any of the modalities asked for"])
    if len(kept) < len(clips.manifest):
        log.warning("%d clips have no modality at all and are left out", len(clips.manifest) - len(kept))
    ids = np.array([clips.manifest[int(row)].id for row in kept])
    rows = {modality: one.rows(kept) for modality, one in encodings.items()}
    return Part(ids, rows, clips.target[kept], groups_of(clips, kept))


def probed(
    encoders: list[Encoder], labels: LabelSet, train: Part, val: Part, test: Part
) -> tuple[list[Encoder], tuple[Part, Part, Part]]:
    """Encoders with a probe of these labels. Training clips get scores of probes that did not see their speaker."""
    own: list[Encoder] = []
    parts = [dict(part.encodings) for part in (train, val, test)]
    for encoder in encoders:
        modality = encoder.modality
        there = parts[0][modality].present
        features = mean_tokens(parts[0][modality])[there]
        probe, held_out = LinearProbe.cross_fit(
            features, train.target[there], len(labels), groups=train.speakers[there]
        )
        own.append(ProbedEncoder(encoder, probe, labels))
        for number, part in enumerate(parts):
            logits = probe.logits(mean_tokens(part[modality])).astype(np.float32)
            if number == 0:
                logits[there] = held_out
            part[modality] = replace(part[modality], logits=logits)
    return own, tuple(replace(part, encodings=of) for part, of in zip((train, val, test), parts, strict=True))  # type: ignore[return-value]


def calibrated(part: Part, temperatures: Mapping[str, float]) -> Part:
    """With logits divided by the temperatures."""
    return replace(part, encodings={m: one.calibrated(temperatures[m]) for m, one in part.encodings.items()})


def ask_all(models: Mapping[str, EmotionModel], best: str, part: Part) -> Answers:
    """Each modality alone, the subsets by the chosen head, and all together by every head."""
    encodings = {modality: one for modality, one in part.encodings.items() if one.present.any()}
    scores, removed = subsets(models[best], encodings)
    whole = " + ".join(m for m in models[best].modalities if m in encodings)
    if len(encodings) > 1:
        del scores[whole], removed[whole]
        for name, model in models.items():
            of_scores, of_removed = subsets(model, encodings)
            scores[name], removed[name] = of_scores[whole], of_removed[whole]
    labels = tuple(models[best].labels)
    return Answers(labels, part.ids, part.target, scores, removed, part.groups)


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
