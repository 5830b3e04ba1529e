from __future__ import annotations

import numpy as np
import pytest

from mmemo.comparison.corruptions import add_noise, blur, corrupt_words
from mmemo.encoders.modality import quality_of
from mmemo.evidence import Evidence, FaceEvidence, TextEvidence, VoiceEvidence
from mmemo.faces import FaceFinder
from mmemo.samples import portrait, speech


@pytest.mark.parametrize("decibels", [20.0, 0.0])
def test_noise_has_the_given_signal_to_noise_ratio(decibels: float) -> None:
    sound = speech() * 0.1
    speech_mask = np.abs(sound) > 0.01
    clean = Evidence(0.0, 4.0, voice=VoiceEvidence(sound, speech_mask, 1.0))
    worse = add_noise(clean, decibels, np.random.default_rng(0))
    assert worse.voice is not None
    added = worse.voice.waveform - sound
    ratio = 10 * np.log10(np.mean(np.square(sound[speech_mask])) / np.mean(np.square(added)))
    assert ratio == pytest.approx(decibels, abs=0.2)
    assert quality_of(worse, "voice")[1] < quality_of(clean, "voice")[1]
    assert add_noise(Evidence(0.0, 1.0), decibels, np.random.default_rng(0)).voice is None


def test_blur_lowers_detail_and_quality() -> None:
    (face,) = FaceFinder().find(portrait())
    crops = face.crop[None]
    evidence = FaceEvidence(
        0, np.zeros(1), crops, np.array([face.quality], np.float32), face.landmarks[None], face.blendshapes[None],
        face.pose[None], face.box[None], (300, 300), 1.0,
    )  # fmt: skip
    clean = Evidence(0.0, 1.0, face=evidence)
    blurred = [blur(clean, sigma, np.random.default_rng(0)).face for sigma in (1.0, 4.0, 8.0)]
    quality = [float(one.quality[0]) for one in blurred if one is not None]
    assert face.quality > quality[0] > quality[1] >= quality[2]
    detail = [np.abs(np.diff(one.crops.astype(float), axis=1)).mean() for one in blurred if one is not None]
    assert detail[0] > detail[1] > detail[2]


def test_words_have_the_given_error_rate() -> None:
    words = [f"word{number}" for number in range(4000)]
    clean = Evidence(0.0, 1.0, text=TextEvidence(" ".join(words), "en", 1.0, 1.0))
    worse = corrupt_words(clean, 0.3, np.random.default_rng(0))
    assert worse.text is not None
    words_after = worse.text.text.split()
    kept = len([word for word in words_after if word.startswith("word")])
    inserted = len(words_after) - kept
    assert len(words) - kept == pytest.approx(0.2 * 4000, rel=0.1)  # deleted or substituted
    assert inserted == pytest.approx(0.2 * 4000, rel=0.1)  # inserted or substituted
    assert corrupt_words(clean, 0.0, np.random.default_rng(0)).text == clean.text
    alone = Evidence(0.0, 1.0, text=TextEvidence("Yes.", "en", 1.0, 1.0))
    results = [corrupt_words(alone, 1.0, np.random.default_rng(seed)).text for seed in range(12)]
    assert None in results  # all words lost: the modality is absent, not empty
