from __future__ import annotations

import numpy as np
import pytest

from mmemo.encoders.voice.signal_to_noise import signal_to_noise, voice_trust
from mmemo.evidence import VoiceEvidence
from mmemo.samples import sound, speech

FRAME = 320
"""Samples of 20 ms."""


def steps(*amplitudes: float) -> np.ndarray:
    """A frame of each amplitude, alternating in sign, so that its power is the square of the amplitude exactly."""
    return np.repeat(amplitudes, FRAME) * np.tile([1, -1], len(amplitudes) * FRAME // 2)


def voice(ratio_db: float) -> VoiceEvidence:
    """Speech that is so many decibels above the noise, power less noise by noise."""
    waveform = steps(*[0.01] * 50, *[0.01 * np.sqrt(1 + 10 ** (ratio_db / 10))] * 50)
    return VoiceEvidence(waveform, np.arange(len(waveform)) >= 50 * FRAME, 1.0)


@pytest.mark.parametrize(
    ("ratio", "trust"), [(-5.0, 0.0), (0.0, 0.0), (5.0, 0.2), (12.5, 0.5), (20.0, 0.8), (25.0, 1.0), (40.0, 1.0)]
)
def test_the_trust_rises_from_0_to_25_db(ratio: float, trust: float) -> None:
    assert voice_trust(voice(ratio)) == pytest.approx(trust, abs=1e-6)


def test_the_noise_is_the_tenth_percentile_of_the_frames() -> None:
    waveform = steps(*np.sqrt(np.arange(1, 102) * 1e-6))  # powers of 1 to 101 millionths
    expected = 10 * np.log10((51 - 11) / 11)
    assert signal_to_noise(waveform, np.ones(len(waveform), bool)) == pytest.approx(expected, abs=1e-6)
    assert signal_to_noise(waveform, np.zeros(len(waveform), bool)) == pytest.approx(expected, abs=1e-6)


def test_signal_to_noise_by_hand() -> None:
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.01, 32_000)
    spoken = np.zeros(32_000, bool)
    spoken[8_000:24_000] = True
    waveform[spoken] += rng.normal(0, 0.1, 16_000)  # 20 dB above
    assert signal_to_noise(waveform, spoken) == pytest.approx(20, abs=1.5)
    assert signal_to_noise(np.zeros(10), np.ones(10, bool)) == 0.0


def test_noise_lowers_the_trust_in_a_voice() -> None:
    clean = speech()
    spoken = np.ones(len(clean), bool)
    noise = 10 * sound("noise", len(clean) / 16_000)[: len(clean)]
    quiet, loud = (voice_trust(VoiceEvidence(wave, spoken, 0.9)) for wave in (clean, clean + noise))
    assert quiet > loud + 0.2
