import sys
from pathlib import Path

import numpy as np
import pytest

from mmemo.errors import ArgumentError, MissingExtraError
from mmemo.media import waveform
from mmemo.speech.activity import speech_spans
from mmemo.speech.prosody import STEP, Prosody, measure

pytest.importorskip("librosa")
pytestmark = pytest.mark.slow

RATE = 16_000
SPEECH = Path(__file__).parents[2] / "mmemo" / "sample_media" / "speech.opus"


def buzz(frequency: np.ndarray, level: float = 0.1) -> np.ndarray:
    """A voice-like sound with harmonics that fall by 6 dB an octave; frequency (N,) in Hz, one a sample."""
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    return (level * sum(np.sin(k * phase) / k for k in range(1, 9))).astype(np.float32)


def steady(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return buzz(np.full(int(seconds * RATE), frequency))


@pytest.mark.parametrize("frequency", [65.0, 100.0, 187.3, 260.0, 400.0, 480.0])
def test_pitch_of_a_steady_voice(frequency: float):
    found = measure([steady(frequency)], [(0.0, 1.0)])
    inside = found.pitch[4:-4]
    assert np.isfinite(inside).all()
    np.testing.assert_allclose(inside, frequency, rtol=0.01)


def test_a_glide_is_followed_in_time():
    frequency = np.linspace(120, 240, 2 * RATE)
    found = measure([buzz(frequency)], [(0.0, 2.0)])
    expected = np.interp(found.times, np.arange(2 * RATE) / RATE, frequency)
    np.testing.assert_allclose(found.pitch[4:-4], expected[4:-4], rtol=0.02)


def test_a_long_melody_has_no_seams_whatever_the_blocks():
    """It is measured in stretches of 10 s, and moves by up to 2% from value to value."""
    frequency = 150 * 2 ** (0.5 * np.sin(np.pi * np.arange(21 * RATE) / RATE))
    sound = buzz(frequency)
    whole = measure([sound], [(0.0, 21.0)])
    expected = np.interp(whole.times, np.arange(len(sound)) / RATE, frequency)
    np.testing.assert_allclose(whole.pitch[4:-4], expected[4:-4], rtol=0.01)
    np.testing.assert_array_equal(measure(np.split(sound, 1000), [(0.0, 21.0)]).pitch, whole.pitch)


def test_a_noisy_voice_has_the_pitch_of_its_octave():
    """A fundamental below its second harmonic, as in a telephone, and noise 10 dB below the voice."""
    phase = 2 * np.pi * 150 * np.arange(2 * RATE) / RATE
    voice = sum(level * np.sin(k * phase) for k, level in enumerate((0.1, 0.3, 0.5, 0.4, 0.2), 1))
    noise = np.random.default_rng(0).standard_normal(len(phase)) * np.std(voice) * 10 ** (-10 / 20)
    found = measure([(voice + noise).astype(np.float32)], [(0.0, 2.0)]).pitch[4:-4]
    assert np.isfinite(found).mean() > 0.9
    np.testing.assert_allclose(found[np.isfinite(found)], 150, rtol=0.02)


def test_noise_and_silence_have_no_pitch():
    noise = (np.random.default_rng(0).standard_normal(RATE) * 0.1).astype(np.float32)
    assert np.isnan(measure([noise], [(0.0, 1.0)]).pitch).mean() > 0.9
    silent = measure([np.zeros(RATE, np.float32)], [(0.0, 1.0)])
    assert np.isnan(silent.pitch).all()
    assert (silent.energy == -100).all()


def test_where_nobody_speaks_there_is_no_pitch_and_no_rate():
    found = measure([steady(200, 2.0)], [(0.5, 1.0)])
    assert np.isfinite(found.pitch[26:49]).all()
    assert np.isnan(found.pitch[:25]).all()
    assert np.isnan(found.pitch[50:]).all()
    assert np.isnan(found.rate[50:]).all()


def test_energy_is_the_level_whatever_the_offset():
    tone = (0.1 * np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)
    for offset in (0.0, 0.3):
        np.testing.assert_allclose(measure([tone + np.float32(offset)], []).energy[2:-2], -20, atol=0.2)


@pytest.mark.parametrize("rate", [2.0, 4.0, 6.0])
def test_rate_counts_the_syllables(rate: float):
    time = np.arange(4 * RATE) / RATE
    swell = 0.02 + np.sin(np.pi * rate * time) ** 2
    found = measure([(steady(150, 4.0) * swell).astype(np.float32)], [(0.0, 4.0)])
    assert found.rate[75:125].mean() == pytest.approx(rate, rel=0.12)


def test_pauses_lie_between_spans():
    found = measure([np.zeros(4 * RATE, np.float32)], [(0.5, 1.0), (1.1, 2.0), (2.6, 3.0)])
    assert found.pauses == ((2.0, 2.6),)
    assert found.summary["pause_share"] == pytest.approx(0.6 / 2.5, abs=0.01)


def test_blocks_and_start_change_nothing():
    sound = waveform(SPEECH)
    spans = speech_spans([sound]).spans
    whole = measure([sound], spans)
    parts = measure(np.array_split(sound, 37), spans)
    for name in ("pitch", "energy", "rate"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-3)
    later = measure([sound], [(begin + 7, end + 7) for begin, end in spans], 7.0)
    np.testing.assert_array_equal(later.pitch, whole.pitch)
    assert later.times[0] == 7.0
    assert len(whole.pitch) == -(-len(sound) // int(STEP * RATE))


def test_gain_moves_the_energy_and_nothing_else():
    sound = waveform(SPEECH)
    spans = speech_spans([sound]).spans
    loud, quiet = measure([sound], spans), measure([sound * np.float32(0.01)], spans)
    np.testing.assert_allclose(quiet.energy, np.maximum(loud.energy - 40, -100), atol=0.1)
    assert quiet.summary == loud.summary


def test_real_speech_is_plausible():
    sound = waveform(SPEECH)
    summary = measure([sound], speech_spans([sound]).spans).summary
    assert 70 < summary["pitch"] < 300
    assert 1 < summary["pitch_range"] < 30
    assert 2 < summary["rate"] < 8


def test_nothing_and_a_sliver():
    empty = measure([], [])
    assert empty.summary == {"pitch": None, "pitch_range": None, "rate": None, "pause_share": None}
    assert len(measure([np.zeros(10, np.float32)], [(0.0, 1.0)]).pitch) == 1
    broken = steady(200)
    broken[::97] = np.nan
    assert np.isfinite(measure([broken], [(0.0, 1.0)]).energy).all()


def test_shapes_are_checked():
    with pytest.raises(ArgumentError, match="one shape"):
        Prosody(0.0, np.zeros(3), np.zeros(4), np.zeros(3), ())


def test_without_librosa_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingExtraError, match=r"mmemo\[prosody\]"):
        measure([steady(200)], [(0.0, 1.0)])
