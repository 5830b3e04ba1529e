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
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits

from mmemo.checkpoint import replacing_file
from mmemo.data import FeatureCache, Manifest, encode
from mmemo.data.corpora.ravdess import LUNA_FOLDS, read
from mmemo.encoders.action_units import ActionUnitEncoder, ActionUnits
from mmemo.encoders.base import Encoding
from mmemo.encoders.probe import LinearProbe
from mmemo.encoders.voice_network import LogMel
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.intervals import Interval, bootstrap
from mmemo.evaluation.metrics import expected_calibration_error, negative_log_likelihood, uar
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
from mmemo.training.whisper_weights import find_whisper, whisper_encoder

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
    "concat": ConcatFusion.fit,
    "cross-attention": CrossAttentionFusion.fit,
}


class WhisperEar:
    """The frozen encoder of Whisper: for each half second the mean and the deviation of each layer's values."""

    modality = "voice"
    labels = RAVDESS8

    def __init__(self, weights: Path) -> None:
        self.network = whisper_encoder(weights).eval()
        self.spectrum = LogMel(self.network.architecture.num_mel_bins)
        self.dim = len(LAYERS) * 2 * self.network.architecture.d_model
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
        hidden = self.network(self.spectrum(torch.from_numpy(waveform.copy())[None]), None)
        values = torch.cat([hidden[layer][0] for layer in LAYERS], dim=1)
        # A rest shorter than half a token joins the last whole one.
        chunks = values.tensor_split(max(1, round(len(values) / CHUNK)))
        parts = [torch.stack([chunk.mean(dim=0), chunk.std(dim=0, correction=0)]) for chunk in chunks]
        width = self.network.architecture.d_model
        # (2, L * W) -> layer by layer: mean, deviation.
        ordered = [part.view(2, len(LAYERS), width).transpose(0, 1).reshape(-1) for part in parts]
        return torch.stack(ordered).numpy()


def main(
    data: Annotated[Path, typer.Argument(help="folder with voice/ and av/")],
    run: Annotated[Path, typer.Option(help="folder of cache, scores and results")],
    heads: Annotated[list[str] | None, typer.Option(help="only these heads; all by default")] = None,
    draws: Annotated[int, typer.Option(help="resamplings of the actors for the intervals")] = 2000,
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
    scores, reliances, before = cross_validate(encodings, target, actors, folds, heads or list(HEADS), seed, workers)
    took = {"encoding": ready - start, "folds": time.monotonic() - ready}
    results = measure(scores, reliances, before, target, actors, draws)
    with replacing_file(run / "scores.npz") as partial, partial.open("wb") as file:
        # Out of fold: each row is of a model that did not see its actor. What `mmemo compare` compares.
        known = {"ids": [clip.id for clip in manifest], "target": target, "speaker": actors, "fold": folds}
        systems = {f"scores {name}": one for name, one in scores.items()}
        np.savez(file, labels=list(RAVDESS8), **known, **systems)
    config = {"data": str(data), "seed": seed, "draws": draws, "layers": LAYERS, "chunk": CHUNK, "git": git_state()}
    with replacing_file(run / "results.json") as partial:
        report = {"config": config, "clips": len(target), "seconds": took, "systems": results}
        partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(results))
    print(f"{len(target)} clips of {len(set(actors))} actors, {took['encoding']:.0f} + {took['folds']:.0f} s")


def encode_all(manifest: Manifest, data: Path, cache: Path) -> dict[str, Encoding]:
    """Face and voice of every clip; a modality that was not found is absent in its row."""
    face = ActionUnitEncoder(action_units(data, [str(clip.path and clip.path.stem) for clip in manifest]), RAVDESS8)
    seen = encode(manifest, [face])
    heard = encode(manifest, [WhisperEar(find_whisper())], FeatureCache(cache), tick=progress(len(manifest)))
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


def cross_validate(
    encodings: Mapping[str, Encoding],
    target: np.ndarray,
    actors: np.ndarray,
    folds: np.ndarray,
    heads: Sequence[str],
    seed: int,
    workers: int,
) -> tuple[dict[str, np.ndarray], dict[str, list[Reliance]], dict[str, np.ndarray]]:
    """Out-of-fold scores (N, K) of each expert and head; what each head relies on; the experts before calibration."""
    scores: dict[str, np.ndarray] = {}
    before: dict[str, np.ndarray] = {}
    reliances: dict[str, list[Reliance]] = {name: [] for name in heads}
    tests = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(validate, encodings, target, actors, test, heads, seed) for test in tests]
        for test, job in zip(tests, jobs, strict=True):
            of_scores, of_heads, of_experts = job.result()
            for into, found in ((scores, of_scores), (before, of_experts)):
                for name, one in found.items():
                    into.setdefault(name, np.full((len(target), len(RAVDESS8)), np.nan))[test] = one
            for name, one in of_heads.items():
                reliances[name].append(one)
                log.info("actors %s, %s: %s", sorted(set(actors[test])), name, one)
    return scores, reliances, before


