"""Fine-tune any wav2vec 2.0, HuBERT, WavLM or Whisper on your own voices: a head with layer weights, then layers.

    pip install 'mmemo[train]'
    mmemo prepare ravdess FOLDER --out ravdess.jsonl
    mmemo prepare emodb FOLDER --out emodb.jsonl
    python recipes/voice_finetune.py ravdess.jsonl emodb.jsonl --checkpoint torchaudio:WAVLM_BASE_PLUS --out runs/mine
    mmemo analyze clip.mp4 --model runs/mine

A manifest is one of your own (``.jsonl`` or ``.csv``), or what ``mmemo prepare`` wrote of a corpus. CHECKPOINT is a
bundle of torchaudio, which is fetched; a folder as transformers writes it (``voice_pretrain.py`` does, too); or the
name of one on the Hugging Face Hub, which is fetched if it has safetensors.

The head is a softmax-weighted sum of the layers, mean and standard deviation over time, and a linear layer. It is
trained alone first, then together with the uppermost ``--unfreeze`` layers (Kumar et al., "Fine-tuning can distort
pretrained features and underperform out-of-distribution", ICLR 2022); 0 keeps all of them frozen. The classes of each
corpus weigh alike, and a corpus without a label does not train that label's score.

Labels that mmemo can map become its seven; others stay as they are. Splits of the manifests are kept; without any,
speakers are divided into train, val and test. The epoch is chosen on ``val``, and ``test`` is measured once.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits

from mmemo import Clip, EmotionModel
from mmemo.data import FeatureCache, Manifest
from mmemo.data.encoding import cache_keys
from mmemo.data.evidence import clip_evidence
from mmemo.encoders.voice.backbone import SpeechBackboneEncoder, load_speech_backbone
from mmemo.errors import ManifestError, MmemoError
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import confusion, uar
from mmemo.evidence import Evidence
from mmemo.files import check_folder, make_folder
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, LabelSet, find_mapping
from mmemo.training.finetune_speech import fine_tune
from mmemo.training.loop import Schedule

log = logging.getLogger("voice_finetune")


def read_manifests(paths: Sequence[Path], seed: int) -> Manifest:
    """All clips with a label, those of a manifest without splits divided by speaker."""
    parts = []
    for path in paths:
        part = Manifest.read(path).filter(lambda clip: clip.label is not None)
        mapping = None if part.labels == EKMAN7 else find_mapping(part.labels, EKMAN7)
        if mapping is not None:
            log.info("labels of %s are mapped to %s. %s", path, EKMAN7.name, mapping.loses)
            part = part.map_labels(mapping)
        parts.append(part if any(clip.split for clip in part) else part.split(by="speaker", seed=seed))
    return reduce(Manifest.concat, parts)


def read_evidence(clip: Clip) -> Evidence | str:
    """The voice of a whole clip; a message where it can't be read."""
    try:
        return clip_evidence(clip, ("voice",))
    except MmemoError as error:
        return str(error)


def read_windows(
    clips: Manifest, encoder: SpeechBackboneEncoder, run: Path, longest: float, workers: int
) -> tuple[Manifest, list[np.ndarray]]:
    """The clips with speech, and the encoder's input of each, (N,) float32; the run folder keeps them."""
    rate = encoder.network.backbone.rate
    cache = FeatureCache(run / "speech.sqlite")
    keys, faults = cache_keys(clips, {"voice": f"speech at {rate} Hz"}, None)
    todo = [row for row, key in keys.items() if key["voice"] not in cache]
    with ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
        read = pool.map(read_evidence, [clips[row] for row in todo], chunksize=8)
        for row, evidence in zip(todo, read, strict=True):
            if isinstance(evidence, str):
                faults[row] = evidence
                continue
            speech = encoder.prepare(evidence)
            cache.put(keys[row]["voice"], "speech", {} if speech is None else {"speech": speech.astype(np.float16)})
    for row, fault in sorted(faults.items()):
        log.warning("left out: clip %r: %s", clips[row].id, fault)
    sounds = {row: cache.get(key["voice"]) for row, key in keys.items()}
    spoken = {row: arrays["speech"][: int(longest * rate)] for row, arrays in sounds.items() if arrays}
    log.info("%d of %d clips have speech", len(spoken), len(clips))
    kept = Manifest(tuple(clips[row] for row in spoken), clips.labels)
    return kept, [sound.astype(np.float32) for sound in spoken.values()]


