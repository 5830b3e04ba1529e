"""How much of a window is there, and how far it can be trusted: what a quality-aware fusion head looks at."""

from __future__ import annotations

import numpy as np

from mmemo.evidence import SAMPLE_RATE, Evidence

_SNR_RAMP = (0.0, 25.0)
"""dB: speech as loud as the noise can't be trusted at all, a quiet room wholly."""
_FRAME = SAMPLE_RATE // 50
_QUIETEST = 10
"""Percent of the frames that are taken for the noise, as people pause between words."""


def quality_of(evidence: Evidence, modality: str) -> tuple[float, float]:
    """Coverage and trust of one modality in a window, each from 0 to 1; a modality of the user's own has (1, 1).

    Trust is the mean quality of the crops (`mmemo.faces.quality`), the signal-to-noise ratio of the sound on a ramp
    from 0 to 25 dB, the confidence of the words.
    """
    if modality == "face" and evidence.face is not None:
        return float(evidence.face.coverage), float(np.clip(np.mean(evidence.face.quality), 0, 1))
    if modality == "voice" and evidence.voice is not None:
        low, high = _SNR_RAMP
        ratio = signal_to_noise(evidence.voice.waveform, evidence.voice.speech)
        return float(evidence.voice.coverage), float(np.clip((ratio - low) / (high - low), 0, 1))
    if modality == "text" and evidence.text is not None:
        return float(evidence.text.coverage), float(np.clip(evidence.text.confidence, 0, 1))
    return 1.0, 1.0


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
    said = speech[: frames * _FRAME].reshape(frames, _FRAME).mean(axis=1) > 0.5
    noise = np.percentile(power, _QUIETEST)
    excess = (power[said] if said.any() else power).mean() - noise
    return float(10 * np.log10(np.clip(excess / max(noise, 1e-12), 1e-3, 1e6)))
