"""The voice on RAVDESS over EmoBox's six folds, eight classes: the table of docs/results.md.

    python benchmarks/voice_ravdess.py DATA --run RUN

DATA: the unpacked corpora. Each fold's four actors are scored by models that were fitted on the other twenty; nothing
is chosen on them. Three systems in one evaluation:

- functionals: the 88 of eGeMAPS (Eyben et al. 2016, by the package opensmile, whose license is for research) and a
  linear support vector machine;
- frozen: the encoder of Whisper tiny.en as published, from which training of the embedded voice starts,
  and a linear layer on the statistics of its layers. It was trained without any label of emotion;
- fine-tuned: the same, then all of it trained on the fold's twenty actors, as `recipes/voice_speech.py` does.

The embedded weights themselves can't be measured on these folds: they were trained on 16 of the actors.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from torch.nn import functional

from mmemo import media
from mmemo.data.corpora.ravdess import EMOBOX_FOLDS, read
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.voice.network import VoiceNetwork, frames_mask, statistics
from mmemo.encoders.voice.waveform import pad, prepare
from mmemo.encoders.voice.whisper_weights import find_whisper, whisper_encoder
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.metrics import uar
from mmemo.evidence import SAMPLE_RATE, VoiceEvidence
from mmemo.labels import RAVDESS8
from mmemo.speech.activity import speech_mask, speech_spans
from mmemo.training.audio_augmentation import Augmentation, change_speed
from mmemo.training.loop import Schedule, fit

log = logging.getLogger("voice_ravdess")
STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2)
SECONDS = 32.0


def read_sound(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The waveform, and as encoders get it: its speech at level, or all of it where none is detected."""
    sound = media.waveform(path)
    mask = speech_mask(speech_spans([sound]).voice, 0.0, len(sound))
    for speech in (mask, np.ones(len(sound), bool)):
        prepared = prepare(VoiceEvidence(sound, speech, 1.0))
        if prepared is not None:
            return sound, prepared
    raise SystemExit(f"{path} holds no sound.")


