"""Occlusion finds what the answer hangs on: with an encoder whose answer is known, and with the embedded one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import mmemo
from mmemo import EmotionModel
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, MissingStreamError
from mmemo.evidence import Evidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.media import waveform
from mmemo.samples import make_clip
from mmemo.testing import TinyEncoder

pytestmark = pytest.mark.slow

RATE = 16_000
SPEECH = Path(__file__).parents[2] / "mmemo" / "sample_media" / "speech.opus"


class Loudest:
    """Its log score of anger is ten times the loudest sample."""

    modality, dim, labels = "voice", 1, EKMAN7

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        return None if evidence.voice is None or not evidence.voice.speech.any() else evidence.voice.waveform

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        logits = np.zeros((len(batch), len(EKMAN7)), np.float32)
        logits[:, EKMAN7.index("anger")] = [10 * np.abs(window).max() for window in batch]
        return Encoding(np.zeros((len(batch), 1, 1), np.float32), np.ones((len(batch), 1), bool), logits)


@pytest.fixture(scope="module")
def loudest() -> EmotionModel:
    return EmotionModel([Loudest()], LateFusion(EKMAN7, {"voice": 1.0}))


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return waveform(SPEECH)[: 3 * RATE]


def test_the_curve_peaks_where_the_answer_hangs(loudest: EmotionModel, speech: np.ndarray):
    sound = 0.2 * speech / np.abs(speech).max()
    sound[24_000] = 0.9
    why = mmemo.explain.voice(sound, model=loudest, length=3.0)
    assert why.label == "anger"
    near = np.abs(why.times - 1.5) < 0.06
    # The log odds are the log score less log 6: hiding the peak takes at least 10 (0.9 - 0.2) of it.
    assert why.curve[near].min() > 6.9
    assert np.abs(why.curve[np.abs(why.times - 1.5) > 0.1]).max() < 1e-5
    against = mmemo.explain.voice(sound, model=loudest, label="fear", length=3.0)
    assert against.curve[near].max() < 0


def test_where_nobody_speaks_the_curve_is_zero(speech: np.ndarray):
    sound = np.concatenate([speech[RATE : 2 * RATE], np.zeros(RATE, np.float32)])
    why = mmemo.explain.voice(sound, length=2.0)
    assert not why.curve[why.times > 1.3].any()
    assert np.abs(why.curve[why.times < 0.9]).max() > 0.01


def test_of_a_result_and_of_a_file(tmp_path: Path):
    clip = make_clip(tmp_path / "clip.mp4", seconds=3.0)
    result = mmemo.analyze(clip, modalities=("voice",))
    why = mmemo.explain.voice(result)
    surest = max(result.segments, key=lambda one: max(one.modalities["voice"].scores.values()))
    assert why.start == surest.start
    assert why.score == max(why.scores.values())
    later = mmemo.explain.voice(clip, at=0.5, length=2.0)
    assert later.times[0] == pytest.approx(0.525)
    assert len(later.waveform) == 2 * RATE


def test_pictures(loudest: EmotionModel, speech: np.ndarray, tmp_path: Path):
    why = mmemo.explain.voice(speech, model=loudest)
    assert why.save(tmp_path / "why.png").read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in why.save(tmp_path / "why.svg").read_bytes()
    with pytest.raises(ArgumentError, match=r"\.gif"):
        why.save(tmp_path / "why.gif")


def test_what_can_go_wrong(loudest: EmotionModel, speech: np.ndarray, tmp_path: Path):
    with pytest.raises(MissingStreamError, match="Nobody speaks"):
        mmemo.explain.voice(np.zeros(2 * RATE, np.float32), model=loudest)
    with pytest.raises(MissingStreamError, match="Nobody speaks"):
        mmemo.explain.voice(speech, at=100.0, model=loudest)
    with pytest.raises(ArgumentError, match="joy"):
        mmemo.explain.voice(speech, label="joy", model=loudest)
    with pytest.raises(ArgumentError, match="length"):
        mmemo.explain.voice(speech, length=60.0, model=loudest)
    with pytest.raises(ArgumentError, match="no voice"):
        mmemo.explain.voice(
            speech, model=EmotionModel([TinyEncoder(modality="face")], LateFusion(EKMAN7, {"face": 1.0}))
        )
    with pytest.raises(MissingStreamError, match="text alone"):
        mmemo.explain.voice(mmemo.analyze(text="I am so happy"), model=loudest)
