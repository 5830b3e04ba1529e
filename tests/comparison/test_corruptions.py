from __future__ import annotations

import numpy as np
import pytest

from mmemo.comparison.corruptions import blurred, misheard, noisy
from mmemo.encoders.modality import quality_of
from mmemo.evidence import Evidence, FaceEvidence, TextEvidence, VoiceEvidence
from mmemo.faces import FaceFinder
from mmemo.samples import portrait, speech


@pytest.mark.parametrize("decibels", [20.0, 0.0])
def test_noise_has_the_ratio_asked_for(decibels: float) -> None:
    sound = speech() * 0.1
    spoken = np.abs(sound) > 0.01
    clean = Evidence(0.0, 4.0, voice=VoiceEvidence(sound, spoken, 1.0))
    worse = noisy(clean, decibels, np.random.default_rng(0))
    assert worse.voice is not None
    added = worse.voice.waveform - sound
    ratio = 10 * np.log10(np.mean(np.square(sound[spoken])) / np.mean(np.square(added)))
    assert ratio == pytest.approx(decibels, abs=0.2)
    assert quality_of(worse, "voice")[1] < quality_of(clean, "voice")[1]
    assert noisy(Evidence(0.0, 1.0), decibels, np.random.default_rng(0)).voice is None


def test_blur_takes_detail_and_trust() -> None:
    (face,) = FaceFinder().find(portrait())
    crops = face.crop[None]
    evidence = FaceEvidence(
        0, np.zeros(1), crops, np.array([face.quality], np.float32), face.landmarks[None], face.blendshapes[None],
        face.pose[None], face.box[None], (300, 300), 1.0,
    )  # fmt: skip
    clean = Evidence(0.0, 1.0, face=evidence)
    found = [blurred(clean, sigma, np.random.default_rng(0)).face for sigma in (1.0, 4.0, 8.0)]
    trust = [float(one.quality[0]) for one in found if one is not None]
    assert face.quality > trust[0] > trust[1] >= trust[2]
    detail = [np.abs(np.diff(one.crops.astype(float), axis=1)).mean() for one in found if one is not None]
    assert detail[0] > detail[1] > detail[2]


def test_words_have_the_error_rate_asked_for() -> None:
    words = [f"word{number}" for number in range(4000)]
    clean = Evidence(0.0, 1.0, text=TextEvidence(" ".join(words), "en", 1.0, 1.0))
    worse = misheard(clean, 0.3, np.random.default_rng(0))
    assert worse.text is not None
    heard = worse.text.text.split()
    kept = len([word for word in heard if word.startswith("word")])
    put_in = len(heard) - kept
    assert len(words) - kept == pytest.approx(0.2 * 4000, rel=0.1)  # left out, or another put for it
    assert put_in == pytest.approx(0.2 * 4000, rel=0.1)  # put in, or put for another
    assert misheard(clean, 0.0, np.random.default_rng(0)).text == clean.text
    alone = Evidence(0.0, 1.0, text=TextEvidence("Yes.", "en", 1.0, 1.0))
    seen = [misheard(alone, 1.0, np.random.default_rng(seed)).text for seed in range(12)]
    assert None in seen  # all words lost: the modality is absent, not empty
