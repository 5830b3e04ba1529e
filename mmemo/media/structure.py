"""The layout of media files in bytes: whether a file ends before it should, and where a picture's EXIF lies.

Sources: ITU-T T.81, annex B (JPEG); RIFF of the Multimedia Programming Interface 1.0; ISO 14496-12, 4.2 (MP4); RFC 8794
(EBML, Matroska); PNG 3rd edition, 11.3.3.4; WebP container specification; TIFF 6.0; GIF89a, 15 to 27; Advanced Systems
Format, 2.1 (WMV, WMA); SMPTE 377-1, 6.3 (MXF); Sony Wave64.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap

from mmemo.media.container import File, mapped

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_SOME = 100_000
"""Boxes or chunks that are looked at: a file of nothing else is no media."""
_WAVE64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_MXF = b"\x06\x0e\x2b\x34"
_SLACK = 0.02
"""Share of a RIFF file that may be missing: writers are careless by a few bytes."""
_UNKNOWN = 0x7FFF_0000
"""Sizes from here on stand in files that were written to a pipe, where nobody knew the size."""


def cut_short(file: File) -> bool:
    """Whether a file ends before its own headers say; False for a kind that does not say, or is not known here."""
    with mapped(file) as data:
        if data[:2] == b"\xff\xd8":
            scan = next((start for marker, start, _ in _jpeg_segments(data) if marker == 0xDA), None)
            return scan is not None and data.find(b"\xff\xd9", scan) < 0
        if data[:4] == b"RIFF" and len(data) >= 12:
            size = struct.unpack("<I", data[4:8])[0]
            return bool(size < _UNKNOWN and size * (1 - _SLACK) > len(data))
        if data[4:8] in _BOXES:
            return any(end > len(data) for _, _, end in _boxes(data))
        if data[:4] == b"\x1a\x45\xdf\xa3":
            return _matroska_end(data) > len(data)
        if data[:4] == b"GIF8":
            return not _gif_ends(data)
        if data[:16] == _WAVE64 and len(data) >= 24:
            return bool(struct.unpack("<Q", data[16:24])[0] > len(data))
        if data[:4] == b"caff":
            return any(end > len(data) for _, _, end in _chunks(data, 8, ">4sq"))
        if data[:16] == _ASF:
            return any(end > len(data) for end in _asf_ends(data))
        if data[:4] == _MXF:
            return any(end > len(data) for end in _mxf_ends(data))
        return False


def exif(file: File) -> bytes | None:
    """The EXIF of a JPEG, PNG, WebP or TIFF picture, as a TIFF structure; None if there is none."""
    with mapped(file) as data:
        if data[:4] in (b"II*\x00", b"MM\x00*"):
            return bytes(data)
        if data[:2] == b"\xff\xd8":
            found = (data[start:end] for marker, start, end in _jpeg_segments(data) if marker == 0xE1)
            found = (segment for segment in found if segment.startswith(b"Exif\x00\x00"))
        elif data[:8] == b"\x89PNG\r\n\x1a\n":
            found = (data[start:end] for kind, start, end in _chunks(data, 8, ">I4s", 4) if kind == b"eXIf")
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            found = (data[start:end] for kind, start, end in _chunks(data, 12, "<4sI") if kind == b"EXIF")
        else:
            return None
        segment = next(found, None)
        return segment if segment is None else segment.removeprefix(b"Exif\x00\x00")


def _jpeg_segments(data: mmap | bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment, the first start of scan being the last."""
    place, marker = 2, 0
    while place + 4 <= len(data) and data[place] == 0xFF and marker != 0xDA:
        marker, length = data[place + 1], struct.unpack(">H", data[place + 2 : place + 4])[0]
        yield marker, place + 4, place + 2 + length
        place += 2 + length


def _chunks(data: mmap | bytes, place: int, header: str, checksum: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the contents of chunks of PNG (with checksums), RIFF or CAF."""
    head = struct.calcsize(header)
    for _ in range(_SOME):
        if place + head > len(data):
            return
        first, second = struct.unpack(header, data[place : place + head])
        kind, size = (first, second) if isinstance(first, bytes) else (second, first)
        if size < 0:  # of unknown size, to the end
            return
        place += head
        yield kind, place, place + size
        place += size + checksum + (size % 2 if header[0] == "<" else 0)


def _boxes(data: mmap | bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the outermost boxes of an MP4 file."""
    place = 0
    for _ in range(_SOME):
        if place + 16 > len(data):
            return
        size, kind, large = struct.unpack(">I4sQ", data[place : place + 16])
        size = {0: len(data) - place, 1: large}.get(size, size)
        if size < 8:
            return
        yield kind, place, place + size
        place += size


def _gif_ends(data: mmap | bytes) -> bool:
    """Whether the blocks of a GIF go on to its trailer."""
    if len(data) < 13:
        return False
    place = 13 + _color_table(data[10])
    for _ in range(_SOME):
        match data[place : place + 1]:
            case b"!":
                place += 2
            case b"," if place + 10 < len(data):
                place += 11 + _color_table(data[place + 9])
            case end:
                return end == b";"
        while place < len(data) and data[place]:
            place += 1 + data[place]
        place += 1
    return True


def _color_table(packed: int) -> int:
    """Bytes of a GIF's color table, by the byte that holds its size."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _asf_ends(data: mmap | bytes) -> Iterator[int]:
    """Where the outermost objects of an ASF file end; one of no size was written by a live encoder."""
    place = 0
    for _ in range(_SOME):
        if place + 24 > len(data):
            return
        size = struct.unpack("<Q", data[place + 16 : place + 24])[0]
        if size < 24:
            return
        place += size
        yield place


def _mxf_ends(data: mmap | bytes) -> Iterator[int]:
    """Where the keys, lengths and values of an MXF file end."""
    place = 0
    for _ in range(_SOME):
        if data[place : place + 4] != _MXF:
            return
        if place + 17 > len(data):
            yield place + 17
            return
        length, place = data[place + 16], place + 17
        if length == 0x80:  # of unknown length
            return
        if length > 0x80:
            place, length = place + length - 0x80, int.from_bytes(data[place : place + length - 0x80], "big")
        place += length
        yield place


def _matroska_end(data: mmap | bytes) -> int:
    """Where the segment ends that follows the header of EBML; 0 where its size is unknown."""
    size, place = _variable_integer(data, 4)
    place += size
    if data[place : place + 4] != b"\x18\x53\x80\x67":
        return 0
    size, start = _variable_integer(data, place + 4)
    return start + size if size else 0


def _variable_integer(data: mmap | bytes, place: int) -> tuple[int, int]:
    """An EBML size and the place after it; 0 for an unknown one."""
    if place + 8 > len(data) or not data[place]:
        return 0, place
    length = 9 - data[place].bit_length()
    bits = 7 * length
    value = int.from_bytes(data[place : place + length], "big") & ((1 << bits) - 1)
    return (0 if value == (1 << bits) - 1 else value), place + length