def balance(clips: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """Weights (N,) of mean 1 with which the classes of each corpus weigh alike, and the classes (N, K) it has."""
    pairs = Counter((clip.corpus, clip.label) for clip in clips)
    sizes = Counter(clip.corpus for clip in clips)
    classes = {corpus: [label for of, label in pairs if of == corpus] for corpus in sizes}
    weights = [sizes[clip.corpus] / len(classes[clip.corpus]) / pairs[clip.corpus, clip.label] for clip in clips]
    allowed = [[label in classes[clip.corpus] for label in clips.labels] for clip in clips]
    return np.array(weights), np.array(allowed)


def measure(clips: Manifest, logits: np.ndarray, draws: int) -> dict[str, Any]:
    """UAR with its interval over speakers, of all clips and of each corpus, and the confusion matrix."""
    target, predicted = targets(clips), logits.argmax(axis=1)
    groups = np.array([clip.speaker or clip.id for clip in clips])
    corpora = np.array([clip.corpus or "" for clip in clips])
    report: dict[str, Any] = {"labels": list(clips.labels)}
    report["confusion"] = confusion(target, predicted, len(clips.labels)).tolist()
    for name in ("all", *sorted(set(corpora) - {""})):
        rows = np.flatnonzero(corpora == name) if name != "all" else np.arange(len(target))

        def recall(chosen: np.ndarray, rows: np.ndarray = rows) -> float:
            return uar(target[rows[chosen]], predicted[rows[chosen]], len(clips.labels))

        interval = bootstrap(recall, len(rows), groups=groups[rows], draws=draws)
        report[name] = {"clips": len(rows), "speakers": len(set(groups[rows])), "uar": asdict(interval)}
    return report


def targets(clips: Manifest) -> np.ndarray:
    """(N,) int: the index of each clip's label."""
    return np.array([clips.labels.index(clip.label) for clip in clips if clip.label is not None])


def main(
    manifests: Annotated[list[Path], typer.Argument(help="manifests, .jsonl or .csv")],
    checkpoint: Annotated[str, typer.Option(help="a folder, a name on the Hub, or torchaudio:BUNDLE")],
    out: Annotated[Path, typer.Option(help="folder of the model, the checkpoints and the results")],
    unfreeze: Annotated[int, typer.Option(help="uppermost layers that are trained after the head; 0 for none")] = 4,
    head_epochs: Annotated[int, typer.Option(help="epochs of the head alone")] = 3,
    epochs: Annotated[int, typer.Option(help="epochs of the head with the layers")] = 7,
    head_rate: Annotated[float, typer.Option(help="peak learning rate of the head")] = 1e-3,
    layer_rate: Annotated[float, typer.Option(help="peak learning rate of the layers")] = 3e-5,
    layers: Annotated[str, typer.Option(help="layers that are mixed, as 4,5,6; all by default")] = "",
    longest: Annotated[float, typer.Option(help="seconds of each clip that are used, at most 20")] = 10.0,
    batch: Annotated[int, typer.Option(help="clips in a batch")] = 16,
    draws: Annotated[int, typer.Option(help="bootstrap resamples of the speakers")] = 1000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    bfloat16: Annotated[bool, typer.Option(help="faster on hardware that has it, slower on other")] = False,
    workers: Annotated[int, typer.Option(help="processes that read media")] = 2,
    seed: Annotated[int, typer.Option(help="of the splits and the order")] = 0,
    allow: Annotated[list[str] | None, typer.Option(help="codes of leaks between splits that are accepted")] = None,
) -> None:
    """Fine-tune a speech checkpoint, measure it on people left out, and write a model that analyzes."""
    settings = {name: value for name, value in locals().items() if name not in ("manifests", "out", "allow")}
    settings["manifests"] = [path.name for path in manifests]
    torch.manual_seed(seed)
    make_folder(out)
    check_folder(out / "model", (*manifests, checkpoint))

    clips = read_manifests(manifests, seed)
    clips.audit(media="hashes").refuse_leaks(allow or ())
    labels: LabelSet = clips.labels
    chosen = [int(layer) for layer in layers.split(",")] if layers else None
    encoder = load_speech_backbone(checkpoint, target=labels, own_head=True, layers=chosen, device=device)
    clips, windows = read_windows(clips, encoder, out, min(longest, 20.0), workers)
    rows = {split: [i for i, clip in enumerate(clips) if clip.split == split] for split in ("train", "val", "test")}
    for split, of in rows.items():
        if not of:
            raise ManifestError(clips, [f"no clip of the split {split!r} has speech"])
    parts = {split: Manifest(tuple(clips[i] for i in of), labels) for split, of in rows.items()}
    weights, allowed = balance(parts["train"])

    def pick(split: str) -> list[np.ndarray]:
        return [windows[i] for i in rows[split]]

    fine_tune(
        encoder, pick("train"), targets(parts["train"]).tolist(), (pick("val"), targets(parts["val"]).tolist()),
        out / "run", weights=weights.tolist(), allowed=allowed, unfreeze=(*(0,) * head_epochs, unfreeze),
        schedule=Schedule(head_epochs + epochs, head_rate, bfloat16=bfloat16), backbone_rate=layer_rate, batch=batch,
        seed=seed,
    )  # fmt: skip

    def logits(split: str) -> np.ndarray:
        return np.concatenate([encoder.encode([window]).logits for window in pick(split)])

    temperature = fit_temperature(logits("val"), targets(parts["val"]))
    mixture = encoder.network.mixture.detach().cpu().softmax(0).numpy()
    report = {
        "settings": settings,
        "clips of": {split: len(of) for split, of in rows.items()},
        "layer weights": [round(float(share), 4) for share in mixture],
        "temperature": temperature,
        "test": measure(parts["test"], logits("test"), draws),
    }
    model = EmotionModel([encoder], LateFusion(labels, {"voice": 1.0}), {"voice": temperature}, name=out.name)
    model.save(out / "model", card={"recipe": report})
    (out / "results.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    log.info("%s", json.dumps(report["test"]))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    typer.run(main)
