"""Sound of a span: the samples that decoding from the start gives, without decoding from the start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mmemo import media
from mmemo.evidence import SAMPLE_RATE
from mmemo.media import sound

pytestmark = pytest.mark.slow

SECONDS = 24


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of every frame that is decoded, in the order of decoding."""
    times: list[float] = []
    decode = sound.decode

    def counted(*arguments: Any) -> Iterator[Any]:
        for frame in decode(*arguments):
            times.append(frame.time)
            yield frame

    monkeypatch.setattr(sound, "decode", counted)
    return times


def write(path: Path, codec: str, rate: int, *, picture: bool, format: str | None = None, layout: str = "mono") -> Path:
    """A file with a key frame each second and a sound in which no stretch is like another."""
    time = np.arange(SECONDS * rate) / rate
    random = np.random.default_rng(0).uniform(-0.2, 0.2, SECONDS * 50).repeat(rate // 50)
    wave = (random * np.sin(2 * np.pi * (300 + 15 * time) * time)).astype(np.float32)
    channels = 2 if layout == "stereo" else 1
    with av.open(str(path), "w", format=format) as container:
        coder = "mpeg2video" if path.suffix == ".mpg" else "libx264"
        video = container.add_stream(coder, rate=25, options={"g": "25"}) if picture else None
        # Noise substitution would draw other noise for a span than for the whole file.
        audio = container.add_stream(codec, rate=rate, options={"aac_pns": "0"} if codec == "aac" else {})
        audio.layout = layout
        if video:
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        for number in range(SECONDS * 25):
            if video:
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number % 250, np.uint8), format="rgb24")
                frame.pts = number
                container.mux(video.encode(frame))
            part = wave[number * rate // 25 : (number + 1) * rate // 25].repeat(channels)
            block = av.AudioFrame.from_ndarray(part[None], format="flt", layout=layout)
            block.sample_rate, block.pts = rate, number * rate // 25
            container.mux(audio.encode(block))
        for stream in (video, audio):
            if stream:
                container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "rate", "picture"),
    [
        ("stereo.wav", "pcm_s16le", 44_100, False),
        ("film.mp4", "aac", 44_100, True),
        ("film.mkv", "aac", 48_000, True),
        ("pcm.mkv", "pcm_s16le", 44_100, True),
        ("voice.ogg", "libopus", 48_000, False),
        ("voice.mp3", "libmp3lame", 44_100, False),
        ("film.mpg", "mp2", 48_000, True),
    ],
)
@pytest.mark.parametrize(("start", "end"), [(3.0, 3.7), (20.012_34, 21.0)])
def test_a_span_has_the_samples_of_the_whole(
    tmp_path: Path, decoded: list[float], name: str, codec: str, rate: int, picture: bool, start: float, end: float
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    format = "ogg" if name.endswith(".ogg") else None
    layout = "stereo" if name.startswith("stereo") else "mono"
    path = write(tmp_path / name, codec, rate, picture=picture, format=format, layout=layout)
    whole = media.waveform(path)
    pieces = len(decoded)
    decoded.clear()
    damage = media.Damage()
    part = np.concatenate(list(media.waveform_blocks(path, start, end, damage=damage)))
    expected = whole[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    np.testing.assert_allclose(part, expected, atol=1e-3)
    assert np.abs(part[1:] - expected[:-1]).max() > 0.01  # a sample later it would not fit
    # The span, half a second and a group of pictures before it, and the file's first piece; MPEG seeks less exactly.
    before = 7.0 if path.suffix == ".mpg" else 2.0
    assert len(decoded) < pieces * (end - start + before) / SECONDS + 4
    assert damage.packets == 0


def test_a_pause_in_the_track_is_decoded_from_the_start(tmp_path: Path, decoded: list[float]) -> None:
    """Nothing before the span tells its place: the track pauses from 1 to 4 s, and the span begins at 3.9 s."""
    path = tmp_path / "pause.mkv"
    tone = (0.4 * np.sin(np.arange(SAMPLE_RATE) / 7)).astype(np.float32)
    with av.open(str(path), "w") as container:
        audio = container.add_stream("pcm_f32le", rate=SAMPLE_RATE)
        audio.layout = "mono"
        for second in (0, 4, 5):
            for tenth in range(10):
                part = tone[tenth * 1600 : (tenth + 1) * 1600]
                block = av.AudioFrame.from_ndarray(part[None], format="flt", layout="mono")
                block.sample_rate, block.pts = SAMPLE_RATE, second * SAMPLE_RATE + tenth * 1600
                container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    whole = media.waveform(path)
    assert len(whole) == pytest.approx(6 * SAMPLE_RATE, abs=2)
    assert np.abs(whole[SAMPLE_RATE : 4 * SAMPLE_RATE]).max() == 0
    (part,) = media.waveform_blocks(path, 3.9, 5.5)
    np.testing.assert_array_equal(part, whole[round(3.9 * SAMPLE_RATE) : round(5.5 * SAMPLE_RATE)])