def validate(
    encodings: Mapping[str, Encoding],
    target: np.ndarray,
    actors: np.ndarray,
    test: np.ndarray,
    heads: Sequence[str],
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, Reliance], dict[str, np.ndarray]]:
    """One fold: everything is fitted on the other actors' clips; scores are of the clips ``test``."""
    torch.set_num_threads(1)
    train = np.setdiff1d(np.arange(len(target)), test)
    scores, reliances, before, known, unknown = {}, {}, {}, {}, {}
    with threadpool_limits(1):
        for modality, encoding in encodings.items():
            known[modality], unknown[modality], raw = expert(encoding, train, test, target, actors)
            scores[modality] = softmax(unknown[modality].logits.astype(float))
            before[modality] = softmax(raw)
        for name in heads:
            head = HEADS[name](RAVDESS8, known, target[train], groups=actors[train], seed=seed)
            scores[name] = head.fuse(unknown)
            for removed in encodings:
                rest = {modality: one for modality, one in unknown.items() if modality != removed}
                left = np.any([one.present for one in rest.values()], axis=0)
                # A clip in which the other modality was not found has nothing left: all classes alike.
                alone = np.full((len(test), len(RAVDESS8)), 1 / len(RAVDESS8))
                alone[left] = head.fuse({modality: one.rows(left) for modality, one in rest.items()})
                scores[f"{name} without {removed}"] = alone
            reliances[name] = reliance(head, unknown, target[test])
    return scores, reliances, before


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
    said = Encoding(encoding.tokens, encoding.mask, logits.astype(np.float32), encoding.quality).calibrated(temperature)
    return said.rows(train), said.rows(test), logits[test]


def measure(
    scores: Mapping[str, np.ndarray],
    reliances: Mapping[str, Sequence[Reliance]],
    before: Mapping[str, np.ndarray],
    target: np.ndarray,
    actors: np.ndarray,
    draws: int,
) -> dict[str, Any]:
    """Figures of every system, with intervals over actors, and each head's gain over each expert."""
    results: dict[str, Any] = {}
    right = {name: (one.argmax(axis=1) == target).astype(float) for name, one in scores.items()}

    def over_actors(metric: Callable[[np.ndarray], float]) -> list[float]:
        return limits(bootstrap(metric, len(target), groups=actors, draws=draws))

    def gain(head: str, modality: str) -> list[float]:
        better = right[head] - right[modality]
        return over_actors(lambda rows: float(better[rows].mean()))

    def recall(scores_of_one: np.ndarray) -> list[float]:
        predicted = scores_of_one.argmax(axis=1)
        return over_actors(lambda rows: uar(target[rows], predicted[rows], len(RAVDESS8)))

    for name, one in scores.items():
        results[name] = {
            "accuracy": over_actors(lambda rows, r=right[name]: float(r[rows].mean())),  # type: ignore[misc]
            "uar": recall(one),
            "ece": expected_calibration_error(target, one),
            "nll": negative_log_likelihood(target, one),
        }
        if name in before:
            results[name]["ece before calibration"] = expected_calibration_error(target, before[name])
        if name in reliances:
            results[name]["gain"] = {modality: gain(name, modality) for modality in before}
            results[name]["shares"] = {
                modality: float(np.mean([found.shares[modality] for found in reliances[name]])) for modality in before
            }
    return results


def limits(figure: Interval) -> list[float]:
    """Value, low and high."""
    return [figure.value, figure.low, figure.high]


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a row for each expert and each head."""
    lines = [
        "| system | accuracy | UAR | ECE | gain over face | gain over voice | share of face | without face "
        "| without voice |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        if " without " in name:
            continue
        row = [name, shown(one["accuracy"]), shown(one["uar"]), f"{one['ece']:.3f}"]
        if "gain" in one:
            row += [shown(one["gain"][modality], "+") for modality in ("face", "voice")]
            row += [f"{one['shares']['face']:.2f}"]
            row += [f"{results[f'{name} without {modality}']['accuracy'][0]:.3f}" for modality in ("face", "voice")]
        else:
            row += ["-"] * 5
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def shown(figure: Sequence[float], sign: str = "") -> str:
    """``.850 [.820, .880]``."""
    value, low, high = (f"{number:{sign}.3f}" for number in figure)
    return f"{value} [{low}, {high}]"


def git_state() -> str:
    """The commit, with "+" if files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    typer.run(main)
