"""Awkward pictures through `analyze`: each is handled, or refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmemo import Analyzer
from mmemo.errors import MediaError, MissingStreamError
from mmemo.media import Frame, frames, write_video
from mmemo.media.orientation import exif_orientation, upright
from mmemo.media.structure import exif
from mmemo.samples import portrait, speech

pytestmark = pytest.mark.slow

Image = pytest.importorskip("PIL.Image", reason="needs the extra dev")
Draw = pytest.importorskip("PIL.ImageDraw")


@pytest.fixture(scope="module")
def look() -> Analyzer:
    return Analyzer(modalities=("face",))


def smile() -> np.ndarray:
    return portrait()


def save_16_bit(path: Path) -> None:
    cv2.imwrite(str(path), smile()[:, :, ::-1].astype(np.uint16) * 257)


def save_float(path: Path) -> None:
    cv2.imwrite(str(path), smile()[:, :, ::-1].astype(np.float32) / 255)


def save_as(mode: str) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(smile()).convert(mode).save(path)


def save_animated(path: Path) -> None:
    pictures = [Image.fromarray(np.roll(smile(), 2 * i, axis=1)) for i in range(6)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=120, loop=0)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("deep.png", save_16_bit),
        ("deep.tiff", save_16_bit),
        ("float.tiff", save_float),
        ("print.jpg", save_as("CMYK")),
        ("print.tiff", save_as("CMYK")),
        ("grey.png", save_as("L")),
        ("palette.gif", save_as("P")),
        ("transparent.png", save_as("RGBA")),
        ("photo.webp", save_as("RGB")),
        ("photo.avif", save_as("RGB")),
        ("moving.gif", save_animated),
        ("moving.png", save_animated),
        ("pages.tiff", save_animated),
    ],
)
def test_pictures_of_every_kind(look: Analyzer, tmp_path: Path, name: str, save: Callable[[Path], None]) -> None:
    path = tmp_path / name
    save(path)
    result = look(path)
    assert result.label == "happiness"
    assert len(result.people) == 1
    image = next(iter(frames(path))).image
    wanted = smile() if name != "grey.png" else cv2.cvtColor(smile(), cv2.COLOR_RGB2GRAY)[..., None]
    assert np.abs(image.astype(int) - wanted).mean() < (16 if name == "palette.gif" else 4)  # 256 colors are coarse


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phone_picture_is_turned_upright(look: Analyzer, tmp_path: Path, orientation: int) -> None:
    """Stored as a camera held in each way stores it, mirrored ones too; pillow undoes it as the reference."""
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = Image.fromarray(smile()[:, 20:])
    picture = picture.transpose(stored[orientation]) if orientation > 1 else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "phone.jpg"
    picture.save(path, exif=exif, quality=95)
    image = next(iter(frames(path))).image
    assert image.shape == smile()[:, 20:].shape
    assert np.abs(image.astype(int) - smile()[:, 20:]).mean() < 4
    assert look(path).label == "happiness"


def test_orientation_is_read_from_the_header_alone(tmp_path: Path) -> None:
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    segment = b"Exif\x00\x00" + tiff
    head = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    path = tmp_path / "head.jpg"

    def orientation(content: bytes) -> int | None:
        path.write_bytes(content)
        data = exif(path)
        return None if data is None else exif_orientation(data)

    assert orientation(head) == orientation(tiff) == 6
    for broken in (
        head[:30],
        b"\x89PNG" + head,
        head.replace(b"MM", b"XX"),
        head.replace(b"\x00\x06\x00", b"\x00\x63\x00"),
    ):
        assert orientation(broken) is None
    assert np.array_equal(upright(np.arange(12).reshape(2, 2, 3), 1), np.arange(12).reshape(2, 2, 3))


def test_twenty_faces(look: Analyzer, tmp_path: Path) -> None:
    crowd = Image.new("RGB", (1000, 800), (120, 120, 120))
    for i in range(20):
        crowd.paste(Image.fromarray(smile()).resize((200, 200)), (i % 5 * 200, i // 5 * 200))
    crowd.save(tmp_path / "crowd.jpg", quality=92)
    result = look(tmp_path / "crowd.jpg")
    assert len(result.people) == 20
    assert {person.label for person in result.people} == {"happiness"}
    assert len({(round(p.box[0], 1), round(p.box[1], 2)) for p in result.people}) == 20


def test_a_face_in_a_photo_of_12000_pixels(look: Analyzer, tmp_path: Path) -> None:
    photo = np.full((3000, 12000, 3), 118, np.uint8)
    photo[1200:1800, 7000:7600] = cv2.resize(smile(), (600, 600))
    cv2.imwrite(str(tmp_path / "photo.jpg"), photo[:, :, ::-1])
    result = look(tmp_path / "photo.jpg")
    assert result.label == "happiness"
    left, top, right, bottom = result.people[0].box
    assert 7000 / 12000 < left < right < 7600 / 12000
    assert 1200 / 3000 < top < bottom < 1800 / 3000


def test_a_drawn_face_is_taken_for_what_it_shows_and_a_drawn_house_for_nothing(look: Analyzer, tmp_path: Path) -> None:
    drawn = Image.new("RGB", (400, 400), "white")
    pen = Draw.Draw(drawn)
    pen.ellipse((80, 60, 320, 340), outline="black", width=5)
    pen.ellipse((140, 150, 170, 180), fill="black")
    pen.ellipse((230, 150, 260, 180), fill="black")
    pen.arc((140, 200, 260, 290), 20, 160, fill="black", width=5)
    pen.line((200, 190, 195, 230), fill="black", width=4)
    drawn.save(tmp_path / "smiley.png")
    assert look(tmp_path / "smiley.png").label == "happiness"
    house = Image.new("RGB", (400, 400), "white")
    pen = Draw.Draw(house)
    pen.rectangle((100, 200, 300, 360), outline="black", width=4)
    pen.polygon([(80, 200), (200, 90), (320, 200)], outline="black", width=4)
    pen.rectangle((180, 280, 220, 360), outline="black", width=4)
    house.save(tmp_path / "house.png")
    with pytest.raises(MissingStreamError, match=r"house\.png has nothing to analyze.*No face was found"):
        look(tmp_path / "house.png")


def test_a_face_that_is_hardly_seen_is_absent_with_a_note(look: Analyzer, tmp_path: Path) -> None:
    """So dark that hardly any contrast is left: found, yet not scored."""
    cv2.imwrite(str(tmp_path / "night.png"), (smile()[:, :, ::-1] * 0.05).astype(np.uint8))
    with pytest.raises(MissingStreamError, match="A face was found, but not seen well enough"):
        look(tmp_path / "night.png")
    clip = write_video(
        tmp_path / "night.mp4", [Frame(i / 10, (smile() * 0.05).astype(np.uint8)) for i in range(10)], speech()
    )
    result = Analyzer(modalities=("face", "voice"))(clip)
    assert "face" not in result.modalities
    assert "poor-face" in {note.code for note in result.notes}


@pytest.mark.parametrize("kind", ["moving.webp", "cut.png", "drawing.svg"])
def test_what_cannot_be_decoded_is_refused_in_a_sentence(look: Analyzer, tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "drawing.svg":
        path.write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle cx="5" cy="5" r="4"/></svg>'
        )
    elif kind == "cut.png":
        Image.fromarray(smile()).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    else:
        save_animated(path)
    with pytest.raises(MediaError, match=r"is a picture that can't be decoded.*Save it as PNG or JPEG"):
        look(path)
