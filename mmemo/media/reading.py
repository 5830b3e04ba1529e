"""Reading media through PyAV, as iterators, with real timestamps.

Times are seconds from the start of the file, from presentation timestamps; frames are RGB uint8, upright;
waveforms are mono float32 at 16 kHz. Only local files are opened: a playlist that names an address is refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from mmemo.errors import MediaError
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.media.orientation import READ, jpeg_orientation, upright

log = logging.getLogger(__name__)

_PLAYLISTS = (b"#EXTM3U", b"<?xml", b"<MPD", b"ffconcat", b"v=0\r", b"v=0\n")
_TEXT_FORMATS = {"tty", "srt", "webvtt", "ass", "txt"}
_STILL_FORMATS = ("_pipe", "image2")
_LONGEST_GAP = 600.0
"""Seconds. A larger jump between audio timestamps is a damaged clock, not a pause, and is not filled with silence."""


@dataclass(frozen=True)
class VideoStream:
    """Width and height in pixels as coded (before rotation); ``frame_rate`` in Hz is an average, or None."""

    width: int
    height: int
    frame_rate: float | None


@dataclass(frozen=True)
class AudioStream:
    """``sample_rate`` in Hz and ``channels`` as stored; `waveform_blocks` always gives 16 kHz mono."""

    sample_rate: int
    channels: int


@dataclass(frozen=True)
class SubtitleStream:
    """A text subtitle stream; ``language`` as the file says it (often ISO 639-2), or None."""

    index: int
    codec: str
    language: str | None


@dataclass(frozen=True)
class MediaInfo:
    """What a file holds. ``duration`` in seconds; 0 for a still image."""

    path: Path
    kind: Literal["video", "audio", "image"]
    duration: Seconds
    video: VideoStream | None
    audio: AudioStream | None
    subtitles: tuple[SubtitleStream, ...]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: ``time`` in seconds from the start of the file, ``image`` (H, W, 3) uint8 RGB, upright.

    ``number`` counts the pictures that were decoded, from 0: of a file read from its start, the frame's number in it.
    """

    time: Seconds
    image: np.ndarray
    number: int = 0


@dataclass(frozen=True)
class Cue:
    """One subtitle of a stream: plain text between two times."""

    start: Seconds
    end: Seconds
    text: str


@dataclass
class Damage:
    """Filled in while reading: how much could not be decoded."""

    packets: int = 0
    samples: int = 0
    seconds: Seconds = field(default=0.0)
    """How far the reading came."""


def probe(path: str | Path) -> MediaInfo:
    """Look into a file without decoding it.

    Raises:
        MediaError: if the file is missing, empty, a folder, not readable, or neither video, audio nor image.
    """
    path = Path(path)
    with open_media(path) as container:
        video, audio = _video_of(container), audio_of(container)
        if video is None and audio is None and container.format.name.endswith(_STILL_FORMATS):
            raise MediaError(
                f"{path} is a picture that can't be decoded (it looks like {container.format.long_name}): damaged, or "
                "of a kind like animated WebP or SVG. Save it as PNG or JPEG, an animation as GIF or MP4."
            )
        if container.format.name in _TEXT_FORMATS or (video is None and audio is None):
            raise MediaError(
                f"{path} has no picture and no sound that can be decoded (it looks like {container.format.long_name}). "
                "Give a video, audio or image file."
            )
        still = video is not None and container.format.name.endswith(_STILL_FORMATS)
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


def frames(
    path: str | Path,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    *,
    max_side: int | None = None,
    max_rate: float | None = None,
    damage: Damage | None = None,
) -> Iterator[Frame]:
    """Decode the pictures of a file one after the other.

    Args:
        start: seconds; ``end`` as well, None for the end of the file. Times are always those of the file.
        max_side: shrink frames whose longer side has more pixels than this; None keeps them as they are.
        max_rate: leave frames out so that at most about so many a second remain; None gives all of them.
        damage: is told what could not be decoded.
    """
    damage = damage if damage is not None else Damage()
    with open_media(Path(path)) as container:
        stream = _video_of(container)
        if stream is None:
            return
        stream.thread_type = "AUTO"
        origin = origin_of(container)
        step = float(1 / stream.average_rate) if stream.average_rate else 0.04
        last, due, number = -step, 0.0, -1
        if start > 0:
            container.seek(int((start + origin) * av.time_base))
        with Path(path).open("rb") as file:
            orientation = jpeg_orientation(file.read(READ))  # FFmpeg tells the turn, but not that it is mirrored
        for picture in _decode(container, stream, damage):
            time = last + step if picture.time is None else max(0.0, picture.time - origin)
            if time <= last:
                continue  # a clock that steps back: a repeated or damaged timestamp
            damage.seconds = last = time
            number += 1
            if end is not None and time >= end:
                return
            if time < start or time < due:
                continue
            if max_rate:
                due = time + 0.9 / max_rate  # a little early: real frame times jitter
            yield Frame(time, _upright_rgb(picture, max_side, orientation), number)


