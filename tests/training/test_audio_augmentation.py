import numpy as np
import pytest

from mmemo.training.audio_augmentation import (
    Augmentation,
    add_noise,
    add_room,
    change_speed,
    limit_band,
    mask_stretch,
)

RATE = 16_000


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def power(sound: np.ndarray) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


@pytest.mark.parametrize("size", [1, 2, 1601, 16_000])
def test_length_type_and_range_are_kept(size: int):
    rng = np.random.default_rng(0)
    for _ in range(20):
        out = Augmentation(noise=1, band=1, room=1, mask=1)(tone(300)[:size], rng)
        assert out.shape == (size,)
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= 1


def test_one_seed_gives_one_sound():
    first, second = (Augmentation()(tone(300), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_nothing_asked_for_changes_nothing():
    none = Augmentation(gain_db=0, noise=0, band=0, room=0, mask=0)
    np.testing.assert_array_equal(none(tone(300), np.random.default_rng(0)), tone(300))


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_ratio_asked_for(snr_db: float):
    noisy = add_noise(tone(300), snr_db, np.random.default_rng(0))
    assert 10 * np.log10(power(tone(300)) / power(noisy - tone(300))) == pytest.approx(snr_db, abs=0.1)


def test_silence_stays_silent():
    silence = np.zeros(RATE, np.float32)
    assert not Augmentation(noise=1, band=1, room=1, mask=1)(silence, np.random.default_rng(0)).any()


def test_the_middle_of_the_band_passes():
    rng = np.random.default_rng(0)
    kept = [power(limit_band(tone(1000), rng)) / power(tone(1000)) for _ in range(30)]
    assert min(kept) > 0.7
    lost = [power(limit_band(tone(7500), rng)) / power(tone(7500)) for _ in range(30)]
    assert min(lost) < 0.05


def test_a_room_rings_on_and_keeps_level_and_time():
    click = np.zeros(RATE, np.float32)
    click[4000] = 1
    for seed in range(10):
        heard = add_room(click, np.random.default_rng(seed))
        assert power(heard) == pytest.approx(power(click), rel=1e-3)
        assert np.abs(heard).argmax() == 4000
        assert np.abs(heard[:3990]).max() < 1e-6
        assert power(heard[4016:5600]) > 0.01 * power(click)
        # 60 dB down at the end of the longest echo.
        assert power(heard[-400:]) < 1e-3 * power(heard[4016:5600])


def test_a_mask_is_at_most_a_quarter():
    rng = np.random.default_rng(0)
    for _ in range(20):
        masked = mask_stretch(np.ones(1000, np.float32), 10_000, rng)
        assert (masked == 0).sum() <= 250
        assert masked[masked != 0].min() == 1


def test_speed_moves_length_and_pitch():
    fast = change_speed(tone(300), 1.25)
    assert len(fast) == pytest.approx(RATE / 1.25, abs=2)
    assert np.fft.rfft(fast).__abs__().argmax() * RATE / len(fast) == pytest.approx(375, abs=2)
