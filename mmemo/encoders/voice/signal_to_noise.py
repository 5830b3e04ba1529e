"""How far the voice of a window can be trusted, by its signal-to-noise ratio."""

from __future__ import annotations

import numpy as np

from mmemo.evidence import SAMPLE_RATE, VoiceEvidence

_SNR_RAMP = (0.0, 25.0)
"""dB: the trust is 0 where speech is as loud as the noise, 1 in a quiet room."""
_FRAME = SAMPLE_RATE // 50
_QUIETEST = 10
"""Percentile of the frames' power that counts as the noise, as people pause between words."""


def voice_trust(voice: VoiceEvidence) -> float:
    """The signal-to-noise ratio of a window's sound on a ramp from 0 at 0 dB to 1 at 25 dB."""
    low, high = _SNR_RAMP
    return float(np.clip((signal_to_noise(voice.waveform, voice.speech) - low) / (high - low), 0, 1))


def signal_to_noise(waveform: np.ndarray, speech: np.ndarray) -> float:
    """Decibels by which the speech is above the quietest frames of the window, at most 60.

    Args:
        waveform: (N,) float, 16 kHz.
        speech: (N,) bool, True where somebody speaks; without any True the whole waveform counts as speech.
    """
    frames = len(waveform) // _FRAME
    if not frames:
        return 0.0
    sound = np.nan_to_num(waveform[: frames * _FRAME].astype(np.float64), posinf=0, neginf=0)
    power = np.square(sound).reshape(frames, _FRAME).mean(axis=1)
    spoken = speech[: frames * _FRAME].reshape(frames, _FRAME).mean(axis=1) > 0.5
    noise = np.percentile(power, _QUIETEST)
    excess = (power[spoken] if spoken.any() else power).mean() - noise
    return float(10 * np.log10(np.clip(excess / max(noise, 1e-12), 1e-3, 1e6)))
