"""Small media for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mmemo.samples import portrait, speech


@pytest.fixture
def remux() -> Callable[..., Path]:
    """Copies the picture and the sound of a file into another container, with every timestamp later by ``offset``."""

    def copied(source: Path, target: Path, offset: float = 0.0, **options: str) -> Path:
        with av.open(str(source)) as read, av.open(str(target), "w", options=options) as written:
            streams = {stream: written.add_stream_from_template(stream) for stream in read.streams}
            for packet in read.demux():
                if packet.dts is not None:
                    ticks = round(offset / packet.time_base)
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    packet.stream = streams[packet.stream]
                    written.mux(packet)
        return target

    return copied


@pytest.fixture
def write() -> Callable[..., Path]:
    """Writes pictures and sound tracks with the settings of PyAV's streams."""

    def written(
        path: Path,
        pictures: Sequence[av.VideoFrame] = (),
        sounds: Sequence[np.ndarray] = (),
        *,
        codec: str = "libx264",
        sound_codec: str = "aac",
        times: Sequence[float] | None = None,
        picture: dict[str, Any] | None = None,
        sound: Sequence[dict[str, Any]] = (),
    ) -> Path:
        with av.open(str(path), "w") as container:
            if pictures:
                video = container.add_stream(codec, rate=25)
                video.width, video.height = pictures[0].width, pictures[0].height
                video.pix_fmt = "yuv420p10le" if pictures[0].format.name == "yuv420p10le" else "yuv420p"
                clock = Fraction(1, 1000 if times else 25)
                video.codec_context.time_base = clock
                for name, value in (picture or {}).items():
                    getattr(video, name)(value) if name.startswith("set_") else setattr(
                        video.codec_context, name, value
                    )
            tracks = []
            for number, samples in enumerate(sounds):
                track = container.add_stream(sound_codec, rate=16_000)
                track.layout = "stereo" if samples.ndim == 2 else "mono"
                for name, value in (sound[number] if sound else {}).items():
                    setattr(track, name, value)
                tracks.append(track)
            for number, frame in enumerate(pictures):
                frame.pts = round((times[number] if times else number / 25) / clock)
                frame.time_base = clock
                container.mux(video.encode(frame))
            if pictures:
                container.mux(video.encode(None))
            for track, samples in zip(tracks, sounds, strict=True):
                values = np.atleast_2d(samples).astype(np.float32)
                block = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(values.T).reshape(1, -1), format="flt", layout=track.layout.name
                )
                block.sample_rate, block.pts = 16_000, 0
                container.mux(track.encode(block))
                container.mux(track.encode(None))
        return path

    return written


@pytest.fixture
def face() -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(portrait(), format="rgb24")


@pytest.fixture
def words() -> np.ndarray:
    return speech()
