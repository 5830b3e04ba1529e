"""Augmentation of speech: level, noise, rooms, telephone bands and gaps, which leave the emotion unchanged.

All functions take and return (N,) float32 mono at 16 kHz and draw from the generator they are passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from mmemo.evidence import SAMPLE_RATE


@dataclass(frozen=True)
class Augmentation:
    """Probabilities and strengths of all augmentations; saved beside the weights.

    Attributes:
        gain_db: standard deviation of the level, in dB, around the level of `mmemo.speech.level.normalize`.
        noise: share of the samples that get noise of a random color.
        snr_db: lowest and highest ratio of speech to noise, in dB.
        band: share that is band-limited, as over a telephone or from another room.
        room: share that gets the echo of a room.
        mask: share in which a stretch of up to ``longest_mask`` seconds is silenced.
    """

    gain_db: float = 3.0
    noise: float = 0.5
    snr_db: tuple[float, float] = (5.0, 35.0)
    band: float = 0.3
    room: float = 0.25
    mask: float = 0.3
    longest_mask: float = 0.25

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random augmentation of ``waveform``, of the same length, in [-1, 1]."""
        if rng.random() < self.room:
            waveform = add_room(waveform, rng)
        if rng.random() < self.band:
            waveform = limit_band(waveform, rng)
        if rng.random() < self.noise:
            waveform = add_noise(waveform, rng.uniform(*self.snr_db), rng)
        if rng.random() < self.mask:
            waveform = mask_stretch(waveform, int(self.longest_mask * SAMPLE_RATE), rng)
        gain = 10 ** (rng.normal(0, self.gain_db) / 20)
        return np.clip(waveform * gain, -1, 1).astype(np.float32)


def add_noise(waveform: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise whose power falls with frequency as 1/f**c, c between 0 (white) and 2 (brown)."""
    spectrum = rfft(rng.standard_normal(len(waveform), np.float32))
    spectrum[1:] *= np.arange(1, len(spectrum), dtype=np.float32) ** np.float32(-rng.uniform(0, 2) / 2)
    spectrum[0] = 0
    noise = irfft(spectrum, len(waveform))
    power = np.mean(np.square(waveform)) / max(np.mean(np.square(noise)), 1e-12)
    return np.asarray(waveform + noise * np.sqrt(power / 10 ** (snr_db / 10)), np.float32)


def add_room(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add the echo of a room of random size and distance; the direct sound stays in place and the level unchanged.

    The echo is noise that decays by 60 dB in 0.1 to 0.8 s, begins up to 20 ms late, and has -15 to 3 dB of the
    direct sound's energy.
    """
    decay, late = rng.uniform(0.1, 0.8), int(rng.uniform(0.001, 0.02) * SAMPLE_RATE)
    time = np.arange(int(decay * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    echo = rng.standard_normal(len(time), np.float32) * 10 ** (-3 * time / np.float32(decay))
    echo *= 10 ** (rng.uniform(-15, 3) / 20) / np.sqrt(np.sum(np.square(echo)))
    size = next_fast_len(len(waveform) + late + len(echo), real=True)
    response = np.zeros(size, np.float32)
    response[0], response[late : late + len(echo)] = 1, echo
    reverberant = irfft(rfft(waveform, size) * rfft(response), size)[: len(waveform)]
    scale = np.sqrt(np.mean(np.square(waveform)) / max(np.mean(np.square(reverberant)), 1e-12))
    return np.asarray(reverberant * scale, np.float32)


def limit_band(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Attenuate frequencies below a random 60 to 400 Hz or above a random 2.5 to 7 kHz, by 12 to 48 dB an octave."""
    spectrum = rfft(waveform)
    frequency = np.linspace(0, SAMPLE_RATE / 2, len(spectrum), dtype=np.float32)
    low, high, order = rng.uniform(60, 400), rng.uniform(2500, 7000), rng.uniform(2, 8)
    if rng.random() < 0.7:
        spectrum /= np.sqrt(1 + (frequency / high) ** (2 * order))
    if rng.random() < 0.7:
        spectrum /= np.sqrt(1 + (low / np.maximum(frequency, 20)) ** (2 * order))
    return np.asarray(irfft(spectrum, len(waveform)), np.float32)


def mask_stretch(waveform: np.ndarray, longest: int, rng: np.random.Generator) -> np.ndarray:
    """Silence a random stretch of at most ``longest`` samples and a quarter of the whole."""
    size = int(rng.uniform(0, min(longest, len(waveform) // 4)))
    first = int(rng.integers(0, len(waveform) - size + 1))
    masked = waveform.copy()
    masked[first : first + size] = 0
    return masked


def change_speed(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Play ``factor`` times as fast: shorter, and higher in pitch, by linear interpolation; length N / factor."""
    places = np.arange(0, len(waveform) - 1, factor)
    return np.asarray(np.interp(places, np.arange(len(waveform)), waveform), np.float32)
