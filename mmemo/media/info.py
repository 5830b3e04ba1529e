"""What a media file holds, and how long it really is, without decoding it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import av
from av.stream import Disposition

from mmemo.errors import MediaError
from mmemo.evidence import Seconds
from mmemo.in_memory import Frames, Media
from mmemo.media.container import (
    File,
    audio_streams,
    check_pixels,
    clock_may_jump,
    file_of,
    is_default,
    is_still,
    open_media,
    origin,
    packets,
    size_of,
    video_stream,
)
from mmemo.media.limits import LIMITS
from mmemo.media.sound_track import sound_track
from mmemo.media.structure import cut_short
from mmemo.notes import Note
from mmemo.reading import well_formed

_TEXT_FORMATS = {"tty", "srt", "webvtt", "ass", "txt"}
_NO_LENGTH = {"aac", "ac3", "amr", "dts", "eac3", "h264", "hevc", "loas", "m4v", "mp3", "mpegvideo", "truehd"}
"""Formats without a header that states a length: FFmpeg guesses it from the first packets."""
_EXTRA = Disposition.forced | Disposition.comment | Disposition.visual_impaired
_LONGEST_TITLE = 60
"""Characters of a stream's title in a message."""
_BEYOND = 1 << 62
"""A time after the end of every file, in microseconds."""


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
    """An audio stream; `waveform_blocks` always gives it as 16 kHz mono.

    Attributes:
        sample_rate: in Hz; ``channels``: both as stored.
        track: its number among the sound tracks of the file, from 1.
    """

    sample_rate: int
    channels: int
    track: int = 1


@dataclass(frozen=True)
class Track:
    """One of the sound tracks, or of the subtitle streams, of a file.

    Attributes:
        number: among those of its kind, from 1.
        language: as the file states it (often ISO 639-2), or None; ``title`` likewise.
        default: whether the file marks it as the one to play.
        extra: whether it is marked as a comment, or as subtitles of the lines in foreign languages alone.
        index: of the stream in the file.
        codec: its name.
        pictures: whether these subtitles are pictures, without text.

    >>> str(Track(2, "spa", "Director's cut"))
    "number 2 (spa, Director's cut)"
    """

    number: int
    language: str | None = None
    title: str | None = None
    default: bool = False
    extra: bool = False
    index: int = 0
    codec: str = ""
    pictures: bool = False

    def __str__(self) -> str:
        known = ", ".join(part for part in (self.language, self.title, "pictures" if self.pictures else None) if part)
        return f"number {self.number} ({known or 'of unknown language'})"


@dataclass(frozen=True)
class MediaInfo:
    """The streams of a file, or of media in memory.

    Attributes:
        source: the file, or what is in memory.
        duration: in seconds, to the last picture or sample that is there, whatever the header says; 0 for a still.
        audio: the sound track that is used, where there are several, and nothing else is wanted.
        subtitles: the subtitle streams.
        sounds: all sound tracks that can be decoded.
        notes: what is missing at the end of the file.
    """

    source: Media
    kind: Literal["video", "audio", "image"]
    duration: Seconds
    video: VideoStream | None
    audio: AudioStream | None
    subtitles: tuple[Track, ...]
    notes: tuple[Note, ...] = ()
    sounds: tuple[Track, ...] = ()


def probe(source: str | Media) -> MediaInfo:
    """The streams of a file, from its headers, or of media in memory.

    Raises:
        MediaError: if the file is missing, empty, a folder, not readable, or neither video, audio nor image;
            or if it exceeds one of `mmemo.media.limits`.
    """
    if isinstance(source, Frames):
        return _of_frames(source)
    file = file_of(source)
    with open_media(file) as container:
        video, audio = video_stream(container), sound_track(file, container)
        if container.format.name in _TEXT_FORMATS or (video is None and audio is None):
            raise MediaError(_unreadable(file, container))
        still = video is not None and is_still(container)
        info = MediaInfo(
            source=file,
            kind="image" if still else "video" if video is not None else "audio",
            duration=0.0,
            video=None
            if video is None
            else VideoStream(
                video.codec_context.width,
                video.codec_context.height,
                float(video.average_rate) if video.average_rate else None,
            ),
            audio=None if audio is None else _audio_stream(audio, container),
            subtitles=_tracks([one for one in container.streams.subtitles if one.codec_context is not None]),
            sounds=_tracks(audio_streams(container)),
        )
        duration, lost = (0.0, "") if still else _duration(container)
    longest = LIMITS.seconds(size_of(file))
    if duration > longest:
        raise MediaError(
            f"{file} lasts {duration:.0f} s by its timestamps; a file of its size may last {longest:.0f} s at most. "
            "They are damaged, or hold hours without picture or sound. Convert it at a constant frame rate, or cut it."
        )
    if not lost and cut_short(file):
        lost = "It ends before its header says."
    damaged = Note("damaged", f"{lost} The file was cut short, or its header is damaged.")
    return replace(info, duration=duration, notes=(damaged,) if lost else ())


