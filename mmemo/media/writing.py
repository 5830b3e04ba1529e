"""Writing media through PyAV: pictures with their own times, and sound that stays in step with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.files import replacing_file
from mmemo.media.container import open_media, origin, packets
from mmemo.media.sound import sound_blocks
from mmemo.media.sound_track import sound_track
from mmemo.media.video import Frame

CLOCK = Fraction(1, 90_000)
_CARRIED = {"aac", "mp3", "ac3", "eac3"}
"""Codecs that an MP4 file holds and every player knows: such sound is copied, not encoded again."""
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_BLOCK = 1024


@dataclass(frozen=True)
class SoundOf:
    """The sound of a file between two times, to be written beside new pictures.

    It is copied as it is where MP4 can hold it, and encoded as AAC otherwise. It is read as it is written, so a long
    film takes no more memory than a short one. Of several tracks ``track`` is
    taken, by its number from 1, or the one of `mmemo.media.sound_track`.
    """

    path: Path
    start: Seconds = 0.0
    end: Seconds | None = None
    track: int | None = None


def write_video(
    path: str | Path,
    pictures: Iterable[Frame] | None,
    sound: np.ndarray | SoundOf | None = None,
    *,
    sample_rate: int = SAMPLE_RATE,
    rate: int = 25,
) -> Path:
    """Write H.264 and AAC (``.mp4``, ``.mkv``) or sound alone (``.wav``, ``.m4a``, ``.opus``); frames keep their times.

    The file is written under a temporary name and renamed, so a failure leaves nothing half-written.

    Args:
        sound: (N,) or (channels, N) float32 in [-1, 1] at ``sample_rate`` Hz, or the sound of another file, which
            begins with the pictures' second 0.
        rate: nominal frames a second, for the file's header.

    Raises:
        ArgumentError: if the file can't be written, or is the one that the sound is read from.
    """
    path = Path(path)
    with (
        replacing_file(path, [sound.path] if isinstance(sound, SoundOf) else []) as partial,
        ExitStack() as resources,
    ):
        container = resources.enter_context(av.open(str(partial), "w"))
        written: Iterator[Seconds] = iter(())
        if isinstance(sound, SoundOf):
            written = _sound_of(container, sound, resources)
        elif sound is not None:
            codec = {".wav": "pcm_f32le", ".opus": "libopus"}.get(path.suffix, "aac")
            channels = np.atleast_2d(np.asarray(sound, np.float32))
            written = _encoded(container, codec, sample_rate, _layout(channels), [channels.T])
        if pictures is not None:
            _write_pictures(container, pictures, written, rate)
        for _ in written:
            pass
    return path


def _layout(sound: np.ndarray) -> str:
    if sound.ndim != 2 or len(sound) not in _LAYOUTS:
        raise ArgumentError(f"write_video: expected sound (N,) or of {list(_LAYOUTS)} channels, got {sound.shape}.")
    return _LAYOUTS[len(sound)]


def _write_pictures(container: Any, pictures: Iterable[Frame], written: Iterator[Seconds], rate: int) -> None:
    """Encode pictures as they come; the sound is written beside them, as far as each picture's time."""
    stream: Any = None
    reached = 0.0
    for frame in pictures:
        if frame.image.ndim != 3 or frame.image.dtype != np.uint8:
            raise ArgumentError(f"write_video: expected (H, W, 3) uint8, got {frame.image.dtype} {frame.image.shape}.")
        height, width = (side - side % 2 for side in frame.image.shape[:2])  # H.264 in 4:2:0 needs even sides
        if stream is None:
            stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = stream.time_base = CLOCK
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.image[:height, :width]), format="rgb24")
        picture.pts, picture.time_base = round(frame.time / CLOCK), CLOCK
        container.mux(stream.encode(picture))
        while reached <= frame.time:
            reached = next(written, float("inf"))
    if stream is not None:
        container.mux(stream.encode(None))


def _sound_of(container: Any, sound: SoundOf, resources: ExitStack) -> Iterator[Seconds]:
    """Writes the sound of a file; each step writes a little more and gives the second it reached."""
    source = resources.enter_context(open_media(sound.path))
    stream = sound_track(sound.path, source, sound.track)
    if stream is None:
        return iter(())
    codec = stream.codec_context
    if codec.name.removesuffix("float") in _CARRIED and not (codec.name == "aac" and not codec.extradata):
        return _copied(container, container.add_stream_from_template(stream), source, stream, sound)
    rate = min(_AAC_RATES, key=lambda rate: abs(rate - stream.sample_rate))
    channels = min(2, stream.channels)
    blocks = sound_blocks(sound.path, rate, channels, sound.start, sound.end, sound.track)
    return _encoded(container, "aac", rate, _LAYOUTS[channels], blocks)


def _copied(container: Any, target: Any, source: Any, stream: Any, sound: SoundOf) -> Iterator[Seconds]:
    shift = round((origin(source) + sound.start) / stream.time_base)
    last = None
    try:
        for packet in packets(source, stream, sound.start if sound.start > 0 else None):
            if packet.pts is None or packet.dts is None:
                continue
            start = float((packet.pts - shift) * stream.time_base)
            if sound.end is not None and start >= sound.end - sound.start:
                return
            if (sound.start > 0 and start < 0) or (last is not None and packet.dts <= last):
                continue  # before the span; or a clock that steps back, which no file may hold
            last = packet.dts
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = target
            container.mux(packet)
            yield start
    except av.FFmpegError:
        return  # what is damaged beyond here was noted when the clip was analyzed


def _encoded(container: Any, codec: str, rate: int, layout: str, blocks: Iterable[np.ndarray]) -> Iterator[Seconds]:
    """Encodes blocks (N, channels); the stream is added at once, the samples as the steps are taken."""
    stream = container.add_stream(codec, rate=rate)
    stream.layout = layout
    return _encode(container, stream, rate, blocks)


def _encode(container: Any, stream: Any, rate: int, blocks: Iterable[np.ndarray]) -> Iterator[Seconds]:
    given = 0
    for block in blocks:
        for start in range(0, len(block), _BLOCK):
            given = encode_samples(container, stream, block[start : start + _BLOCK], given)
            yield given / rate
    container.mux(stream.encode(None))


def encode_samples(container: Any, stream: Any, samples: np.ndarray, given: int) -> int:
    """Encode samples (N, channels), or (N,) of one channel, after those that were given; their number afterwards."""
    for start in range(0, len(samples), _BLOCK):
        piece = np.ascontiguousarray(samples[start : start + _BLOCK], np.float32)
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="flt", layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = stream.rate, given, Fraction(1, stream.rate)
        container.mux(stream.encode(frame))
        given += len(piece)
    return given
