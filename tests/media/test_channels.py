"""One channel of a stereo sound alone, and whether both hold different voices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmemo import media
from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, Channel
from mmemo.media import ChannelLevels
from mmemo.samples import make_clip, speech

SILENCE = np.zeros(4 * SAMPLE_RATE, np.float32)


def tone(frequency: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize(("channel", "place"), [("left", 0), ("right", 1)])
@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_the_channel_alone(tmp_path: Path, channel: Channel, place: int, layout: str) -> None:
    sounds = np.stack([tone(100 * number) for number in range(1, 7 if layout == "5.1" else 3)])
    path = make_clip(tmp_path / "sound.wav", picture=False, sound=sounds)
    np.testing.assert_allclose(media.waveform(path, channel), sounds[place], atol=1e-4)
    (late,) = media.waveform_blocks(path, 0.7, channel=channel)
    np.testing.assert_allclose(late, sounds[place, round(0.7 * SAMPLE_RATE) :], atol=1e-4)
    np.testing.assert_allclose(media.waveform(path), sounds.mean(axis=0), atol=1e-4)


def test_a_sound_of_one_channel_has_no_right_one(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "mono.wav", picture=False, sound=tone(100))
    with pytest.raises(ArgumentError, match=r"mono\.wav has one channel, so there is no right one"):
        media.waveform(path, "right")


def test_a_stretch_of_one_channel_within_a_stereo_sound_is_on_both_sides(tmp_path: Path) -> None:
    stereo = make_clip(tmp_path / "a.ts", picture=False, sound=np.stack([tone(100), tone(300)]))
    mono = make_clip(tmp_path / "b.ts", picture=False, sound=tone(200))
    path = tmp_path / "joined.ts"
    path.write_bytes(stereo.read_bytes() + mono.read_bytes())
    sound = media.waveform(path, "right")
    for start, frequency in ((0.2, 300), (1.3, 200)):
        part = sound[round(start * SAMPLE_RATE) :][: SAMPLE_RATE // 2]
        assert 2 * np.argmax(np.abs(np.fft.rfft(part))) == pytest.approx(frequency, abs=4)


def turns(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Left speaks for four seconds, then right does."""
    return np.stack([np.concatenate([left, SILENCE]), np.concatenate([SILENCE, right])])


def echo(sound: np.ndarray) -> np.ndarray:
    return sound + 0.1 * sound[::-1]


def hiss(sound: np.ndarray) -> np.ndarray:
    return sound + np.random.default_rng(0).normal(0, 0.003, sound.shape).astype(np.float32)


ONE, OTHER = speech(), 0.3 * speech()


@pytest.mark.parametrize(
    ("sounds", "apart"),
    [
        (turns(ONE, OTHER), True),
        (echo(turns(ONE, OTHER)), True),
        (hiss(turns(ONE, OTHER)), True),
        (np.stack([ONE, ONE]), False),
        (hiss(np.stack([ONE, OTHER])), False),
        (hiss(np.stack([ONE, SILENCE])), False),
        (np.stack([ONE, SILENCE]), False),
        (np.stack([ONE, np.roll(ONE, 2 * SAMPLE_RATE)]), False),
        (turns(ONE, np.concatenate([ONE[: SAMPLE_RATE // 2], SILENCE[SAMPLE_RATE // 2 :]])), False),
        (np.stack([ONE]), False),
        (np.stack([ONE] * 6), False),
    ],
    ids=[
        "turns",
        "echo",
        "hiss",
        "mono",
        "panned",
        "one_and_room",
        "one_and_silence",
        "at_once",
        "a_word",
        "one_channel",
        "surround",
    ],
)
@pytest.mark.parametrize("size", [160_000, 1_000])
def test_voices_of_two_channels(sounds: np.ndarray, apart: bool, size: int) -> None:
    levels = ChannelLevels()
    for start in range(0, sounds.shape[1], size):
        levels.add(sounds[:, start : start + size].T)
    assert levels.hold_different_voices([(0.3, 3.6), (4.3, 7.6)]) == apart
    assert not levels.hold_different_voices([])
    assert not levels.hold_different_voices([(4.3, 7.6)])
