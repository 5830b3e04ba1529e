"""Fusion on RAVDESS: face action units and voice, every head, five published subject-wise folds, eight classes.

    pip install 'mmemo[train]'
    python recipes/fusion_ravdess.py DATA --run RUNS/ravdess

DATA holds ``voice/ravdess`` (the speech of RAVDESS) and ``av/ravdess_features``, ``av/ravdess_static`` (two sets of
OpenFace action units of the same takes, means over each clip). The first call encodes the voices (frozen encoder of
Whisper tiny.en; cached in the run folder); what follows needs the cache only.

In every fold regularisation, temperatures, the heads' weights and epochs are chosen among the actors trained on, by
holding some of them out. The experts' log scores that a head learns from are made by experts that did not see those
actors. Not nested is the choice of the features themselves (all four layers of the voice's encoder, the square root of
both sets of action units): it was made once, after a look at the same folds, so the figures are slightly optimistic.

``mmemo.load_model("RUNS/ravdess")`` then serves the head of ``--serve``, fitted on all actors: ``mmemo.analyze`` takes
it with ``window=10, hop=10``, as it was trained on whole clips. For clips that are not of RAVDESS add such values to
``model.encoders["action-units"].units``; without them the voice stands alone.

Accuracy out of fold, 95% interval over actors: face .660 [.614, .704], voice .748 [.707, .787], late fusion .868
[.823, .908]. Minutes: 3 from the cache, on two cores.
"""

from __future__ import annotations

import csv
import json
import logging
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits

from mmemo import EmotionModel
from mmemo.comparison.answers import Answers, Removed
from mmemo.comparison.compare import compared
from mmemo.comparison.run_folder import write_run
from mmemo.comparison.tables import said
from mmemo.data import FeatureCache, Manifest, encode
from mmemo.data.corpora.ravdess import LUNA_FOLDS, read
from mmemo.encoders.action_units import ActionUnitEncoder, ActionUnits
from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.probe import LinearProbe
from mmemo.encoders.probed import ProbedEncoder, mean_tokens
from mmemo.encoders.whisper_layers import CHUNK, LAYERS, WhisperLayersEncoder
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import accuracy, expected_calibration_error
from mmemo.evaluation.reliance import Reliance, reliance
from mmemo.files import check_folder, make_folder, replacing_file
from mmemo.fusion.base import FittableHead
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, RuleFusion
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import RAVDESS8
from mmemo.probability import softmax

log = logging.getLogger("fusion_ravdess")
UNITS = "av/ravdess_features/data/trainingData/avg_MLP80_AUs/data_AUs_avg/df_average_AUs_total.csv"
STATIC = "av/ravdess_static/au_static.csv"
UNITS_SERVED = "action-units"
STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""Values of C that each expert's regression chooses from, in every fold, on actors held out."""
Fit = Callable[..., FittableHead]
HEADS: dict[str, Fit] = {
    "mean": lambda *given, **more: RuleFusion.fit(*given, rule="mean", **more),
    "max": lambda *given, **more: RuleFusion.fit(*given, rule="max", **more),
    "late": LateFusion.fit,
    "late per class": lambda *given, **more: LateFusion.fit(*given, per_class=True, **more),
    "gated": GatedFusion.fit,
    "stacked": StackedFusion.fit,
    "boosted": lambda *given, **more: StackedFusion.fit(*given, learner="boosting", **more),
    "concat": ConcatFusion.fit,
    "cross-attention": CrossAttentionFusion.fit,
}


