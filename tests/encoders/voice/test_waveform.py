"""The waveform that voice encoders take: which stretch of a window, at which level."""

from __future__ import annotations

import numpy as np
import pytest

from mmemo.encoders.voice.waveform import MARGIN, SHORTEST, pad, prepare
from mmemo.evidence import SAMPLE_RATE, VoiceEvidence


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE)) * 0.05).astype(np.float32)


def voice(waveform: np.ndarray, first: float, last: float) -> VoiceEvidence:
    """With speech between two times in seconds."""
    speech = np.zeros(len(waveform), bool)
    speech[int(first * SAMPLE_RATE) : int(last * SAMPLE_RATE)] = True
    return VoiceEvidence(waveform, speech, float(speech.mean()) if len(speech) else 0.0)


def test_constants() -> None:
    assert (SHORTEST, MARGIN) == (0.3, 0.05)


def test_less_than_the_shortest_speech_is_no_voice() -> None:
    assert prepare(voice(noise(2.0), 0.5, 0.79)) is None
    assert prepare(voice(noise(2.0), 0.5, 0.81)) is not None
    assert prepare(voice(np.zeros(0, np.float32), 0.0, 0.0)) is None


def test_silence_and_what_is_no_number_are_no_voice() -> None:
    assert prepare(voice(np.zeros(2 * SAMPLE_RATE, np.float32), 0.0, 2.0)) is None
    assert prepare(voice(np.full(2 * SAMPLE_RATE, np.nan, np.float32), 0.0, 2.0)) is None


@pytest.mark.parametrize(("first", "last", "seconds"), [(0.5, 1.5, 1.1), (0.02, 1.0, 1.05), (1.0, 2.0, 1.05)])
def test_a_margin_is_kept_on_both_sides_as_far_as_there_is_sound(first: float, last: float, seconds: float) -> None:
    waveform = prepare(voice(noise(2.0), first, last))
    assert waveform is not None
    assert len(waveform) == pytest.approx(seconds * SAMPLE_RATE, abs=2)
    assert waveform.dtype == np.float32


def test_gain_changes_nothing() -> None:
    quiet, loud = (prepare(voice(noise(1.0) * np.float32(gain), 0.2, 0.8)) for gain in (0.5, 2.0))
    np.testing.assert_allclose(quiet, loud, atol=1e-5)


def test_padding_is_zero_beyond_each_length() -> None:
    padded, lengths = pad([np.ones(3, np.float32), np.ones(5, np.float32)])
    assert lengths.tolist() == [3, 5]
    assert padded.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
