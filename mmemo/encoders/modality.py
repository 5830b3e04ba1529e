"""What scoring and fusion know of a modality: whose it is, how much of a window has it, and how far to trust it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mmemo.encoders.voice.signal_to_noise import voice_trust
from mmemo.evidence import Evidence

Measure = Callable[[Evidence], float | None]
"""A number from 0 to 1 of a window; None where its evidence is absent."""


@dataclass(frozen=True)
class Modality:
    """One modality.

    Attributes:
        name: as `mmemo.encoders.base.Encoder.modality` states it.
        owner: whose it is: "face" of each face in view, "speaker" of the person who speaks, None of the whole scene.
        coverage: share of the window with evidence; 1 by default, as only the encoder of a user's own modality knows.
        trust: how far the evidence can be trusted; 1 by default.
        trust_is_probability: True where the trust is the probability that the evidence is right, so that a fusion head
            may multiply its weights by it. What other trusts are worth, a head must learn.
    """

    name: str
    owner: Literal["face", "speaker"] | None = None
    coverage: Measure = lambda _: 1.0
    trust: Measure = lambda _: 1.0
    trust_is_probability: bool = False


def _clipped(value: float | np.floating) -> float:
    return float(np.clip(value, 0, 1))


MODALITIES = {
    modality.name: modality
    for modality in (
        Modality(
            "face",
            "face",
            lambda window: None if window.face is None else float(window.face.coverage),
            lambda window: None if window.face is None else _clipped(np.mean(window.face.quality)),
        ),
        Modality(
            "voice",
            "speaker",
            lambda window: None if window.voice is None else float(window.voice.coverage),
            lambda window: None if window.voice is None else voice_trust(window.voice),
        ),
        Modality(
            "text",
            "speaker",
            lambda window: None if window.text is None else float(window.text.coverage),
            lambda window: None if window.text is None else _clipped(window.text.confidence),
            trust_is_probability=True,
        ),
    )
}
"""The modalities whose evidence mmemo extracts."""


def modality_named(name: str) -> Modality:
    """One of `MODALITIES`; any other name is a user's own modality, of the whole scene."""
    return MODALITIES.get(name) or Modality(name)


def quality_of(evidence: Evidence, name: str) -> tuple[float, float]:
    """Coverage and trust of one modality in a window, each from 0 to 1; (1, 1) for a user's own, or where it is absent.

    The trust is the mean quality of the crops (`mmemo.faces.quality`), the signal-to-noise ratio of the sound on a ramp
    from 0 to 25 dB, the confidence of the words.
    """
    modality = modality_named(name)
    coverage, trust = modality.coverage(evidence), modality.trust(evidence)
    return (1.0, 1.0) if coverage is None or trust is None else (coverage, trust)
