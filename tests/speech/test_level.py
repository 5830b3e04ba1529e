import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.speech.level import TARGET_DB, normalize

RATE = 16_000


def voice(seconds: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A second of modulated noise between pauses, and the mask of the noisy part."""
    rng = np.random.default_rng(0)
    half = int(seconds * RATE / 2)
    sound = np.concatenate([np.zeros(half), rng.standard_normal(2 * half) * 0.1, np.zeros(half)])
    mask = np.concatenate([np.zeros(half, bool), np.ones(2 * half, bool), np.zeros(half, bool)])
    return sound.astype(np.float32), mask


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64))))


def test_speech_reaches_the_target_level_whatever_the_pauses():
    sound, mask = voice()
    assert level_db(normalize(sound, mask)[mask]) == pytest.approx(TARGET_DB, abs=0.05)
    spoken = normalize(sound[mask], mask[mask])
    np.testing.assert_allclose(normalize(sound, mask)[mask], spoken, atol=1e-6)


@pytest.mark.parametrize("gain_db", [-40.0, -26.0, -13.0, 0.0])
def test_gain_does_not_matter(gain_db: float):
    sound, mask = voice()
    changed = normalize((sound * 10 ** (gain_db / 20)).astype(np.float32), mask)
    np.testing.assert_allclose(changed, normalize(sound, mask), atol=1e-5)


def test_a_constant_offset_is_removed():
    sound, mask = voice()
    shifted = normalize(sound + 0.3, mask)
    assert abs(shifted[mask].mean()) < 1e-6
    np.testing.assert_allclose(shifted[mask], normalize(sound, mask)[mask], atol=1e-3)


@pytest.mark.parametrize("sound", [np.zeros(800), np.full(800, 0.5), np.full(800, np.nan), np.zeros(0)])
def test_no_sound_gives_zeros(sound: np.ndarray):
    out = normalize(sound.astype(np.float32), np.ones(len(sound), bool))
    assert out.dtype == np.float32
    assert not out.any()
    assert len(out) == len(sound)


def test_invalid_samples_become_silence_and_change_nothing_else():
    sound, mask = voice()
    holed, narrower = sound.copy(), mask.copy()
    holed[20_000:20_050] = np.nan
    holed[20_100] = np.inf
    narrower[20_000:20_050] = narrower[20_100] = False
    out = normalize(holed, mask)
    assert not out[20_000:20_050].any()
    assert out[20_100] == 0
    other = np.isfinite(holed)
    np.testing.assert_allclose(out[other], normalize(np.where(other, holed, 0), narrower)[other], atol=1e-6)


def test_peaks_are_bent_not_cut():
    sound = np.full(16_000, 0.001, np.float32) * np.sin(np.arange(16_000)).astype(np.float32)
    sound[[100, 200, 300]] = [0.1, 0.5, 1.0]
    out = normalize(sound, np.ones(len(sound), bool))
    assert out[100] < 0.7 < out[200] <= out[300] <= 1.0


def test_without_a_mask_all_of_it_is_measured():
    sound, _ = voice()
    assert level_db(normalize(sound, np.zeros(len(sound), bool))) == pytest.approx(TARGET_DB, abs=0.05)


def test_shapes_must_agree():
    with pytest.raises(ArgumentError, match="one shape"):
        normalize(np.zeros(10, np.float32), np.zeros(9, bool))
