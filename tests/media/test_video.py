"""Pictures come as they should be seen: upright, with square pixels, in standard range; covers are no film."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from mmemo import media
from mmemo.media.orientation import upright
from mmemo.media.tone import HLG, PQ
from mmemo.samples import portrait

STORED = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
"""The orientation that undoes each orientation."""
MATRIX = {
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip
SHOWN = np.ascontiguousarray(portrait()[:240, 20:])


def difference(image: np.ndarray, expected: np.ndarray = SHOWN) -> float:
    assert image.shape == expected.shape
    return float(np.abs(image.astype(int) - expected).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_film_is_turned_and_mirrored_by_its_display_matrix(
    tmp_path: Path, write: Callable[..., Path], orientation: int
) -> None:
    stored = av.VideoFrame.from_ndarray(upright(SHOWN, STORED[orientation]), format="rgb24")
    path = write(tmp_path / "film.mp4", [stored] * 2)
    a, b, c, d = (value << 16 for value in MATRIX[orientation])
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd")
    content[place + 44 : place + 80] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    assert difference(next(media.frames(path)).image) < 4


def _exif(orientation: int) -> bytes:
    return b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01" + bytes([0, orientation]) + bytes(6)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _with_exif(name: str, content: bytes, exif: bytes) -> bytes:
    if name.endswith(".jpg"):
        return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\x00\x00" + exif + content[2:]
    if name.endswith(".png"):
        return content[:33] + _chunk(b"eXIf", exif) + content[33:]
    # WebP: the simple form becomes the extended one, whose header says that there is EXIF.
    height, width = SHOWN.shape[:2]
    width, height = (height, width) if exif[19] >= 5 else (width, height)
    header = struct.pack("<4sI", b"VP8X", 10) + b"\x08\0\0\0" + (width - 1).to_bytes(3, "little")
    body = (
        b"WEBP" + header + (height - 1).to_bytes(3, "little") + content[12:] + struct.pack("<4sI", b"EXIF", len(exif))
    )
    body += exif
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp"])
def test_a_photo_is_turned_and_mirrored_by_its_exif(tmp_path: Path, name: str, orientation: int) -> None:
    stored = upright(SHOWN, STORED[orientation])[:, :, ::-1]
    content = cv2.imencode(Path(name).suffix, stored)[1].tobytes()
    path = tmp_path / name
    path.write_bytes(_with_exif(name, content, _exif(orientation)))
    assert difference(next(media.frames(path)).image) < 4


@pytest.mark.parametrize(
    ("stored", "aspect", "shown"),
    [
        ((720, 480), Fraction(8, 9), (540, 720)),  # DV and DVD of NTSC; in 16:9
        ((720, 480), Fraction(32, 27), (480, 853)),
        ((720, 576), Fraction(64, 45), (576, 1024)),  # of PAL in 16:9
        ((320, 240), Fraction(1000, 1), (240, 320)),  # damaged
    ],
)
def test_pixels_become_square(
    tmp_path: Path,
    write: Callable[..., Path],
    stored: tuple[int, int],
    aspect: Fraction,
    shown: tuple[int, int],
) -> None:
    picture = av.VideoFrame.from_ndarray(cv2.resize(portrait(), stored), format="rgb24")
    path = write(tmp_path / "disc.mkv", [picture] * 2, codec="mpeg4", picture={"sample_aspect_ratio": aspect})
    image = next(media.frames(path)).image
    assert difference(image, cv2.resize(portrait(), shown[::-1])) < 5
    assert next(media.frames(path, max_side=180)).image.shape[:2] == (
        round(180 * shown[0] / max(shown)),
        round(180 * shown[1] / max(shown)),
    )


def test_a_photo_keeps_its_pixels_whatever_its_density(tmp_path: Path) -> None:
    """Viewers ignore the density in dots an inch, which scanners and editors write at will."""
    content = bytearray(cv2.imencode(".jpg", SHOWN)[1].tobytes())
    assert content[6:11] == b"JFIF\x00"
    content[13:18] = b"\x01" + struct.pack(">HH", 72, 144)
    (tmp_path / "photo.jpg").write_bytes(content)
    assert next(media.frames(tmp_path / "photo.jpg")).image.shape == SHOWN.shape


def _high_range(transfer: int) -> av.VideoFrame:
    """The portrait as a camera of high range stores it: white paper at 203 cd/m²."""
    code = portrait() / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    wide = linear @ np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]).T
    if transfer == PQ:
        power = (wide * 203 / 10_000) ** 0.1593017578125
        coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        scene = (0.203 * wide) ** (1 / 1.2)
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        coded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    frame = av.VideoFrame.from_ndarray((coded * 65_535).astype(np.uint16), format="rgb48le")
    frame = frame.reformat(format="yuv420p10le", dst_colorspace=Colorspace.BT2020)
    frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = transfer, 9, 9, 1
    return frame


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_high_dynamic_range_becomes_standard(tmp_path: Path, write: Callable[..., Path], transfer: int) -> None:
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    path = write(tmp_path / "phone.mkv", [_high_range(transfer)], codec="ffv1", picture=tags)
    assert difference(next(media.frames(path)).image, portrait()) < 2
    plain = write(tmp_path / "plain.mkv", [_high_range(transfer)], codec="ffv1", picture={**tags, "color_trc": 1})
    assert difference(next(media.frames(plain)).image, portrait()) > 15


def test_highlights_are_compressed_and_stay_in_order() -> None:
    from mmemo.media.tone import standard_range

    gray = np.repeat(np.arange(0, 65_536, 64, dtype=np.uint16)[:, None, None], 3, axis=2)
    shown = standard_range(gray, PQ)[:, 0]
    assert (np.diff(shown.astype(int), axis=0) >= 0).all()
    assert shown[0].tolist() == [0, 0, 0]
    assert shown[-1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec"), [("music.mp4", "libx264", "aac"), ("music.ogg", "libvpx", "libopus")]
)
def test_a_single_picture_beside_sound_is_a_cover(
    tmp_path: Path,
    write: Callable[..., Path],
    face: av.VideoFrame,
    words: np.ndarray,
    name: str,
    codec: str,
    sound_codec: str,
) -> None:
    """Old Ogg files keep the cover in a stream of Theora; PyAV can't write that, but VP8, which Ogg holds the same way."""
    face = face.reformat(64, 64, "yuv420p")
    settings: dict[str, Any] = {"codec": codec, "sound_codec": sound_codec}
    path = write(tmp_path / name, [face], [words], **settings)
    info = media.probe(path)
    assert (info.kind, info.video) == ("audio", None)
    assert list(media.frames(path)) == []
    film = write(tmp_path / f"film{path.suffix}", [face] * 20, [words], **settings)
    assert media.probe(film).kind == "video"
    assert media.probe(write(tmp_path / f"mute{path.suffix}", [face], **settings)).kind == "video"
