"""What a media file holds, without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av

from mmemo.errors import MediaError
from mmemo.evidence import Seconds
from mmemo.media.container import audio_stream, is_still, open_media, origin, video_stream

_TEXT_FORMATS = {"tty", "srt", "webvtt", "ass", "txt"}


@dataclass(frozen=True)
class VideoStream:
    """A video stream.

    Attributes:
        width, height: in pixels as coded, before rotation.
        frame_rate: the average in Hz, or None where the file does not state it.
    """

    width: int
    height: int
    frame_rate: float | None


@dataclass(frozen=True)
class AudioStream:
    """An audio stream: ``sample_rate`` in Hz and ``channels`` as stored. `waveform_blocks` always gives 16 kHz mono."""

    sample_rate: int
    channels: int


@dataclass(frozen=True)
class SubtitleStream:
    """A text subtitle stream; ``language`` as the file states it (often ISO 639-2), or None."""

    index: int
    codec: str
    language: str | None


@dataclass(frozen=True)
class MediaInfo:
    """The streams of a file. ``duration`` in seconds; 0 for a still image."""

    path: Path
    kind: Literal["video", "audio", "image"]
    duration: Seconds
    video: VideoStream | None
    audio: AudioStream | None
    subtitles: tuple[SubtitleStream, ...]


def probe(path: str | Path) -> MediaInfo:
    """The streams of a file, from its headers.

    Raises:
        MediaError: if the file is missing, empty, a folder, not readable, or neither video, audio nor image.
    """
    path = Path(path)
    with open_media(path) as container:
        video, audio = video_stream(container), audio_stream(container)
        if video is None and audio is None and is_still(container):
            raise MediaError(
                f"{path} is a picture that can't be decoded (it looks like {container.format.long_name}): damaged, or "
                "of a kind like animated WebP or SVG. Save it as PNG or JPEG, an animation as GIF or MP4."
            )
        if container.format.name in _TEXT_FORMATS or (video is None and audio is None):
            raise MediaError(
                f"{path} has no picture and no sound that can be decoded (it looks like {container.format.long_name}). "
                "Give a video, audio or image file."
            )
        still = video is not None and is_still(container)
        return MediaInfo(
            path=path,
            kind="image" if still else "video" if video is not None else "audio",
            duration=0.0 if still else _duration(container),
            video=None
            if video is None
            else VideoStream(
                video.codec_context.width,
                video.codec_context.height,
                float(video.average_rate) if video.average_rate else None,
            ),
            audio=None if audio is None else AudioStream(audio.sample_rate, audio.channels),
            subtitles=tuple(
                SubtitleStream(stream.index, stream.codec_context.name, stream.language or None)
                for stream in container.streams.subtitles
                if stream.codec_context is not None
            ),
        )


def _duration(container: Any) -> Seconds:
    if container.duration:
        return float(container.duration) / av.time_base
    end, start = 0.0, origin(container)  # recorders that stream to disk state no duration: read the timestamps
    for packet in container.demux():
        if packet.pts is not None and packet.time_base is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base) - start)
    return end
