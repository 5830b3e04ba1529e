"""The voice in sound as people bring it: too short, too long, one-sided, clipped, over the telephone, with music."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from mmemo import Analyzer, EmotionResult
from mmemo.errors import MissingStreamError
from mmemo.samples import sound, speech

pytestmark = pytest.mark.slow

RATE = 16_000


@pytest.fixture(scope="module")
def listener() -> Analyzer:
    return Analyzer(modalities=("voice",))


@pytest.fixture(scope="module")
def plain(listener: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> EmotionResult:
    return listener(write(tmp_path_factory.mktemp("plain") / "plain.wav", sound("speech", 4.0)))


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """16-bit WAV of (N,) or (N, channels)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1] if samples.ndim == 2 else 1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    return path


def music(seconds: float) -> np.ndarray:
    """A progression of plucked chords over a bass and a beat."""
    time = np.arange(int(seconds * RATE)) / RATE
    out = np.zeros(len(time))
    for beat in np.arange(0, seconds, 0.5):
        chord = [(220, 277, 330), (196, 247, 294), (175, 220, 262), (196, 247, 392)][int(beat / 2) % 4]
        after = np.clip(time - beat, 0, None)
        ring = np.where(time >= beat, np.exp(-4 * after), 0)
        for note in (*chord, chord[0] / 2):
            out += 0.05 * ring * sum(np.sin(2 * np.pi * k * note * after) / k for k in (1, 2, 3))
        out += (
            0.05 * np.where(time >= beat, np.exp(-60 * after), 0) * np.random.default_rng(0).standard_normal(len(time))
        )
    return out


def apart(result: EmotionResult, plain: EmotionResult) -> float:
    """Half the sum of the differences of two results' scores: 0 to 1."""
    return sum(abs(result.scores[label] - plain.scores[label]) for label in plain.scores) / 2


def test_stereo_with_speech_on_one_side(listener: Analyzer, plain: EmotionResult, tmp_path: Path):
    one = sound("speech", 4.0)
    for place, sides in enumerate(([one, one * 0], [one * 0, one])):
        result = listener(write(tmp_path / f"{place}.wav", np.stack(sides, axis=1)))
        assert result.modalities["voice"].coverage == pytest.approx(plain.modalities["voice"].coverage, abs=0.05)
        assert apart(result, plain) < 0.05


def test_an_offset(listener: Analyzer, plain: EmotionResult, tmp_path: Path):
    assert apart(listener(write(tmp_path / "offset.wav", sound("speech", 4.0) * 0.5 + 0.3)), plain) < 0.1


@pytest.mark.parametrize("level_db", [-40, -20, 0])
def test_level(listener: Analyzer, plain: EmotionResult, tmp_path: Path, level_db: int):
    one = sound("speech", 4.0)
    scaled = one / np.abs(one).max() * 10 ** (level_db / 20)
    assert apart(listener(write(tmp_path / "level.wav", scaled)), plain) < 0.05


def test_clipping(listener: Analyzer, plain: EmotionResult, tmp_path: Path):
    """12 dB into the rails; it sounds different, and speech is still found."""
    one = sound("speech", 4.0)
    result = listener(write(tmp_path / "clipped.wav", one / np.abs(one).max() * 4))
    assert result.modalities["voice"].coverage == pytest.approx(plain.modalities["voice"].coverage, abs=0.15)
    assert apart(result, plain) < 0.6


def test_the_telephone(listener: Analyzer, plain: EmotionResult, tmp_path: Path):
    spectrum = np.fft.rfft(sound("speech", 4.0))
    frequency = np.fft.rfftfreq(4 * RATE, 1 / RATE)
    spectrum[(frequency < 300) | (frequency > 3400)] = 0
    narrow = np.fft.irfft(spectrum)[::2]
    result = listener(write(tmp_path / "telephone.wav", narrow, 8000))
    assert result.modalities["voice"].coverage == pytest.approx(plain.modalities["voice"].coverage, abs=0.15)
    assert apart(result, plain) < 0.6


def test_a_tenth_of_a_second(listener: Analyzer, tmp_path: Path):
    with pytest.raises(MissingStreamError, match=r"looked for: voice\. There is (no voice|too little of the voice)"):
        listener(write(tmp_path / "short.wav", speech()[RATE : RATE + 1600]))


def test_music_alone_has_no_voice(listener: Analyzer, tmp_path: Path):
    with pytest.raises(MissingStreamError, match="There is no voice"):
        listener(write(tmp_path / "music.wav", music(6.0)))


def test_twenty_minutes_of_which_six_seconds_are_speech(listener: Analyzer, tmp_path: Path):
    long = sound("noise", 1200.0) * 0.1
    long[300 * RATE : 303 * RATE] += sound("speech", 3.0)
    long[1190 * RATE : 1193 * RATE] += sound("speech", 3.0)
    result = listener(write(tmp_path / "long.wav", long))
    assert result.duration == pytest.approx(1200, abs=0.1)
    heard = {round(segment.start) for segment in result.segments}
    assert {300, 301, 1190, 1191} <= heard <= {298, 299, 300, 301, 302, 303, 1188, 1189, 1190, 1191, 1192, 1193}
    assert result.modalities["voice"].coverage < 0.01


def test_prosody_on_request(listener: Analyzer, plain: EmotionResult, tmp_path: Path):
    assert plain.prosody is None
    assert plain.to_dict()["prosody"] is None
    path = write(tmp_path / "speech.wav", np.concatenate([np.zeros(RATE), sound("speech", 4.0)]))
    asked = Analyzer(modalities=("voice",), prosody=True)(path)
    assert asked.prosody is not None
    assert asked.speech is not None
    spoken = asked.prosody.times[np.isfinite(asked.prosody.pitch)]
    assert len(spoken) > 50
    assert all(any(begin <= time < end for begin, end in asked.speech) for time in spoken)
    assert 60 < asked.prosody.summary["pitch"] < 400
    again = EmotionResult.from_dict(asked.to_dict()).prosody
    assert again is not None
    np.testing.assert_allclose(again.pitch, asked.prosody.pitch, atol=0.06)
    np.testing.assert_allclose(again.rate, asked.prosody.rate, atol=0.006)
    assert again.pauses == tuple((round(a, 3), round(b, 3)) for a, b in asked.prosody.pauses)
    assert len(asked.to_json().splitlines()) < 300
    # A span of the file keeps the file's times.
    from mmemo import Clip

    part = Analyzer(modalities=("voice",), prosody=True)(Clip(path, start=2.0, end=4.0)).prosody
    assert part is not None
    assert part.times[0] == 2.0
    same = np.isfinite(part.pitch[5:-5]) & np.isfinite(asked.prosody.pitch[105:195])
    assert same.sum() > 20
    np.testing.assert_allclose(part.pitch[5:-5][same], asked.prosody.pitch[105:195][same], rtol=0.02)


def test_prosody_is_drawn_under_the_sound(tmp_path: Path):
    pytest.importorskip("matplotlib")
    path = write(tmp_path / "speech.wav", sound("speech", 4.0))
    figure = Analyzer(modalities=("voice",), prosody=True)(path).plot()
    rows = {text.get_text(): axes for axes in figure.axes for text in axes.texts}
    drawn = rows["Pitch, rate"]
    assert drawn.get_position().y0 < rows["Sound"].get_position().y0
    assert len(drawn.lines) >= 2
    assert any("syllables/s" in text.get_text() for text in drawn.texts)


def test_nobody_speaks_so_there_is_no_prosody():
    assert Analyzer(prosody=True)(text="What a day.").prosody is None