def main(
    data: Annotated[Path, typer.Argument(help="folder with voice/ and av/")],
    run: Annotated[Path, typer.Option(help="folder of cache, scores and results")],
    heads: Annotated[list[str] | None, typer.Option(help="only these heads; all by default")] = None,
    serve: Annotated[str, typer.Option(help="head of the model that is fitted on all actors and saved")] = "late",
    draws: Annotated[int, typer.Option(help="resamplings of the actors for the intervals")] = 10_000,
    seed: Annotated[int, typer.Option(help="of everything random")] = 0,
    workers: Annotated[int, typer.Option(help="folds at once, one thread each")] = 2,
) -> None:
    """Encode once, cross-validate every head, write ``scores.npz`` and ``results.json``, print a table."""
    start = time.monotonic()
    make_folder(run)
    check_folder(run / "model")
    # Two sentences that all actors say in all emotions: the words are not looked at.
    manifest = read(data / "voice/ravdess").manifest.update(lambda _: {"text": None}).with_folds(LUNA_FOLDS)
    manifest.audit(media="hashes").refuse_leaks()
    face, voice = encoders_of(manifest, data)
    encodings = encode_all(manifest, face, voice, run / "features.sqlite")
    ready = time.monotonic()
    target = np.array([RAVDESS8.index(str(clip.label)) for clip in manifest])
    actors = np.array([clip.speaker for clip in manifest])
    folds = np.array([clip.fold for clip in manifest])
    held_out, reliances, before = cross_validate(encodings, target, actors, folds, heads or list(HEADS), seed, workers)
    took = {"encoding": ready - start, "folds": time.monotonic() - ready}
    groups = {"speaker": actors, "gender": np.array([clip.gender for clip in manifest])}
    answers = Answers(
        tuple(RAVDESS8), np.array([clip.id for clip in manifest]), target, held_out.scores, held_out.removed, groups
    )
    write_run(run, answers, fitted_on=answers.ids.tolist())  # the model that is served, not those behind these scores
    model = fit_all(encodings, face, voice, target, actors, serve, seed)
    model.save(run / "model", info={"recipe": {"data": str(data), "head": serve, "seed": seed, "git": git_state()}})
    found = compared(answers, "RAVDESS, out of fold", draws=draws, seed=seed)
    config = {"data": str(data), "seed": seed, "draws": draws, "layers": LAYERS, "chunk": CHUNK, "git": git_state()}
    with replacing_file(run / "results.json") as partial:
        report = {
            "config": config,
            "seconds": took,
            "ece before calibration": {m: expected_calibration_error(target, one) for m, one in before.items()},
            "reliance": {name: [asdict(one) for one in of] for name, of in reliances.items()},
            **found.to_dict(),
        }
        partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(found.to_markdown())
    print(reliance_table(reliances, held_out, target))
    print(f"{len(target)} clips of {len(set(actors))} actors, {took['encoding']:.0f} + {took['folds']:.0f} s")


def encoders_of(manifest: Manifest, data: Path) -> tuple[ActionUnitEncoder, WhisperLayersEncoder]:
    """Face and voice, neither with scores of its own yet."""
    units = action_units(data, [str(clip.path and clip.path.stem) for clip in manifest])
    return ActionUnitEncoder(units, RAVDESS8), WhisperLayersEncoder(RAVDESS8)


def encode_all(
    manifest: Manifest, face: ActionUnitEncoder, voice: WhisperLayersEncoder, cache: Path
) -> dict[str, Encoding]:
    """Face and voice of every clip; a modality that was not found is absent in its row."""
    seen = encode(manifest, [face])
    heard = encode(manifest, [voice], FeatureCache(cache), tick=progress(len(manifest)))
    return {**seen.batch(), **heard.batch()}


def action_units(data: Path, stems: Sequence[str]) -> dict[str, ActionUnits]:
    """Both sets of action units side by side, by the name of the voice's file: 03-… is the sound of the take 01-…."""
    with (data / UNITS).open(newline="") as file:
        mean = {row["name"]: row for row in csv.DictReader(file, delimiter=";")}
    with (data / STATIC).open(newline="") as file:
        static = {row["id"]: row for row in csv.DictReader(file)}
    found = {}
    for stem in stems:
        take = f"01-{stem.partition('-')[2]}"
        values = [float(value) for name, value in mean[take].items() if name.startswith("AU")]
        values += [float(value) for name, value in static[take].items() if name != "id"]
        found[stem] = ActionUnits(np.zeros(1), np.array([values], np.float32))
    return found


