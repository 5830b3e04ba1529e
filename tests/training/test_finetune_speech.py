"""Heads of tiny checkpoints learn to tell a low tone from a high one, frozen and thawed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmemo.encoders.voice.backbone import SpeechBackboneEncoder
from mmemo.encoders.voice.encoder import VoiceEncoder
from mmemo.errors import ArgumentError
from mmemo.labels import EKMAN7
from mmemo.training.finetune_speech import fine_tune
from mmemo.training.loop import Schedule

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="needs the extra backbones")
ANGER, SADNESS = EKMAN7.index("anger"), EKMAN7.index("sadness")


@pytest.fixture
def encoder(tmp_path: Path) -> SpeechBackboneEncoder:
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, conv_dim=(16, 16),
        conv_kernel=(40, 16), conv_stride=(20, 16), num_feat_extract_layers=2, feat_extract_norm="layer",
        do_stable_layer_norm=True, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, mask_time_prob=0.0,
    )  # fmt: skip
    transformers.WavLMModel(config).save_pretrained(tmp_path / "tiny")
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(tmp_path / "tiny")
    made = VoiceEncoder.from_pretrained(tmp_path / "tiny")
    assert isinstance(made, SpeechBackboneEncoder)
    return made


def tones(count: int, seed: int) -> tuple[list[np.ndarray], list[int]]:
    rng = np.random.default_rng(seed)
    windows, classes = [], []
    for place in range(count):
        high = place % 2
        time = np.arange(int(rng.uniform(0.4, 0.8) * 16_000)) / 16_000
        tone = np.sin(2 * np.pi * (rng.uniform(2000, 2500) if high else rng.uniform(200, 300)) * time)
        windows.append((0.1 * tone + 0.01 * rng.standard_normal(len(time))).astype(np.float32))
        classes.append(ANGER if high else SADNESS)
    return windows, classes


def frozen(encoder: SpeechBackboneEncoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder.network.backbone.state_dict().items()}


def test_a_head_learns_while_the_backbone_stays(encoder: SpeechBackboneEncoder, tmp_path: Path):
    before, (windows, classes) = frozen(encoder), tones(24, 0)
    assert not encoder.has_head
    fine_tune(encoder, windows, classes, tones(8, 1), tmp_path / "run", schedule=Schedule(8, 3e-2, bfloat16=False))
    assert encoder.has_head
    fresh, expected = tones(10, 2)
    assert np.mean(encoder.encode(fresh).logits.argmax(1) == expected) >= 0.8
    assert all(torch.equal(value, before[name]) for name, value in encoder.network.backbone.state_dict().items())


def test_layers_thaw_from_the_top(encoder: SpeechBackboneEncoder, tmp_path: Path):
    before = frozen(encoder)
    fine_tune(
        encoder, *tones(16, 0), tones(4, 1), tmp_path / "run", unfreeze=(0, 1, 2),
        schedule=Schedule(3, 1e-2, bfloat16=False), backbone_rate=1e-2,
    )  # fmt: skip
    # The best epoch may be one before anything thawed, so the last one is looked at.
    last = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["model"]
    moved = {name for name, value in before.items() if not torch.equal(last[f"backbone.{name}"], value)}
    assert moved
    assert all(".layers." in name for name in moved), moved
    assert {name.split(".layers.")[1][0] for name in moved} == {"1", "2"}
    assert not any(parameter.requires_grad for parameter in encoder.network.backbone.parameters())


def test_nothing_to_learn_from(encoder: SpeechBackboneEncoder, tmp_path: Path):
    windows, classes = tones(4, 0)
    with pytest.raises(ArgumentError, match="4 windows, 3 classes"):
        fine_tune(encoder, windows, classes[:3], tones(2, 1), tmp_path)
    with pytest.raises(ArgumentError, match="0 held out"):
        fine_tune(encoder, windows, classes, ([], []), tmp_path)


def test_a_class_that_a_window_could_not_have_is_not_trained(encoder: SpeechBackboneEncoder, tmp_path: Path):
    allowed = np.zeros((8, len(EKMAN7)), bool)
    allowed[:, [ANGER, SADNESS]] = True
    weights = [1.0, 0.0] * 4  # only sadness, the low tones, counts
    fine_tune(
        encoder, *tones(8, 0), tones(4, 1), tmp_path / "run", weights=weights, allowed=allowed,
        schedule=Schedule(2, 1e-2, bfloat16=False),
    )  # fmt: skip
    head = encoder.network.classifier
    moved = {EKMAN7[i] for i in range(len(EKMAN7)) if head.weight[i].any() or head.bias[i]}
    assert moved == {"anger", "sadness"}
    assert head.bias[SADNESS] > 0 > head.bias[ANGER]
