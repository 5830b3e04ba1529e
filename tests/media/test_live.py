"""Live sources: which device is opened, how sound is brought to 16 kHz, and what is a stream."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from mmemo.evidence import SAMPLE_RATE
from mmemo.media.live import Block, LiveResampler, device_arguments, is_live, open_stream, pieces_of, playback
from mmemo.samples import make_clip, sound


@pytest.mark.parametrize(
    ("platform", "kind", "given", "expected"),
    [
        ("linux", "camera", 0, ("v4l2", "/dev/video0", {"video_size": "640x480"})),
        ("linux", "camera", "/dev/video7", ("v4l2", "/dev/video7", {"video_size": "640x480"})),
        ("linux", "microphone", True, ("alsa", "default", {})),
        ("linux", "microphone", "hw:1", ("alsa", "hw:1", {})),
        ("darwin", "camera", 1, ("avfoundation", "1:none", {"framerate": "30", "video_size": "640x480"})),
        ("darwin", "microphone", True, ("avfoundation", "none:0", {})),
        ("win32", "camera", "HD Webcam", ("dshow", "video=HD Webcam", {})),
        ("win32", "microphone", "Array", ("dshow", "audio=Array", {})),
    ],
)
def test_devices_by_platform(platform: str, kind: str, given: int | str | bool, expected: object) -> None:
    assert device_arguments(platform, kind, given) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_sound_of_any_rate_and_kind(rate: int) -> None:
    time = np.arange(2 * rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    floats, stereo, integers = LiveResampler(rate), LiveResampler(rate), LiveResampler(rate)
    blocks = np.array_split(tone[:, None], 20)
    plain = np.concatenate([floats(block) for block in blocks])
    assert len(plain) == pytest.approx(2 * SAMPLE_RATE, abs=0.02 * SAMPLE_RATE)
    assert np.abs(plain).max() == pytest.approx(0.5, abs=0.05)
    assert np.allclose(plain, np.concatenate([stereo(np.repeat(block, 2, axis=1)) for block in blocks]), atol=1e-5)
    whole = np.concatenate([integers((block * 32_767).astype(np.int16)) for block in blocks])
    assert np.allclose(plain, whole, atol=1e-3)


def test_unsigned_sound_and_what_is_not_finite() -> None:
    resampler = LiveResampler(SAMPLE_RATE)
    assert resampler(np.full((4, 1), 128, np.uint8)).tolist() == [0.0] * 4
    assert resampler(np.array([[np.nan], [0.25]], np.float32)).tolist() == [0.0, 0.25]


def test_the_pieces_of_a_file_come_in_order(clip: Path) -> None:
    pieces = list(pieces_of(clip, sees=True, hears=True, max_rate=15, max_side=640))
    ends = [piece.end if isinstance(piece, Block) else piece.time for piece in pieces]
    assert ends == sorted(ends)
    samples = sum(len(piece.samples) for piece in pieces if isinstance(piece, Block))
    assert samples == pytest.approx(3 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert {type(piece) for piece in pieces_of(clip, sees=False, hears=True, max_rate=15, max_side=640)} == {Block}


def test_a_file_at_its_own_speed_can_be_closed(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "long.wav", seconds=60.0, picture=False)
    source = playback(path, sees=False, hears=True, max_rate=15)
    first = next(source)
    assert isinstance(first, Block)
    assert np.allclose(first.samples, sound("speech", 60.0)[: len(first.samples)], atol=1e-4)
    threading.Timer(0.2, source.close).start()
    assert len(list(source)) < 100  # of 468


def test_what_is_a_stream(clip: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("-", "rtsp://camera/1", "udp://@:1234", tmp_path / "pipe"):
        assert is_live(name)
    for name in (clip, str(clip), tmp_path / "nowhere.mp4", "C:/clip.mp4", "file:///clip.mp4"):
        assert not is_live(name)


def test_a_pipe_into_which_nobody_writes_can_be_closed(tmp_path: Path, clip: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    film = make_clip(tmp_path / "film.mkv", seconds=0.6, size=(160, 120), rate=10).read_bytes()
    ended = threading.Event()

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(film)
            file.flush()
            ended.wait(20)  # open, and silent

    writer = threading.Thread(target=write)
    writer.start()
    source = open_stream(pipe, max_rate=15)
    threading.Timer(0.4, source.close).start()
    assert list(source)
    ended.set()
    writer.join()
