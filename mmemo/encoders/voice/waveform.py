"""Waveforms as voice encoders take them: the speech of one window at a fixed level, and batches of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmemo.evidence import SAMPLE_RATE, Seconds, VoiceEvidence
from mmemo.speech.level import normalize

SHORTEST: Seconds = 0.3
"""A window with less speech than this has no voice."""
MARGIN: Seconds = 0.05
"""Sound that is kept before the first and after the last speech of a window."""


def prepare(voice: VoiceEvidence) -> np.ndarray | None:
    """The sound of one window from its first to its last speech, at level, in training as in inference.

    Returns:
        (N,) float32 mono at 16 kHz; None with less than 0.3 s of speech.

    >>> import numpy as np
    >>> from mmemo.encoders.voice.waveform import prepare
    >>> from mmemo.evidence import VoiceEvidence
    >>> waveform = np.random.default_rng(0).normal(size=32_000).astype(np.float32)
    >>> speech = np.zeros(32_000, bool)
    >>> speech[8_000:16_000] = True  # 0.5 s of speech, with margins of 0.05 s
    >>> prepare(VoiceEvidence(waveform, speech, coverage=0.25)).shape
    (9600,)
    """
    speech = voice.speech
    if np.count_nonzero(speech) < SHORTEST * SAMPLE_RATE:
        return None
    # Silence before and after shows how a corpus was cut, not an emotion.
    indices, margin = np.flatnonzero(speech), int(MARGIN * SAMPLE_RATE)
    stretch = slice(max(0, indices[0] - margin), indices[-1] + 1 + margin)
    waveform = normalize(voice.waveform[stretch], speech[stretch])
    return waveform if waveform.any() else None


def pad(waveforms: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Waveforms of any lengths as (B, N) float32, zero beyond each length, and the lengths (B,) int64 in samples."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = torch.zeros(len(waveforms), int(lengths.max()))
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    return padded, lengths