def progress(clips: int) -> Callable[[int], None]:
    """Says now and then how far the encoding is."""
    return lambda done: log.info("%d of %d clips encoded", done, clips) if done % 100 == 0 else None


@dataclass
class HeldOut:
    """Scores (N, K) of each expert and head on clips none of them saw, and each head's with a modality taken away."""

    scores: dict[str, np.ndarray] = field(default_factory=dict)
    removed: dict[str, dict[Removed, np.ndarray]] = field(default_factory=dict)

    def put(self, rows: np.ndarray, part: HeldOut, clips: int) -> None:
        """Put the scores of one fold's clips into those of all."""
        place(self.scores, rows, part.scores, clips)
        for name, of in part.removed.items():
            place(self.removed.setdefault(name, {}), rows, of, clips)


def place(into: dict[Any, np.ndarray], rows: np.ndarray, found: Mapping[Any, np.ndarray], clips: int) -> None:
    """Write some rows of each array."""
    for name, one in found.items():
        into.setdefault(name, np.full((clips, len(RAVDESS8)), np.nan))[rows] = one


def cross_validate(
    encodings: Mapping[str, Encoding],
    target: np.ndarray,
    actors: np.ndarray,
    folds: np.ndarray,
    heads: Sequence[str],
    seed: int,
    workers: int,
) -> tuple[HeldOut, dict[str, list[Reliance]], dict[str, np.ndarray]]:
    """Out-of-fold scores of each expert and head; what each head relies on; the experts before calibration."""
    held_out, before = HeldOut(), HeldOut()
    reliances: dict[str, list[Reliance]] = {name: [] for name in heads}
    tests = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(validate, encodings, target, actors, test, heads, seed) for test in tests]
        for test, job in zip(tests, jobs, strict=True):
            found, of_heads, of_experts = job.result()
            held_out.put(test, found, len(target))
            before.put(test, HeldOut(of_experts), len(target))
            for name, one in of_heads.items():
                reliances[name].append(one)
                log.info("actors %s, %s: %s", sorted(set(actors[test])), name, one)
    return held_out, reliances, before.scores


def validate(
    encodings: Mapping[str, Encoding],
    target: np.ndarray,
    actors: np.ndarray,
    test: np.ndarray,
    heads: Sequence[str],
    seed: int,
) -> tuple[HeldOut, dict[str, Reliance], dict[str, np.ndarray]]:
    """One fold: everything is fitted on the other actors' clips; scores are of the clips ``test``."""
    torch.set_num_threads(1)
    train = np.setdiff1d(np.arange(len(target)), test)
    found, reliances, before, known, unknown = HeldOut(), {}, {}, {}, {}
    # A clip in which nothing is left to look at: all classes alike, which is no answer.
    nothing = np.full((len(test), len(RAVDESS8)), 1 / len(RAVDESS8))
    with threadpool_limits(1):
        for modality, encoding in encodings.items():
            known[modality], unknown[modality], raw = expert(encoding, train, test, target, actors)
            found.scores[modality] = softmax(unknown[modality].logits.astype(float))
            found.removed[modality] = {(modality,): nothing}
            before[modality] = softmax(raw)
        for name in heads:
            head = HEADS[name](RAVDESS8, known, target[train], groups=actors[train], seed=seed)
            found.scores[name] = head.fuse(unknown)
            found.removed[name] = {tuple(sorted(unknown)): nothing}
            for removed in encodings:
                rest = {modality: one for modality, one in unknown.items() if modality != removed}
                left = np.any([one.present for one in rest.values()], axis=0)
                alone = nothing.copy()
                alone[left] = head.fuse({modality: one.rows(left) for modality, one in rest.items()})
                found.removed[name][removed,] = alone
            reliances[name] = reliance(head, unknown, target[test])
    return found, reliances, before


