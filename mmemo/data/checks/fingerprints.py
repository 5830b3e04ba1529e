"""Perceptual fingerprints of pictures, videos and sounds, which survive another format, size or level.

A fingerprint is a unit vector. The product of two is their correlation: 1 for the same picture or sound, near 1 for a
copy that was compressed, scaled or made louder, clearly lower for another take of the same scene.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np

from mmemo.evidence import SAMPLE_RATE

PICTURE_SIDE = 16
MOTION_FRAMES, MOTION_SIDE = 8, 12
BANDS, SLOTS = 24, 32
_FRAME, _HOP = 512, 256
_FLOOR_DB = -22.0
"""Below the loudest frame: what is quieter before the first and after the last sound is left out."""
_QUIETEST = 1e-3
"""Of the strongest band: added to every band, so that faint noise counts little."""


def picture_fingerprint(picture: np.ndarray) -> np.ndarray:
    """Fingerprint of a still picture (H, W, 3) uint8: its gray values at 16 x 16, (256,) float32."""
    return unit(_gray(picture, PICTURE_SIDE))


def motion_fingerprint(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Fingerprint of a video's pictures, in order: how eight of them differ from their mean, (1152,) float32.

    The scene itself is taken out: two takes of one person before one wall look the same and move differently. A video
    in which nothing moves gives zeros, which correlate with no other.
    """
    chosen = np.linspace(0, len(pictures) - 1, MOTION_FRAMES).round().astype(int)
    frames = np.stack([_gray(pictures[i], MOTION_SIDE) for i in chosen])
    moved = frames - frames.mean(axis=0)
    return unit(moved) if moved.std() > 0.5 else np.zeros(moved.size, np.float32)


def sound_fingerprint(waveform: np.ndarray) -> np.ndarray:
    """Fingerprint of a sound (N,) float32 at 16 kHz: 24 bands over 32 slots of its length, (768,) float32.

    Each band's log energy loses its mean, so that neither level nor frequency response of the recording counts. Silence
    before and after the sound is left out; silence alone gives zeros.
    """
    if len(waveform) < 4 * _FRAME:
        return np.zeros(BANDS * SLOTS, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, _FRAME)[::_HOP] * np.hanning(_FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    loud = 10 * np.log10(power.sum(axis=1) + 1e-12)
    audible = np.flatnonzero(loud > max(loud.max() + _FLOOR_DB, -80.0))
    if len(audible) < 4:
        return np.zeros(BANDS * SLOTS, np.float32)
    power = power[audible[0] : audible[-1] + 1]
    edges = np.unique(np.geomspace(100, 7000, BANDS + 1) / SAMPLE_RATE * _FRAME).astype(int)
    bands = np.stack([power[:, a : max(b, a + 1)].sum(axis=1) for a, b in pairwise(edges)])
    level = 10 * np.log10(bands + bands.max() * _QUIETEST + 1e-12)
    slots = cv2.resize(level.astype(np.float32), (SLOTS, BANDS), interpolation=cv2.INTER_AREA)
    return unit(slots - slots.mean(axis=1, keepdims=True))


def unit(values: np.ndarray) -> np.ndarray:
    """Values as one vector of zero mean and length 1, float32; zeros where all are equal."""
    vector = values.astype(np.float32).ravel()
    vector = vector - vector.mean()
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-6 else np.zeros_like(vector)


def remove_mean(fingerprints: np.ndarray) -> np.ndarray:
    """Fingerprints (N, D) without what all of them share (every face has two eyes), as unit vectors again."""
    if len(fingerprints) < 50:  # too few for a mean
        return fingerprints
    mean = fingerprints[np.any(fingerprints, axis=1)].mean(axis=0)
    return np.stack([unit(row) for row in fingerprints - mean])


def similar_pairs(fingerprints: np.ndarray, threshold: float, block: int = 2048) -> Iterator[tuple[int, int, float]]:
    """Pairs (i, j), i < j, of fingerprints (N, D) that correlate by ``threshold`` or more, and their correlation."""
    for first in range(0, len(fingerprints), block):
        rows = fingerprints[first : first + block]
        correlation = rows @ fingerprints[first:].T
        for i, j in np.argwhere(correlation >= threshold):
            if i < j:
                yield first + int(i), first + int(j), float(correlation[i, j])


def _gray(picture: np.ndarray, side: int) -> np.ndarray:
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