def _of_frames(frames: Frames) -> MediaInfo:
    for width, height in frames.sizes:
        check_pixels(frames, width, height, still=frames.is_still)
    video = VideoStream(*frames.sizes[0], frames.rate)
    return MediaInfo(frames, "image" if frames.is_still else "video", frames.duration, video, None, (), frames.notes)


def _unreadable(path: File, container: Any) -> str:
    """Why nothing of a file can be decoded, and what to do."""
    kind = f"(it looks like {container.format.long_name})"
    if container.streams.video and _too_large(container):
        most = LIMITS.still_pixels / 1e6
        return f"{path} has a picture of more than {most:.0f} megapixels {kind}, or one of no size. Make it smaller."
    if is_still(container):
        return (
            f"{path} is a picture that can't be decoded {kind}: damaged, too large, or of a kind like animated WebP or "
            "SVG. Save it as PNG or JPEG, an animation as GIF or MP4."
        )
    return f"{path} has no picture and no sound that can be decoded {kind}. Give a video, audio or image file."


def _too_large(container: Any) -> bool:
    """Whether FFmpeg refuses a picture for its size: it then complains of an argument, not of data."""
    stream = container.streams.video[0]
    if stream.codec_context is None:
        return False
    try:
        next(container.decode(stream), None)
    except av.ArgumentError:
        return True
    except av.FFmpegError:
        return False
    return False


def _audio_stream(stream: Any, container: Any) -> AudioStream:
    indices = [other.index for other in audio_streams(container)]
    return AudioStream(stream.sample_rate, stream.channels, 1 + indices.index(stream.index))


def _tracks(streams: Sequence[Any]) -> tuple[Track, ...]:
    """The streams of one kind as their file describes them."""
    return tuple(
        Track(
            number,
            None if stream.language in (None, "", "und") else well_formed(stream.language),
            well_formed(" ".join(stream.metadata.get("title", "").split())[:_LONGEST_TITLE]) or None,
            is_default(stream),
            bool(stream.disposition & _EXTRA),
            stream.index,
            stream.codec_context.name,
            stream.codec_context.codec.bitmap_sub,
        )
        for number, stream in enumerate(streams, 1)
    )


def _duration(container: Any) -> tuple[Seconds, str]:
    """Seconds from the first to the last picture or sample, and what is missing at the end, as a sentence or "".

    The header is taken at its word where the file holds about as much.
    """
    there = _last_time(container)
    if container.format.name in _NO_LENGTH or clock_may_jump(container) or not container.duration:
        return there, ""
    stated = float(container.duration) / av.time_base
    if container.format.name.startswith("matroska"):  # states the last time, not the length: a clock may start late
        stated -= max(0.0, origin(container))
    if there and stated - there > max(1.0, 0.1 * stated):
        return there, f"The header says {stated:.1f} s, and the last picture or sound is at {there:.1f} s."
    return max(stated, there), ""


def _last_time(container: Any) -> Seconds:
    """The end of the last packet of a file: from its last key frame on, or else from its first."""
    starts: tuple[Seconds | None, ...] = (None,) if clock_may_jump(container) else (_BEYOND / av.time_base, 0.0)
    for start in starts:
        end, first = 0.0, origin(container)
        try:
            for packet in packets(container, start=start):
                stamp = packet.dts if packet.pts is None else packet.pts
                if stamp is not None and packet.time_base is not None:
                    end = max(end, float((stamp + (packet.duration or 0)) * packet.time_base) - first)
        except av.FFmpegError:
            pass  # not every format can be sought, and a damaged file ends here
        if end:
            return end
    return 0.0
