"""Level normalization of a voice, the same in training and in analysis."""

from __future__ import annotations

import numpy as np

from mmemo.errors import ArgumentError

TARGET_DB = -26.0
"""dBFS: the root mean square of the speech after `normalize` (the nominal level of ITU-T P.56 practice)."""
KNEE = 0.7
"""Size of a sample above which it is bent."""


def normalize(waveform: np.ndarray, speech_mask: np.ndarray) -> np.ndarray:
    """Remove DC and bring the speech in ``waveform`` to -26 dBFS; the result does not depend on the recording's gain.

    The level of a recording depends on the corpus or the microphone, not on the emotion, so it must not reach a model.
    It is measured where somebody speaks only: pauses and their length would otherwise change it. Peaks are bent
    smoothly instead of cut. NaN and infinite samples become silence.

    Args:
        waveform: (N,) float, mono.
        speech_mask: (N,) bool, True where somebody speaks. Without any True the whole waveform is measured.

    Returns:
        (N,) float32 in [-1, 1]; zeros where the waveform holds no sound.

    Raises:
        ArgumentError: if the two differ in shape, or are not one-dimensional.
    """
    if waveform.ndim != 1 or waveform.shape != speech_mask.shape:
        raise ArgumentError(
            f"normalize: expected waveform and mask of one shape (N,), got {waveform.shape} and {speech_mask.shape}."
        )
    valid = np.isfinite(waveform)
    measured = valid & speech_mask if (valid & speech_mask).any() else valid
    if not measured.any():
        return np.zeros(waveform.shape, np.float32)
    sound = np.where(valid, waveform, 0).astype(np.float64)
    sound = np.where(valid, sound - sound[measured].mean(), 0)
    level = np.sqrt(np.mean(np.square(sound[measured])))
    if level < 1e-7:
        return np.zeros(waveform.shape, np.float32)
    return _soft_clip(sound * (10 ** (TARGET_DB / 20) / level)).astype(np.float32)


def _soft_clip(sound: np.ndarray) -> np.ndarray:
    """Straight up to the knee, a hyperbolic tangent above it that nears 1 and keeps the slope at the knee."""
    loud, room = np.abs(sound) > KNEE, 1 - KNEE
    bent, size = sound.copy(), np.abs(sound[loud])
    bent[loud] = np.sign(sound[loud]) * (KNEE + room * np.tanh((size - KNEE) / room))
    return bent
