"""Late fusion: calibrate the three encoders among strangers, and learn how far each can be believed beside the others.

    pip install 'mmemo[train]'
    python recipes/fusion_late.py DATA --voice RUNS/voice --out mmemo/weights/fusion

DATA is a folder with ``face/fer2013`` (FER2013: ``test/<class>/PublicTest_….jpg``) and ``text/meld``
(``dev_sent_emo.csv``). RUNS/voice is the run folder of ``voice_speech.py``: its ``val_logits.npz`` has windows of six
corpora, each by a voice that was fitted on the others. The encoders are those in the folders beside ``--out``. Takes
five minutes.

The head is fitted on clips that are put together (`mmemo.training.put_together`). In a share of them the face, the
voice or the words are neutral whatever the label, and in some the words are any line at all. These shares (`SHOWN`) are
assumptions: what is recognized hardly changes for any of .2 to .4 of silent faces and voices; half of the lines are any
line, so that words of another label take no more than three points from a face and a voice.

What it gives is measured by ``benchmarks/strangers.py`` on corpora that nothing here was fitted on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mmemo import Analyzer, EmotionModel
from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.data import Manifest, read_corpus
from mmemo.encoders import FaceEncoder, TextEncoder
from mmemo.encoders.base import Encoder
from mmemo.files import check_folder
from mmemo.fusion import RuleFusion
from mmemo.fusion.late import LateFusion, Trust
from mmemo.labels import EKMAN7, FER7_TO_EKMAN7, MELD7_TO_EKMAN7
from mmemo.model import KIND
from mmemo.training.put_together import ExpertSamples, Shown, put_together

log = logging.getLogger("fusion_late")

SHOWN = {"face": Shown(0.3, 0.05), "voice": Shown(0.35, 0.05), "text": Shown(0.2, 0.5)}
"""How often each modality shows what a person feels: assumptions, see above."""


def read_clips(clips: Manifest, encoder: Encoder, prior: np.ndarray, most: int, seed: int) -> ExpertSamples:
    """Pictures or lines, drawn at random, from file to logits; those without a face are left out."""
    chosen = np.random.default_rng(seed).permutation(len(clips))[:most]
    analyzer = Analyzer(EmotionModel([encoder], RuleFusion(EKMAN7, [encoder.modality])))
    logits, target = [], []
    for clip in (clips[int(row)] for row in chosen):
        encoding = analyzer.encode(clip).get(encoder.modality)
        if encoding is not None and clip.label is not None:
            logits.append(encoding.logits[0])
            target.append(EKMAN7.index(clip.label))
    log.info("%s: %d of %d", encoder.modality, len(target), len(chosen))
    corpus = np.full(len(target), clips[0].corpus)
    return ExpertSamples(np.array(logits), prior, np.array(target), corpus, np.ones(len(target)))


def read_voices(run: Path, prior: np.ndarray) -> ExpertSamples:
    """Windows of voices among strangers, and shorter stretches of them."""
    saved = np.load(run / "val_logits.npz")
    return ExpertSamples(saved["logits"], prior, saved["target"].argmax(axis=1), saved["corpus"], saved["coverage"])


def read_samples(data: Path, voice: Path, folder: Path, most: int, seed: int) -> dict[str, ExpertSamples]:
    """Samples of each modality, by the encoders in ``folder``."""
    priors = dict(_priors(folder))
    pictures = read_corpus("fer2013", data / "face" / "fer2013").manifest.part("val").map_labels(FER7_TO_EKMAN7)
    lines = read_corpus("meld", data / "text" / "meld").manifest.part("val").map_labels(MELD7_TO_EKMAN7)
    return {
        "face": read_clips(pictures, FaceEncoder.load(folder / "face"), priors["face"], most, seed),
        "voice": read_voices(voice, priors["voice"]),
        "text": read_clips(lines, TextEncoder.load(folder / "text"), priors["text"], most, seed),
    }


def fit_head(samples: Mapping[str, ExpertSamples], clips: int, seed: int) -> tuple[LateFusion, dict[str, float]]:
    """The head, and the temperature of each modality, on clips of all labels equally often."""
    temperatures = {name: own.temperature() for name, own in samples.items()}
    trust = {name: Trust(coverage=own.coverage_exponent(temperatures[name])) for name, own in samples.items()}
    target = np.resize(np.arange(len(EKMAN7)), clips)
    rows = put_together(EKMAN7, samples, SHOWN, target, seed)
    encodings = {name: own.encoding(rows[name], temperatures[name]) for name, own in samples.items()}
    return LateFusion.fit(EKMAN7, encodings, target, trust=trust), temperatures


def main(
    data: Annotated[Path, typer.Argument(help="Folder with face/fer2013 and text/meld.")],
    voice: Annotated[Path, typer.Option(help="Run folder of voice_speech.py.")],
    out: Annotated[Path, typer.Option(help="Folder of the fusion head; the encoders are beside it.")],
    clips: Annotated[int, typer.Option(help="Clips that are put together, as many of each label.")] = 7000,
    most: Annotated[int, typer.Option(help="Pictures of FER2013, and lines of MELD, that are read.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Fit the embedded fusion head."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    check_folder(out)
    samples = read_samples(data, voice, out.parent, most, seed)
    head, temperatures = fit_head(samples, clips, seed)
    settings, arrays = head.state()
    log.info("temperatures %s\n%s", temperatures, json.dumps(settings, indent=2))
    terms = {"FER2013", "meld", *samples["voice"].corpus.tolist()}
    config = {
        "kind": KIND,
        "labels": EKMAN7.name,
        "encoders": {"face": "FaceEncoder", "voice": "VoiceEncoder", "text": "TextEncoder"},
        "temperatures": temperatures,
        "priors": {name: EKMAN7.scores(prior) for name, prior in _priors(out.parent)},
        "fusion": settings,
        "corpora": {name: of for name, of in _corpora(out.parent).items() if name in terms},
        "recipe": {"clips": clips, "shown": {name: asdict(one) for name, one in SHOWN.items()}, "seed": seed},
    }
    save_checkpoint(out, config, arrays)


def _corpora(folder: Path) -> dict[str, str]:
    """The terms of the encoders' corpora, by name."""
    cards = [load_checkpoint(folder / name, f"{name}-encoder").config["corpora"] for name in ("face", "voice", "text")]
    return {corpus: terms for card in cards for corpus, terms in card.items()}


def _priors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for name in ("face", "voice", "text"):
        prior = load_checkpoint(folder / name, f"{name}-encoder").config["prior"]
        yield name, np.array([prior[label] for label in EKMAN7])


if __name__ == "__main__":
    typer.run(main)
