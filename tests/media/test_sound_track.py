"""Which sound is analyzed: of several tracks the one that the file marks, or that is not silent; of two channels both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition

from mmemo import Clip, media
from mmemo.evidence import SAMPLE_RATE
from mmemo.pipeline.extract import extract

DEFAULT, NONE = {"disposition": Disposition.default}, {"disposition": Disposition(0)}
TONE = (0.3 * np.sin(np.arange(4 * SAMPLE_RATE) / 7)).astype(np.float32)
SILENCE = np.zeros_like(TONE)


@pytest.mark.parametrize(
    ("first", "marks", "used"),
    [
        (TONE, (NONE, DEFAULT), 2),
        (TONE, (DEFAULT, NONE), 1),
        (SILENCE, (NONE, NONE), 2),
        (SILENCE, (DEFAULT, DEFAULT), 2),
        (SILENCE, (DEFAULT, NONE), 1),
        (TONE, (NONE, NONE), 1),
    ],
)
def test_the_track_that_is_marked_or_not_silent(
    tmp_path: Path, write: Callable[..., Path], words: np.ndarray, first: np.ndarray, marks: tuple[dict, ...], used: int
) -> None:
    path = write(tmp_path / "film.mkv", sounds=[first, words], sound_codec="pcm_s16le", sound=marks)
    assert media.probe(path).audio == media.AudioStream(SAMPLE_RATE, 1, track=used)
    expected = (first, words)[used - 1]
    np.testing.assert_allclose(media.waveform(path), expected, atol=1e-4)
    notes = extract(Clip(path), media.probe(path), ("voice",), 2.0, 1.0, None).notes
    assert (
        f"Of 2 sound tracks number {used} (of unknown language) was used"
        in {note.code: note.message for note in notes}["sound-tracks"]
    )


def test_all_tracks_silent(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path / "film.mkv", sounds=[SILENCE, SILENCE], sound=(NONE, NONE))
    assert media.probe(path).audio == media.AudioStream(SAMPLE_RATE, 1, track=1)


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_channels_that_cancel_each_other(
    tmp_path: Path, write: Callable[..., Path], words: np.ndarray, codec: str
) -> None:
    path = write(tmp_path / "wired.mkv", sounds=[np.stack([words, -words])], sound_codec=codec)
    damage = media.Damage()
    (sound,) = media.waveform_blocks(path, damage=damage)
    assert damage.anti_phase
    mono = media.waveform(write(tmp_path / "mono.mkv", sounds=[words], sound_codec=codec))
    assert np.abs(sound - mono).mean() < 0.05 * np.abs(words).mean() + 0.01
    assert np.square(sound).sum() == pytest.approx(np.square(words).sum(), rel=0.1)
    extraction = extract(Clip(path), media.probe(path), ("voice",), 2.0, 1.0, None)
    assert [note.code for note in extraction.notes] == ["anti-phase"]
    assert extraction.activity is not None
    assert extraction.activity.spans


@pytest.mark.parametrize("other", ["same", "silent", "room"])
def test_other_channels_are_mixed(tmp_path: Path, write: Callable[..., Path], words: np.ndarray, other: str) -> None:
    right = {
        "same": words,
        "silent": np.zeros_like(words),
        "room": np.random.default_rng(0).normal(0, 0.1, len(words)).astype(np.float32),
    }[other]
    path = write(tmp_path / "stereo.mkv", sounds=[np.stack([words, right])], sound_codec="pcm_f32le")
    damage = media.Damage()
    (sound,) = media.waveform_blocks(path, damage=damage)
    assert not damage.anti_phase
    np.testing.assert_allclose(sound, np.clip((words + right) / 2, -1, 1), atol=1e-6)
