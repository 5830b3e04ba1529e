from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmemo import Clip
from mmemo.comparison.corruptions import add_noise, blur, corrupt_words
from mmemo.data.evidence import clip_evidence
from mmemo.encoders.modality import quality_of
from mmemo.evidence import Evidence, TextEvidence
from mmemo.samples import make_clip
from mmemo.speech.line import Line
from mmemo.speech.transcript import Transcript


class Listener:
    """A recognizer that tells how loud the quietest tenth of what it gets is."""

    def __call__(self, segments, language=None):  # type: ignore[no-untyped-def]
        levels = [float(np.quantile(np.abs(sound), 0.1)) for _, sound in segments]
        return Transcript((Line(0.0, 2.0, f"{max(levels):.4f}"),), "recognition", "en"), []


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=3.0, size=(160, 120), rate=2)
    return Clip(path, start=0.5, id="clip")


@pytest.mark.slow
def test_noise_goes_into_the_sound_before_speech_is_detected_and_words_are_recognized(clip: Clip) -> None:
    listener = Listener()
    clean = clip_evidence(clip, ("voice", "text"), listener)
    worse = add_noise(clip, clean, 10.0, rng(), listener)
    assert clean.voice is not None
    assert worse.voice is not None
    assert len(worse.voice.waveform) == len(clean.voice.waveform)
    gain = float(worse.voice.waveform @ clean.voice.waveform) / float(clean.voice.waveform @ clean.voice.waveform)
    added = worse.voice.waveform / gain - clean.voice.waveform
    speech = clean.voice.waveform[clean.voice.speech]
    assert 10 * np.log10(np.mean(np.square(speech)) / np.mean(np.square(added))) == pytest.approx(10, abs=0.3)
    assert quality_of(worse, "voice")[1] < quality_of(clean, "voice")[1]
    assert clean.text is not None
    assert worse.text is not None
    assert float(worse.text.text) > 1.5 * float(clean.text.text)
    drowned = add_noise(clip, clean, -40.0, rng(), listener)
    assert drowned.voice is None or drowned.voice.coverage < clean.voice.coverage


@pytest.mark.slow
def test_given_words_stay_in_noise_and_silence_stays_silent(clip: Clip, tmp_path: Path) -> None:
    spoken = Clip(clip.path, text="What a day.", id="spoken")
    clean = clip_evidence(spoken, ("voice", "text"))
    worse = add_noise(spoken, clean, 0.0, rng(), None)
    assert worse.text == clean.text
    silent = Clip(make_clip(tmp_path / "silent.mp4", seconds=0.5, sound=None), id="silent")
    nothing = clip_evidence(silent, ("voice",))
    assert add_noise(silent, nothing, 0.0, rng(), None) is nothing


@pytest.mark.slow
def test_the_face_is_looked_for_in_the_blurred_picture(clip: Clip) -> None:
    clean = clip_evidence(clip, ("face",))
    soft, lost = (blur(clip, clean, sigma, rng(), None) for sigma in (2.0, 60.0))
    assert clean.face is not None
    assert soft.face is not None
    assert soft.face.quality.mean() < clean.face.quality.mean()
    assert not np.array_equal(soft.face.landmarks, clean.face.landmarks)
    assert lost.face is None or lost.face.coverage < clean.face.coverage
    assert blur(clip, Evidence(0.0, 1.0), 2.0, rng(), None).face is None


def test_words_have_the_given_error_rate() -> None:
    words = [f"word{number}" for number in range(4000)]
    spoken = Clip(text="Yes.", id="spoken")

    def corrupted(text: str, rate: float, seed: int = 0) -> TextEvidence | None:
        clean = Evidence(0.0, 1.0, text=TextEvidence(text, "en", 1.0, 1.0))
        return corrupt_words(spoken, clean, rate, np.random.default_rng(seed), None).text

    worse = corrupted(" ".join(words), 0.3)
    assert worse is not None
    words_after = worse.text.split()
    kept = len([word for word in words_after if word.startswith("word")])
    inserted = len(words_after) - kept
    assert len(words) - kept == pytest.approx(0.2 * 4000, rel=0.1)  # deleted or substituted
    assert inserted == pytest.approx(0.2 * 4000, rel=0.1)  # inserted or substituted
    clean = corrupted("Yes, of course.", 0.0)
    assert clean is not None
    assert clean.text == "Yes, of course."
    assert None in [corrupted("Yes.", 1.0, seed) for seed in range(12)]  # all words lost: absent, not empty
