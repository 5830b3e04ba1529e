"""Opening a media file, and decoding the packets of one of its streams."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, TypeAlias

import av
import av.format

from mmemo.errors import MediaError
from mmemo.evidence import Seconds
from mmemo.in_memory import Encoded, Sound
from mmemo.media.clock import continued
from mmemo.media.limits import LIMITS
from mmemo.media.suffixes import IMAGE
from mmemo.reading import address, stand_in

log = logging.getLogger(__name__)

_PLAYLISTS = (b"#extm3u", b"<?xml", b"<mpd", b"ffconcat", b"v=0\r", b"v=0\n")
"""First bytes, in lower case, of files that name media elsewhere."""
_LARGE = 9_000_000
"""Pixels; each thread of a decoder holds a picture or more of its own, so larger ones get no more than four."""
_PADDING = 10_000_000
"""Pixels that FFmpeg may count beyond the picture: it rounds rows up to 64."""
_GROUP = 1_000
"""Packets between two key frames that are kept; more than any encoder writes."""
_HEAD = 512
"""Bytes by which what is no media file is known."""
_LONGEST = 300
"""Characters of a name in a message: it may be content that was taken for a name."""


@dataclass
class Damage:
    """How much of a stream could not be decoded; the functions that read media fill it in.

    Attributes:
        packets: number of damaged packets, which were passed over.
        samples: number of sound samples that were not finite and became silence.
        seconds: how far decoding came.
        anti_phase: whether the two channels of the sound cancel each other, so that one of them was taken.
    """

    packets: int = 0
    samples: int = 0
    seconds: Seconds = 0.0
    anti_phase: bool = False


File: TypeAlias = Path | Encoded | Sound
"""A media file on disk or in memory; sound that is in memory is a WAV file."""


@contextmanager
def open_media(file: File) -> Iterator[Any]:
    """Open a local file, or one in memory, for reading, as a PyAV container.

    Raises:
        MediaError: with the reason why the file can't be read, or which of its `LIMITS` it exceeds.
    """
    options = {"protocol_whitelist": "file", "max_pixels": str(LIMITS.still_pixels + _PADDING)}
    if isinstance(file, Path):
        _check_file(file)
        source: str | BytesIO = f"file:{file}"
        if file.suffix.lower() in IMAGE:
            options["pattern_type"] = "none"  # a % in an image's name is a name, not a sequence
    else:
        data = content(file)
        _check_head(file, data[:_HEAD])
        source = BytesIO(data)
    try:
        container = av.open(source, options=options, metadata_errors="replace", timeout=20.0)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{file} can't be read as video, audio or image ({_reason(error)}). It may be damaged, cut short, or of "
            "another kind; play it in a media player to see."
        ) from None
    with container:
        _check_limits(file, container)
        yield container


def file_of(source: str | File) -> File:
    """The same with a name as a path."""
    return Path(source) if isinstance(source, str) else source


def content(file: Encoded | Sound) -> bytes:
    """The bytes of a file in memory."""
    return file.file.data if isinstance(file, Sound) else file.data


def size_of(file: File) -> int:
    """Bytes of a file that can be opened."""
    return file.stat().st_size if isinstance(file, Path) else len(content(file))


@contextmanager
def mapped(file: File) -> Iterator[mmap | bytes]:
    """The bytes of a file that can be opened; those of one on disk are read as they are used."""
    if not isinstance(file, Path):
        yield content(file)
        return
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        yield data


def _check_file(path: Path) -> None:
    """Refuse what is no file, or not a media file by its first bytes."""
    try:
        status = path.stat()
    except PermissionError:
        raise MediaError(f"{path} may not be read by this user. Change its permissions, or copy it.") from None
    except (OSError, ValueError):
        raise MediaError(_missing(str(path))) from None
    if S_ISDIR(status.st_mode):
        raise MediaError(f"{path} is a folder. Give one file, or loop over the files with mmemo.Analyzer.")
    if not S_ISREG(status.st_mode):  # opening a pipe would wait for a writer, and a device may never end
        raise MediaError(f"{path} is a pipe, a socket or a device, not a file. Write what it holds to a file first.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} may not be read by this user. Change its permissions, or copy it.")
    with path.open("rb") as file:
        _check_head(path, file.read(_HEAD))


def _missing(name: str) -> str:
    """Why there is no file of a name, and what to do."""
    if name.startswith("data:"):
        return "A data: URL is no file. Give its bytes: base64.b64decode(url.partition(',')[2])."
    shortened = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
    scheme, rest = address(shortened) or ("", "")
    if scheme == "file":
        return f"{shortened} is a URL; give the path itself, /{rest}."
    if scheme:
        return (
            f"{scheme}://{rest} is an address, and mmemo opens local files only; download it first, or call "
            "mmemo.Clip.download(url)."
        )
    return f"{shortened} does not exist. Check the spelling; relative paths start at {Path.cwd()}."


def _check_head(path: File, head: bytes) -> None:
    """Refuse what is no media file by its first bytes."""
    if not head:
        raise MediaError(f"{path} is empty (0 bytes). The recording or the copy failed; get the file again.")
    head = head.lstrip(b"\xef\xbb\xbf \r\n")
    if head.lower().startswith(_PLAYLISTS):
        raise MediaError(f"{path} is a playlist: it names media elsewhere. Give the media files themselves.")
    if what := stand_in(head):
        raise MediaError(f"{path} can't be read as media: {what}.")


def check_pixels(name: object, width: int, height: int, *, still: bool) -> int:
    """The most pixels that a picture may have.

    Raises:
        MediaError: if it has more.
    """
    most = LIMITS.still_pixels if still else LIMITS.video_pixels
    if width * height > most:
        raise MediaError(
            f"{name} has a picture of {width} x {height} pixels; at most {most / 1e6:.0f} megapixels are read, as "
            "more takes too much memory. Make it smaller; a face needs 200 pixels."
        )
    return most


def _check_limits(path: File, container: Any) -> None:
    for stream in container.streams.video:
        if stream.codec_context is None:
            continue
        width, height = stream.codec_context.width, stream.codec_context.height
        most = check_pixels(path, width, height, still=is_still(container))
        stream.codec_context.options = {"max_pixels": str(most + _PADDING)}  # pictures may grow midway
        if width * height > _LARGE:
            stream.codec_context.thread_count = 4
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.sample_rate > LIMITS.sample_rate:
            raise MediaError(
                f"{path} has a sound track of {stream.sample_rate} samples a second; at most {LIMITS.sample_rate} are "
                "read. The header may be damaged; save the sound again at 48000."
            )


def is_still(container: Any) -> bool:
    """Whether an open file is a picture that does not move, by its format."""
    return bool(container.format.name.endswith(("_pipe", "image2")))


def video_stream(container: Any) -> Any:
    """The first decodable video stream that is not a cover picture, or None."""
    for stream in container.streams.video:
        if stream.codec_context is not None and stream.codec_context.width > 0 and not _is_cover(stream):
            return stream
    return None


def _is_cover(stream: Any) -> bool:
    """Whether a video stream is the cover of a piece of music: it says so, or is a single frame beside sound."""
    if stream.disposition & av.stream.Disposition.attached_pic:
        return True
    frames = stream.frames
    if not frames and stream.duration and stream.guessed_rate:  # Ogg does not count frames
        frames = float(stream.duration * stream.time_base * stream.guessed_rate)
    return bool(0 < frames < 1.5 and stream.container.streams.audio)


def audio_streams(container: Any) -> list[Any]:
    """The decodable audio streams."""
    return [
        stream
        for stream in container.streams.audio
        if stream.codec_context is not None and stream.sample_rate and stream.channels
    ]


def is_default(stream: Any) -> bool:
    """Whether a file marks a stream as the one to play."""
    return bool(stream.disposition & av.stream.Disposition.default)


def origin(container: Any) -> Seconds:
    """The timestamp that counts as second 0 of a file: that of its first sample or picture."""
    return float(container.start_time or 0) / av.time_base


def clock_may_jump(container: Any) -> bool:
    """Whether the timestamps of a file may start again midway, by its format; joined files of these are common."""
    return bool(container.format.flags & av.format.Flags.ts_discont.value)


def packets(container: Any, stream: Any = None, start: Seconds | None = None) -> Iterator[Any]:
    """The packets of one stream, or of all, with timestamps that go on from the start of the file to its end.

    Args:
        start: seconds; begin at the last key frame before it. None to begin where the container stands, which for a
            format whose clock may jump must be its start.

    Raises:
        av.FFmpegError: where reading fails.
    """
    if not clock_may_jump(container):
        if start is not None:
            container.seek(int((start + origin(container)) * av.time_base))
        yield from container.demux() if stream is None else container.demux(stream)
        return
    if start is not None:  # a timestamp may come twice in such a file, so it can't be sought
        container.seek(0, unsupported_byte_offset=True)
    begin = None if start is None else start + origin(container)
    waiting: deque[Any] = deque(maxlen=_GROUP)
    for packet in continued(container.demux()):
        if stream is not None and packet.stream.index != stream.index:
            continue
        if begin is not None and packet.pts is not None and packet.pts * packet.time_base < begin:
            if packet.is_keyframe:
                waiting.clear()
            waiting.append(packet)
            continue
        yield from waiting
        waiting.clear()
        yield packet


def decode(container: Any, stream: Any, damage: Damage, start: Seconds | None = None) -> Iterator[Any]:
    """The frames of one stream; damaged packets are counted and passed over. ``start`` as of `packets`."""
    source = packets(container, stream, start)
    while True:
        try:
            packet = next(source, None)
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


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
