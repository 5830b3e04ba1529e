"""Whisper in the form of CTranslate2, by faster-whisper: a segment is encoded once, and not much more than its length.

It imports faster-whisper, so it is imported when a model is read and not before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from faster_whisper import WhisperModel

SHORTEST, EMPTY, STEP = 1000, 500, 500
"""Frames of 10 ms that are encoded: at least, after the sound, and in steps of.

Whisper learned from 30 s, mostly with silence at the end: where the sound fills what is encoded, it writes on after the
last word. With 5 s left the words are as good as of 30 s, in a quarter of the time for a sentence.
"""
MISTAKEN = frozenset(
    (
        *("ba", "bo", "br", "cy", "fo", "gu", "haw", "ht", "jw", "la", "lb", "ln", "mg"),
        *("mi", "nn", "oc", "sa", "sn", "su", "tk", "tt", "yi", "yo"),
    )
)
"""Languages for which Whisper takes accents and short words of others; speech in them is recognized if it is named."""


class Whisper(WhisperModel):  # type: ignore[misc]
    """A model of faster-whisper, which by itself encodes a segment twice and always 30 s of it."""

    _encoded: tuple[np.ndarray, Any] | None = None

    def encode(self, features: np.ndarray) -> Any:
        """The encoder's output.

        Args:
            features: (bands, 3000) float32, log mel spectrum; frames after the sound are zeros.
        """
        frames = 1 + int(np.flatnonzero(features.any(axis=0)).max(initial=0))
        longest = max(SHORTEST, -(-(frames + EMPTY) // STEP) * STEP)
        features = np.ascontiguousarray(features[:, :longest])
        encoded = self._encoded
        if encoded is None or not np.array_equal(encoded[0], features):
            encoded = self._encoded = features, super().encode(features)
        return encoded[1]

    def language_probabilities(self, waveform: np.ndarray) -> dict[str, float]:
        """Probability of each language, by its code; of (N,) float32 mono at 16 kHz, at most 30 s."""
        if not self.model.is_multilingual:
            return {"en": 1.0}
        # without the last frame, which it does not encode for the words either
        *_, ranked = self.detect_language(features=self.feature_extractor(waveform)[:, :-1])
        known = {code: float(probability) for code, probability in ranked if code not in MISTAKEN}
        total = sum(known.values())
        return {code: probability / total for code, probability in known.items()}
