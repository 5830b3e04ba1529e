from __future__ import annotations

import numpy as np
import pytest

from mmemo.encoders.modality import quality_of
from mmemo.encoders.quality import signal_to_noise
from mmemo.evidence import Evidence, TextEvidence, VoiceEvidence
from mmemo.samples import sound, speech


def test_signal_to_noise_by_hand() -> None:
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.01, 32_000)
    said = np.zeros(32_000, bool)
    said[8_000:24_000] = True
    waveform[said] += rng.normal(0, 0.1, 16_000)  # 20 dB above
    assert signal_to_noise(waveform, said) == pytest.approx(20, abs=1.5)
    assert signal_to_noise(np.zeros(10), np.ones(10, bool)) == 0.0


def test_noise_lowers_the_trust_in_a_voice() -> None:
    clean = speech()
    said = np.ones(len(clean), bool)
    noise = 10 * sound("noise", len(clean) / 16_000)[: len(clean)]
    quiet, loud = (
        quality_of(Evidence(0.0, 1.0, voice=VoiceEvidence(wave, said, 0.9)), "voice") for wave in (clean, clean + noise)
    )
    assert quiet[0] == loud[0] == 0.9
    assert quiet[1] > loud[1] + 0.2


def test_words_have_their_confidence_and_what_is_unknown_is_trusted() -> None:
    evidence = Evidence(0.0, 1.0, text=TextEvidence("Good.", "en", 0.4, 0.5))
    assert quality_of(evidence, "text") == (0.5, 0.4)
    assert quality_of(evidence, "gaze") == (1.0, 1.0)