def waveform_blocks(
    path: str | Path,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    *,
    seconds: Seconds = 10.0,
    damage: Damage | None = None,
) -> Iterator[np.ndarray]:
    """Decode the sound of a file as consecutive blocks of float32 (N,), 16 kHz mono, in [-1, 1].

    The first sample is at ``start``: a track that begins late, or pauses, is filled with silence. Samples that are
    not finite are silenced and counted in ``damage.samples``.

    Args:
        seconds: length of a block; the last one is shorter.
    """
    damage = damage if damage is not None else Damage()
    size, held, count = int(seconds * SAMPLE_RATE), [], 0
    for piece in map(_mono, _between(_resampled(Path(path), damage, SAMPLE_RATE), start, end, SAMPLE_RATE)):
        while len(piece):
            part, piece = piece[: size - count], piece[size - count :]
            held.append(part)
            count += len(part)
            if count == size:
                yield np.concatenate(held)
                held, count = [], 0
    if count:
        yield np.concatenate(held)


def waveform(path: str | Path) -> np.ndarray:
    """The whole sound of a short file: float32 (N,), 16 kHz mono, empty if there is none. See `waveform_blocks`."""
    blocks = list(waveform_blocks(path))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def sound_blocks(
    path: str | Path, sample_rate: int, channels: int, start: Seconds = 0.0, end: Seconds | None = None
) -> Iterator[np.ndarray]:
    """Decode the sound of a file for writing it again: blocks of float32 (N, channels) at ``sample_rate`` Hz.

    The first sample is at ``start``, as with `waveform_blocks`.

    Args:
        channels: 1 or 2; more channels than that are mixed down by FFmpeg's matrix.
    """
    layout = "mono" if channels == 1 else "stereo"
    yield from _between(_resampled(Path(path), Damage(), sample_rate, layout), start, end, sample_rate)


def cues(path: str | Path, stream: SubtitleStream) -> list[Cue]:
    """The lines of one embedded text subtitle stream (mov_text, SubRip, WebVTT, ASS), in order of time."""
    found = []
    with open_media(Path(path)) as container:
        origin = origin_of(container)
        source = container.streams[stream.index]
        for packet in container.demux(source):
            if packet.pts is None or packet.time_base is None:
                continue
            start = float(packet.pts * packet.time_base) - origin
            end = start + float((packet.duration or 0) * packet.time_base)
            lines = [_plain(rect.dialogue) for rect in packet.decode() if getattr(rect, "dialogue", None)]
            text = " ".join(line for line in lines if line)
            if text:
                found.append(Cue(max(0.0, start), max(0.0, end), text))
    return sorted(found, key=lambda cue: cue.start)


@contextmanager
def open_media(path: Path) -> Iterator[Any]:
    """Open a local file for reading; every reason why it can't be is told in a sentence."""
    if not path.exists():
        raise MediaError(f"{path} does not exist. Check the spelling; relative paths start at {Path.cwd()}.")
    if path.is_dir():
        raise MediaError(f"{path} is a folder. Give one file, or loop over the files with mmemo.Analyzer.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} may not be read by this user. Change its permissions, or copy it.")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes). The recording or the copy failed; get the file again.")
    with path.open("rb") as file:
        playlist = file.read(512).lstrip(b"\xef\xbb\xbf \r\n").startswith(_PLAYLISTS)
    if playlist:
        raise MediaError(f"{path} is a playlist: it names media elsewhere. Give the media files themselves.")
    options = {"protocol_whitelist": "file"}
    if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}:
        options["pattern_type"] = "none"  # a % in a picture's name is a name, not a sequence
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace", timeout=20.0)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path} can't be read as video, audio or image ({_reason(error)}). It may be damaged, cut short, or of "
            "another kind; play it in a media player to see."
        ) from None
    with container:
        yield container