def functionals(sound: np.ndarray) -> np.ndarray:
    """(88,) of eGeMAPSv02."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    return np.nan_to_num(smile.process_signal(sound, SAMPLE_RATE).to_numpy()[0])


def pretrained() -> VoiceNetwork:
    encoder = whisper_encoder(find_whisper())
    network = VoiceNetwork(encoder.architecture, len(RAVDESS8), head_dropout=0.1)
    network.encoder = encoder
    return network.eval()


@torch.inference_mode()
def outputs_of(network: VoiceNetwork, sounds: list[np.ndarray], kind: str) -> np.ndarray:
    """Statistics or logits of prepared sounds, of similar length together."""
    order = np.argsort([len(sound) for sound in sounds])
    by_row: dict[int, np.ndarray] = {}
    for first in range(0, len(order), 16):
        rows = order[first : first + 16]
        layers, mask = network.layers(*map(torch.from_numpy, pad([sounds[row] for row in rows])))
        values = statistics(layers, mask) if kind == "statistics" else network.classify_speech(layers, mask)
        by_row |= dict(zip(rows.tolist(), values.numpy(), strict=True))
    return np.stack([by_row[row] for row in range(len(sounds))])


def fine_tune(
    probe: LinearProbe, sounds: list[np.ndarray], target: np.ndarray, run: Path, steps: int, seed: int
) -> VoiceNetwork:
    """Begin at the probe; train on crops of ``sounds``, each class as often."""
    torch.manual_seed(seed)
    network = pretrained()
    network.centre.copy_(torch.from_numpy(probe.mean))
    network.spread.copy_(torch.from_numpy(probe.scale).clamp(min=1e-4))
    with torch.no_grad():
        network.classifier.weight.copy_(torch.from_numpy(probe.weights.T))
        network.classifier.bias.copy_(torch.from_numpy(probe.bias))
    members = [np.flatnonzero(target == label) for label in range(len(RAVDESS8))]
    augmentation = Augmentation()

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rng = np.random.default_rng((seed, epoch))
        for _ in range(steps):
            longest = float(rng.choice([1.5, 2.0, 3.0]))
            labels = rng.integers(0, len(RAVDESS8), round(SECONDS / longest))
            crops = []
            for label in labels:
                sound = sounds[int(rng.choice(members[label]))]
                speed = float(rng.uniform(0.85, 1.18)) if rng.random() < 0.5 else 1.0
                size = min(len(sound), int(longest * speed * SAMPLE_RATE))
                first = int(rng.integers(0, len(sound) - size + 1))
                crop = sound[first : first + size]
                crops.append(augmentation(change_speed(crop, speed) if speed != 1 else crop, rng))
            yield tuple(map(torch.from_numpy, (*pad(crops), labels)))

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        assert isinstance(model, VoiceNetwork)
        waveforms, lengths, labels = batch
        mask = frames_mask(lengths)
        logits = model.classify_speech(model.encoder(model.spectrum(waveforms), mask), mask)
        return functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)

    encoder = network.encoder
    levels: list[list[nn.Module]] = [[encoder.conv1, encoder.conv2], *([layer] for layer in encoder.layers)]
    levels[-1].append(encoder.layer_norm)
    groups: list[dict[str, Any]] = [
        {"params": [p for part in level for p in part.parameters()], "lr": 5e-5 * 0.75 ** (len(levels) - 1 - i)}
        for i, level in enumerate(levels)
    ]
    groups.append({"params": list(network.classifier.parameters()), "lr": 3e-5})
    # One epoch, so that there is nothing to choose.
    trained = fit(network, batches, steps, loss, lambda _: 0.0, Schedule(1, 5e-5, averaging=0.98), run, groups=groups)
    assert isinstance(trained, VoiceNetwork)
    return trained


def main() -> None:
    """Measure the three systems; everything is cached in RUN, and a stopped run is resumed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100, help="batches of 32 s that a fold is fine-tuned with")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    given.run.mkdir(parents=True, exist_ok=True)
    manifest = read(given.data / "voice/ravdess").manifest.with_folds(EMOBOX_FOLDS)
    target = np.array([RAVDESS8.index(str(clip.label)) for clip in manifest])
    actors = np.array([clip.speaker for clip in manifest])
    folds = np.array([clip.fold for clip in manifest])

    cache = given.run / "features.npz"
    if not cache.exists():
        waveforms = [read_sound(Path(str(clip.path))) for clip in manifest]
        sounds = [prepared for _, prepared in waveforms]
        log.info("read %d clips", len(waveforms))
        hand = np.stack([functionals(sound) for sound, _ in waveforms])
        log.info("functionals done")
        frozen = outputs_of(pretrained(), sounds, "statistics")
        starts = np.concatenate([[0], np.cumsum([len(sound) for sound in sounds])])
        np.savez(cache, hand=hand, frozen=frozen, sound=np.concatenate(sounds).astype(np.float16), starts=starts)
    kept = np.load(cache)
    hand, frozen, starts = kept["hand"], kept["frozen"].astype(np.float64), kept["starts"]
    sounds = [one.astype(np.float32) for one in np.split(kept["sound"], starts[1:-1])]

    predictions = {name: np.full(len(target), -1) for name in ("functionals", "frozen", "fine-tuned")}
    for fold in EMOBOX_FOLDS:
        test = folds == fold
        file = given.run / f"fold{fold}.json"
        if not file.exists():
            machine = make_pipeline(StandardScaler(), LinearSVC(class_weight="balanced", max_iter=20_000))
            search = GridSearchCV(
                machine, {"linearsvc__C": [1e-3, 1e-2, 1e-1]}, scoring="balanced_accuracy", cv=GroupKFold(4)
            )
            search.fit(hand[~test], target[~test], groups=actors[~test])
            probe = LinearProbe.fit(
                frozen[~test], target[~test], len(RAVDESS8), groups=actors[~test], strengths=STRENGTHS
            )
            log.info("fold %s: linear models fitted", fold)
            chosen = [sound for sound, tested in zip(sounds, test, strict=True) if not tested]
            network = fine_tune(probe, chosen, target[~test], given.run / f"fold{fold}", given.steps, given.seed)
            held_out = [sound for sound, tested in zip(sounds, test, strict=True) if tested]
            by_system = {
                "functionals": search.predict(hand[test]),
                "frozen": probe.logits(frozen[test]).argmax(1),
                "fine-tuned": outputs_of(network, held_out, "logits").argmax(1),
            }
            file.write_text(json.dumps({name: one.tolist() for name, one in by_system.items()}))
        for name, one in json.loads(file.read_text()).items():
            predictions[name][test] = one
            log.info("fold %s %s: UA %.3f", fold, name, uar(target[test], predictions[name][test], len(RAVDESS8)))

    def recall(predicted: np.ndarray, rows: np.ndarray) -> float:
        return float(uar(target[rows], predicted[rows], len(RAVDESS8)))

    print("| system | UA, mean of the folds | UA, all clips [95 % over actors] | accuracy |\n|---|---|---|---|")
    for name, predicted in predictions.items():
        each = [recall(predicted, np.flatnonzero(folds == fold)) for fold in EMOBOX_FOLDS]
        whole = bootstrap(partial(recall, predicted), len(target), groups=actors)
        figures = f"{whole.value:.3f} [{whole.low:.3f}, {whole.high:.3f}] | {np.mean(predicted == target):.3f}"
        print(f"| {name} | {np.mean(each):.3f} | {figures} |")


if __name__ == "__main__":
    main()
