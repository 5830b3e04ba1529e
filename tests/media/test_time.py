"""Time: it starts at the first sample, goes on where timestamps start again, and ends where the file ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mmemo import media
from mmemo.evidence import SAMPLE_RATE
from mmemo.samples import make_clip


@pytest.mark.parametrize("offset", [30.0, 1.8e9])
@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_a_clock_that_starts_late_starts_at_0(
    tmp_path: Path, clip: Path, remux: Callable[..., Path], suffix: str, offset: float
) -> None:
    if offset > 1e6 and suffix != ".mkv":
        pytest.skip("the timestamps of this format are too short")
    path = remux(clip, tmp_path / f"late{suffix}", offset)
    info = media.probe(path)
    assert info.duration == pytest.approx(3.06, abs=0.03)
    assert info.notes == ()
    times = [frame.time for frame in media.frames(path)]
    assert (times[0], times[-1]) == pytest.approx((0.064, 3.024), abs=0.002)
    assert len(media.waveform(path)) / SAMPLE_RATE == pytest.approx(3.08, abs=0.03)
    # Copying moves all streams later by the sound's priming of 64 ms.
    assert np.abs(media.waveform(path)[1_024:40_000] - media.waveform(clip)[: 40_000 - 1_024]).mean() < 0.01


@pytest.mark.parametrize("second", [0.0, 30.0])
def test_joined_files_are_read_to_the_end(
    tmp_path: Path, clip: Path, remux: Callable[..., Path], second: float
) -> None:
    """Two recordings in one file, as a camera or a disc splits them: the timestamps jump back, or far ahead."""
    one, other = (remux(clip, tmp_path / f"{name}.ts", offset) for name, offset in (("a", 0.0), ("b", second)))
    path = tmp_path / "joined.ts"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    info = media.probe(path)
    assert info.duration == pytest.approx(6.1, abs=0.1)
    assert info.notes == ()
    times = [frame.time for frame in media.frames(path)]
    assert len(times) == 150
    sound, alone = media.waveform(path), media.waveform(one)
    assert len(sound) / SAMPLE_RATE == pytest.approx(6.1, abs=0.1)
    # Picture and sound of the second half stay in step.
    part = alone[8_000:40_000]
    lags = np.arange(45_000, 53_000, 8)
    later = lags[np.argmin([np.abs(sound[lag + 8_000 : lag + 40_000] - part).mean() for lag in lags])] / SAMPLE_RATE
    assert times[75] - times[0] == pytest.approx(later, abs=0.03)
    # A span of the second half has the times of the whole.
    assert [frame.time for frame in media.frames(path, 4.0, 5.0)] == [time for time in times if 4.0 <= time < 5.0]
    assert sum(map(len, media.waveform_blocks(path, 4.0, 5.0))) == SAMPLE_RATE


def _half(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4", "film.flv", "voice.wav", "voice.flac", "voice.mka"])
def test_half_a_file_is_as_long_as_what_is_there(
    tmp_path: Path, remux: Callable[..., Path], write: Callable[..., Path], words: np.ndarray, name: str
) -> None:
    path = tmp_path / name
    if name.startswith("film"):
        source = make_clip(tmp_path / "clip.mp4", seconds=4.0, rate=10, size=(160, 120))
        remux(source, path, **({"movflags": "faststart"} if name.endswith("mp4") else {}))
    else:
        write(path, sounds=[words], sound_codec={".wav": "pcm_s16le"}.get(path.suffix, "flac"))
    whole = media.probe(path)
    assert whole.notes == ()
    half = media.probe(_half(path))
    assert 0.2 * whole.duration < half.duration < 0.8 * whole.duration
    (note,) = half.notes
    assert note.code == "damaged"
    assert "cut short" in note.message


@pytest.mark.parametrize(
    ("name", "codec"),
    [("v.w64", "pcm_s16le"), ("v.caf", "pcm_s16le"), ("v.wma", "wmav2"), ("v.mxf", "mpeg2video"), ("v.gif", "gif")],
)
def test_half_a_file_of_other_kinds_is_damaged(
    tmp_path: Path, write: Callable[..., Path], words: np.ndarray, face: av.VideoFrame, name: str, codec: str
) -> None:
    path = tmp_path / name
    if name == "v.gif":
        write(path, [face.reformat(format="rgb8")], codec=codec, picture={"pix_fmt": "rgb8"})
    elif name == "v.mxf":
        write(path, [face, face, face], codec=codec)
    else:
        write(path, sounds=[words], sound_codec=codec, sound=[{"bit_rate": 64_000}])
    assert media.probe(path).notes == ()
    assert [note.code for note in media.probe(_half(path)).notes] == ["damaged"]


def test_half_a_photo_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3)))[1].tobytes())
    assert media.probe(path).notes == ()
    path.write_bytes(path.read_bytes() + b"a film after the picture \xff\xda")  # as phones append one
    assert media.probe(path).notes == ()
    assert [note.code for note in media.probe(_half(path)).notes] == ["damaged"]


def test_a_guessed_length_is_no_claim(tmp_path: Path, write: Callable[..., Path], words: np.ndarray) -> None:
    """Without a header FFmpeg takes the first packets, here silence, for the whole, and guesses far too much."""
    sound = np.concatenate([np.zeros(6 * SAMPLE_RATE, np.float32), words, words, words])
    info = media.probe(write(tmp_path / "voice.aac", sounds=[sound]))
    assert info.duration == pytest.approx(18.1, abs=0.1)
    assert info.notes == ()


def test_a_header_is_not_taken_at_its_word(tmp_path: Path, write: Callable[..., Path], words: np.ndarray) -> None:
    """One flipped bit makes four seconds nine hours."""
    path = write(tmp_path / "voice.flac", sounds=[words], sound_codec="flac")
    content = bytearray(path.read_bytes())
    content[22] ^= 0x20
    path.write_bytes(content)
    info = media.probe(path)
    assert info.duration == pytest.approx(4.0, abs=0.1)
    (note,) = info.notes
    assert note.code == "damaged"
    assert "The header says 33558.4 s" in note.message