def _video_of(container: Any) -> Any:
    """The first decodable video stream that is not a cover picture."""
    for stream in container.streams.video:
        cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        if stream.codec_context is not None and not cover and stream.codec_context.width > 0:
            return stream
    return None


def audio_of(container: Any) -> Any:
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.sample_rate and stream.channels:
            return stream
    return None


def origin_of(container: Any) -> Seconds:
    return float(container.start_time or 0) / av.time_base


def _duration(container: Any) -> Seconds:
    if container.duration:
        return float(container.duration) / av.time_base
    end, origin = 0.0, origin_of(container)  # recorders that stream to disk leave no duration: read the timestamps
    for packet in container.demux():
        if packet.pts is not None and packet.time_base is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin)
    return end


def _decode(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    """Decoded frames of one stream; damaged packets are counted and passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            log.info("reading stops early: %s", _reason(error))
            damage.packets += 1
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            if packet.size:
                damage.packets += 1
                log.info("a packet can't be decoded: %s", _reason(error))


def _between(pieces: Iterable[np.ndarray], start: Seconds, end: Seconds | None, rate: int) -> Iterator[np.ndarray]:
    """The samples from ``start`` to ``end`` of a stream that begins at second 0."""
    first, past = round(start * rate), None if end is None else round(end * rate)
    position = 0
    for piece in pieces:
        if past is not None and position >= past:
            return
        yield piece[max(0, first - position) : None if past is None else past - position]
        position += len(piece)


def _resampled(path: Path, damage: Damage, rate: int, layout: str | None = None) -> Iterator[np.ndarray]:
    """The sound from second 0 on, (N, channels) float32 at ``rate`` Hz; pauses of the track are silence."""
    with open_media(path) as container:
        stream = audio_of(container)
        if stream is None:
            return
        origin, given, channels = origin_of(container), 0, 1
        resampler = _resampler(rate, layout)
        for piece in _decode(container, stream, damage):
            try:
                blocks = resampler.resample(piece)
            except (av.FFmpegError, ValueError):  # the format changes midway
                resampler = _resampler(rate, layout)
                blocks = resampler.resample(piece)
            samples = [_finite(block, damage) for block in blocks]
            channels = samples[0].shape[1] if samples else channels
            if piece.time is not None:
                late = piece.time - origin - given / rate
                if 0.05 < late < _LONGEST_GAP:
                    silence = np.zeros((int(late * rate), channels), np.float32)
                    given += len(silence)
                    yield silence
            for block in samples:
                given += len(block)
                yield block
            damage.seconds = given / rate
        if given:
            for block in resampler.resample(None):
                yield _finite(block, damage)


def _resampler(rate: int, layout: str | None) -> Any:
    return av.AudioResampler(format="flt", layout=layout, rate=rate)


def _finite(block: Any, damage: Damage) -> np.ndarray:
    """The samples of a block, (N, channels); what is not finite becomes silence."""
    samples: np.ndarray = block.to_ndarray().reshape(-1, block.layout.nb_channels)
    bad = ~np.isfinite(samples)
    if bad.any():
        damage.samples += int(bad.any(axis=1).sum())
        samples = np.where(bad, np.float32(0), samples)
    return samples


def _mono(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels, which no layout can push out of range."""
    mono: np.ndarray = np.clip(samples.mean(axis=1, dtype=np.float32), -1.0, 1.0)
    return mono


def _upright_rgb(picture: Any, max_side: int | None, orientation: int | None) -> np.ndarray:
    width, height = picture.width, picture.height
    if max_side and max(width, height) > max_side:
        shrink = max_side / max(width, height)
        width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
    if (width, height) != (picture.width, picture.height):
        picture = picture.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    image: np.ndarray = picture.to_ndarray(format="rgb24")
    if orientation is not None:
        return upright(image, orientation)
    turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _plain(dialogue: bytes | str) -> str:
    """The text of an ASS dialogue without override tags."""
    text = dialogue.decode("utf-8", "replace") if isinstance(dialogue, bytes) else dialogue
    while "{" in text and "}" in text.split("{", 1)[1]:
        before, rest = text.split("{", 1)
        text = before + rest.split("}", 1)[1]
    return " ".join(text.replace("\\N", " ").replace("\\n", " ").replace("\\h", " ").split())


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
