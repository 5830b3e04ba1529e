from __future__ import annotations

import numpy as np
import pytest

from mmemo.encoders.modality import MODALITIES, Modality, modality_named, quality_of
from mmemo.evidence import Evidence, FaceEvidence, TextEvidence, VoiceEvidence


def face(quality: list[float], coverage: float) -> FaceEvidence:
    n = len(quality)
    return FaceEvidence(
        person=0,
        times=np.arange(n) / 25,
        crops=np.zeros((n, 8, 8, 3), np.uint8),
        quality=np.array(quality, np.float32),
        landmarks=np.zeros((n, 478, 3), np.float32),
        blendshapes=np.zeros((n, 52), np.float32),
        pose=np.zeros((n, 3), np.float32),
        box=np.zeros((n, 4), np.float32),
        frame_size=(8, 8),
        coverage=coverage,
    )


def test_coverage_and_trust_of_each_modality() -> None:
    voice = VoiceEvidence(np.zeros(32_000, np.float32), np.ones(32_000, bool), 0.75)
    window = Evidence(0.0, 2.0, face([0.25, 0.75], 0.5), voice, TextEvidence("Good.", "en", 0.4, 0.3))
    assert quality_of(window, "face") == (0.5, 0.5)
    assert quality_of(window, "voice") == (0.75, 0.0)
    assert quality_of(window, "text") == (0.3, 0.4)


@pytest.mark.parametrize("name", ["face", "voice", "text", "gaze"])
def test_what_is_absent_or_a_users_own_is_trusted(name: str) -> None:
    assert quality_of(Evidence(0.0, 2.0), name) == (1.0, 1.0)
    assert modality_named(name).coverage(Evidence(0.0, 2.0)) == (1.0 if name == "gaze" else None)


def test_whose_a_modality_is() -> None:
    assert {name: modality.owner for name, modality in MODALITIES.items()} == {
        "face": "face",
        "voice": "speaker",
        "text": "speaker",
    }
    assert [name for name, modality in MODALITIES.items() if modality.trust_is_probability] == ["text"]
    own = modality_named("heart-rate")
    assert (own.name, own.owner, own.trust_is_probability) == ("heart-rate", None, False)
    assert isinstance(own, Modality)