def expert(
    encoding: Encoding, train: np.ndarray, test: np.ndarray, target: np.ndarray, actors: np.ndarray
) -> tuple[Encoding, Encoding, np.ndarray]:
    """One modality's probe and temperature: calibrated encodings of training clips (log scores by probes that did not
    see the actor) and of test clips; and the latter's logits before calibration.
    """
    pooled = mean_tokens(encoding)
    probe, temperature, held_out = fit_expert(encoding, train, target, actors)
    logits = np.zeros((len(encoding), len(RAVDESS8)))
    logits[train] = held_out
    seen = test[encoding.present[test]]  # where it is absent, an expert has nothing to say: all classes alike
    logits[seen] = probe.logits(pooled[seen])
    told = replace(encoding, logits=logits.astype(np.float32)).calibrated(temperature)
    return told.rows(train), told.rows(test), logits[test]


def fit_expert(
    encoding: Encoding, train: np.ndarray, target: np.ndarray, actors: np.ndarray
) -> tuple[LinearProbe, float, np.ndarray]:
    """A probe on one modality's mean tokens, its temperature, and log scores (N, K) of the clips ``train`` by probes
    that did not see the actor.
    """
    there = encoding.present[train]
    rows = train[there]
    probe, held_out = LinearProbe.cross_fit(
        mean_tokens(encoding.rows(rows)), target[rows], len(RAVDESS8), groups=actors[rows], strengths=STRENGTHS
    )
    logits = np.zeros((len(train), len(RAVDESS8)))
    logits[there] = held_out
    return probe, fit_temperature(held_out, target[rows]), logits


def fit_all(
    encodings: Mapping[str, Encoding],
    face: ActionUnitEncoder,
    voice: WhisperLayersEncoder,
    target: np.ndarray,
    actors: np.ndarray,
    head: str,
    seed: int,
) -> EmotionModel:
    """The model to serve: probes, temperatures and one head, of all actors. Its windows should be whole clips."""
    everyone = np.arange(len(target))
    probes, temperatures, known = {}, {}, {}
    # The units come from a file and need no picture, so they are a modality of their own where they are served.
    for modality, encoding in ((UNITS_SERVED, encodings["face"]), ("voice", encodings["voice"])):
        probes[modality], temperatures[modality], logits = fit_expert(encoding, everyone, target, actors)
        known[modality] = replace(encoding, logits=logits.astype(np.float32)).calibrated(temperatures[modality])
    fitted = HEADS[head](RAVDESS8, known, target, groups=actors, seed=seed)
    own: list[Encoder] = [
        ActionUnitEncoder(face.units, RAVDESS8, probes[UNITS_SERVED], UNITS_SERVED),
        ProbedEncoder(voice, probes["voice"], RAVDESS8),
    ]
    return EmotionModel(own, fitted, temperatures, name="ravdess")


def reliance_table(reliances: Mapping[str, Sequence[Reliance]], held_out: HeldOut, target: np.ndarray) -> str:
    """Markdown: how much each modality counts in each head, and the accuracy with one taken away."""
    modalities = sorted(next(iter(reliances.values()))[0].shares) if reliances else []
    head = [f"share of {one}" for one in modalities] + [f"accuracy without {one}" for one in modalities]
    lines = ["| head | " + " | ".join(head) + " |", "|---" * (1 + len(head)) + "|"]
    for name, of in reliances.items():
        row = [f"{np.mean([found.shares[one] for found in of]):.2f}" for one in modalities]
        row += [f"{accuracy(target, said(held_out.removed[name][one,])):.3f}" for one in modalities]
        lines.append("| " + " | ".join([name, *row]) + " |")
    return "\n".join(lines)


def git_state() -> str:
    """The commit, with "+" if files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    typer.run(main)
