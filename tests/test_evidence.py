"""Evidence of a real clip has the shapes, types and ranges that its docstrings promise."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from mmemo import Clip
from mmemo.evidence import SAMPLE_RATE, Evidence, TextEvidence, Turn
from mmemo.media import probe
from mmemo.pipeline.extract import extract


@pytest.fixture(scope="module")
def window(clip: Path) -> Evidence:
    """The second window of a clip: from 1 to 3 s."""
    extraction = extract(Clip(clip, text="One day. Another."), probe(clip), ("face", "voice", "text"), 2.0, 1.0, None)
    _, (second,) = extraction.windows()
    return second


def test_a_face(window: Evidence) -> None:
    face = window.face
    assert face is not None
    count = len(face.times)
    assert face.person == 0
    assert face.times.dtype == np.float64
    assert ((face.times >= window.start) & (face.times < window.end)).all()
    assert (np.diff(face.times) > 0).all()
    shapes = {
        "crops": (count, 112, 112, 3),
        "quality": (count,),
        "landmarks": (count, 478, 3),
        "blendshapes": (count, 52),
        "pose": (count, 3),
        "box": (count, 4),
    }
    for name, shape in shapes.items():
        values = getattr(face, name)
        assert (values.shape, values.dtype) == (shape, np.uint8 if name == "crops" else np.float32)
    for values in (face.quality, face.blendshapes):
        assert values.min() >= 0
        assert values.max() <= 1
    assert face.frame_size == (320, 240)
    assert (face.box[:, 2] > face.box[:, 0]).all()
    assert (face.box[:, 3] > face.box[:, 1]).all()
    assert np.abs(face.pose).max() < 30
    assert 0 < face.coverage <= 1


def test_a_voice(window: Evidence) -> None:
    voice = window.voice
    assert voice is not None
    assert voice.waveform.dtype == np.float32
    assert voice.waveform.shape == voice.speech.shape
    assert voice.speech.dtype == bool
    assert len(voice.waveform) == pytest.approx(2 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert voice.coverage == pytest.approx(voice.speech.sum() / (2 * SAMPLE_RATE), abs=0.05)


def test_words(window: Evidence) -> None:
    text = window.text
    assert text is not None
    assert (text.text, text.language, text.confidence, text.speaker) == ("One day. Another.", "en", 1.0, None)
    assert text.coverage == pytest.approx(1.0)
    assert text.context == ()


def test_evidence_is_not_changed() -> None:
    window = Evidence(0.0, 2.0, text=TextEvidence("Good.", "en", 1.0, 1.0, context=(Turn("Hello."),)))
    assert (window.face, window.voice, window.source) == (None, None, None)
    with pytest.raises(FrozenInstanceError):
        window.end = 3.0  # type: ignore[misc]
