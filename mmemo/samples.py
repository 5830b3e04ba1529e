"""Small sample clips with a real face and a real voice, for docs, tests and first steps.

The face is NASA's portrait of Eileen Collins (public domain); see NOTICE for it and for the voice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Literal

import numpy as np

from mmemo import media
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import SAMPLE_RATE, Seconds
from mmemo.media import Frame

__all__ = [
    "ASSETS",
    "SPEECH_TEXT",
    "Sound",
    "make_clip",
    "make_corpus",
    "moved_portrait",
    "portrait",
    "sound",
    "speech",
]


def __dir__() -> list[str]:
    return __all__


ASSETS = Path(__file__).parent / "sample_media"
SPEECH_TEXT = "And you always want to see it in the superlative degree."
"""The spoken sentence of `speech`."""

Sound = Literal["speech", "silence", "noise", "tone"]
_SOUNDS = ("speech", "silence", "noise", "tone")


def portrait() -> np.ndarray:
    """A real face looking at the camera, smiling: (H, W, 3) uint8 RGB.

    Examples:
        >>> from mmemo.samples import portrait
        >>> portrait().shape
        (300, 300, 3)
    """
    return next(media.frames(ASSETS / "portrait.jpg")).image


def moved_portrait(*, turn: float = 0.0, lean: float = 0.0, look: float = 0.0, closed: float = 0.0) -> np.ndarray:
    """The face of `portrait` with head and eyes moved, by warping the picture: (H, W, 3) uint8 RGB.

    What is measured on it has a known sign, and grows with the movement.

    Args:
        turn: how far the head turns to the right of the picture, -1 to 1; 1 is about 8 degrees.
        lean: degrees by which it leans to the right of the picture, clockwise.
        look: how far the eyes look to the right of the picture, -1 to 1; 1 is about 20 degrees.
        closed: how far the eyes are closed, 0 to 1.

    Examples:
        >>> from mmemo.samples import moved_portrait
        >>> moved_portrait(turn=1.0).shape
        (300, 300, 3)
    """
    import cv2

    from mmemo.faces import FaceFinder
    from mmemo.faces.landmarks import LEFT_EYE, LEFT_EYELIDS, RIGHT_EYE, RIGHT_EYELIDS

    image = portrait()
    height, width = image.shape[:2]
    points = FaceFinder(max_faces=1).find(image)[0].landmarks
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    splats = np.zeros((2, height, width), np.float32)
    np.add.at(splats[0], tuple(points[:, 1::-1].astype(int).T), points[:, 2].max() - points[:, 2])
    np.add.at(splats[1], tuple(points[:, 1::-1].astype(int).T), 1)
    relief, count = (cv2.GaussianBlur(one, (0, 0), 0.03 * width) for one in splats)
    x, y = across - 0.35 * turn * relief / (count + 1e-4), down.copy()
    for corners, (upper, lower) in ((RIGHT_EYE, RIGHT_EYELIDS), (LEFT_EYE, LEFT_EYELIDS)):
        middle = points[list(corners), :2].mean(axis=0)
        wide = np.linalg.norm(points[corners[0], :2] - points[corners[1], :2])
        tall = points[lower, 1] - points[upper, 1]
        beside, above = (across - middle[0]) / wide, (down - middle[1]) / wide
        x -= 0.2 * look * wide * np.exp(-((beside / 0.42) ** 4) - (above / 0.42) ** 4)
        lid = np.clip(1 - abs(down - points[lower, 1]) / (1.6 * tall), 0, 1)
        y -= 2.2 * closed * tall * np.exp(-((beside / 0.5) ** 4)) * lid
    moved = cv2.remap(
        image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    about = cv2.getRotationMatrix2D((width / 2, height / 2), -lean, 1.0)
    return np.asarray(cv2.warpAffine(moved, about, (width, height), borderMode=cv2.BORDER_REPLICATE))


def speech() -> np.ndarray:
    """A sentence read aloud: (N,) float32, 16 kHz mono.

    Examples:
        >>> from mmemo.samples import speech
        >>> len(speech()) / 16_000  # seconds
        4.0
    """
    return media.waveform(ASSETS / "speech.opus")


def sound(kind: Sound, seconds: Seconds) -> np.ndarray:
    """(N,) float32, 16 kHz mono: the sentence over and over, digital silence, faint noise, or a tone of 220 Hz.

    Examples:
        >>> from mmemo.samples import sound
        >>> sound("tone", 0.5).shape
        (8000,)
    """
    samples = round(seconds * SAMPLE_RATE)
    if kind == "speech":
        return np.resize(speech(), samples)
    if kind == "noise":
        return np.random.default_rng(0).normal(0, 0.01, samples).astype(np.float32)
    if kind == "tone":
        return (0.2 * np.sin(2 * np.pi * 220 * np.arange(samples) / SAMPLE_RATE)).astype(np.float32)
    if kind == "silence":
        return np.zeros(samples, np.float32)
    raise ArgumentError(expected_one_of("Sound", _SOUNDS, kind))


def make_clip(
    path: str | Path,
    *,
    seconds: Seconds = 2.0,
    size: tuple[int, int] = (320, 240),
    rate: int = 25,
    faces: int = 1,
    picture: bool = True,
    sound: Sound | np.ndarray | None = "speech",
    sample_rate: int = SAMPLE_RATE,
    rotation: Literal[0, 90, 180, 270] = 0,
    variable_rate: bool = False,
    cut: Seconds | None = None,
) -> Path:
    """Write a small clip (``.mp4``, ``.mkv``; ``.wav`` or ``.m4a`` for sound alone).

    Args:
        size: width and height in pixels, as the viewer sees it.
        faces: how many people are in the picture, side by side; 0 is a gray wall.
        picture: False for a file without a video stream.
        sound: the kind of sound track, or samples (N,) or (channels, N) at ``sample_rate``; None for no sound track.
        rotation: degrees clockwise that a player must turn the stored picture by, as phones write it.
        variable_rate: every other frame is shown three times as long.
        cut: seconds after which the picture changes to a wholly different scene.

    Examples:
        >>> from mmemo import media
        >>> from mmemo.samples import make_clip
        >>> media.probe(make_clip("short.mp4", seconds=0.4)).duration
        0.4...
    """
    path = Path(path)
    samples = sound if isinstance(sound, np.ndarray) or sound is None else globals()["sound"](sound, seconds)
    pictures = _scene(seconds, size, rate, faces, rotation, variable_rate, cut) if picture else None
    media.write_video(path, pictures, samples, sample_rate=sample_rate, rate=rate)
    if rotation:
        _mark_rotated(path, rotation)
    return path


def make_corpus(folder: str | Path, *, speakers: int = 6, seconds: Seconds = 2.0) -> Path:
    """Write a small corpus: for every speaker two clips, and a spreadsheet ``clips.csv`` of its own layout.

    Its columns are file, emotion, actor and words; the emotion, happiness or sadness, is in the words only. No two
    clips have the same sound.

    Examples:
        >>> from mmemo.samples import make_corpus
        >>> print(make_corpus("corpus", speakers=1, seconds=0.4).read_text())
        file,emotion,actor,words
        0-happiness.mp4,happiness,actor 0,I am so happy and I love it
        0-sadness.mp4,sadness,actor 0,I am so sad that I could cry
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = np.array_split(speech(), 5)
    orders = iter(np.random.default_rng(0).permutation(list(permutations(range(len(pieces))))))
    lines = ["file,emotion,actor,words"]
    sentences = {"happiness": "I am so happy and I love it", "sadness": "I am so sad that I could cry"}
    for speaker in range(speakers):
        for emotion, text in sentences.items():
            shuffled = np.concatenate([pieces[i] for i in next(orders)])
            sound = np.resize(shuffled, round(seconds * SAMPLE_RATE))
            name = f"{speaker}-{emotion}.mp4"
            make_clip(folder / name, seconds=seconds, size=(160, 120), rate=10, sound=sound)
            lines.append(f"{name},{emotion},actor {speaker},{text}")
    sheet = folder / "clips.csv"
    sheet.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sheet


def _scene(
    seconds: Seconds,
    size: tuple[int, int],
    rate: int,
    faces: int,
    rotation: int,
    variable_rate: bool,
    cut: Seconds | None,
) -> Iterator[Frame]:
    """Pictures of a room in which people sway a little."""
    import cv2

    width, height = size
    rows = np.linspace(90, 170, height, dtype=np.float32)[:, None, None]
    room = np.broadcast_to(rows, (height, width, 3)).astype(np.uint8)
    face = portrait()
    side = min(height, width // max(1, faces)) * 9 // 10
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    count, time = round(seconds * rate), 0.0
    for number in range(count):
        time = number / rate if not variable_rate else (number // 2 * 4 + number % 2) / (2 * rate)
        canvas = room.copy()
        shift = round(2 * np.sin(2 * np.pi * time / 3))
        for person in range(faces):
            left = (2 * person + 1) * width // (2 * faces) - side // 2 + shift
            left = int(np.clip(left, 0, width - side))
            mirrored = small[:, ::-1] if person % 2 else small
            canvas[height - side :, left : left + side] = mirrored
        if cut is not None and time >= cut:
            canvas = 255 - canvas[:, ::-1] if not faces else np.roll(canvas[:, ::-1], width // 4, axis=1) // 2
        # Players turn clockwise by `rotation`: store the picture turned the other way.
        yield Frame(time, np.ascontiguousarray(np.rot90(canvas, rotation // 90)))


def _mark_rotated(path: Path, rotation: int) -> None:
    """Write a rotation into the display matrix of an MP4's video track, as phones do (ISO 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation]
    matrix = struct.pack(">9i", cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)
    place = data.find(b"tkhd")
    while place >= 0:
        wide, high = struct.unpack(">II", data[place + 80 : place + 88])
        if wide and high:
            data[place + 44 : place + 80] = matrix
        place = data.find(b"tkhd", place + 4)
    path.write_bytes(bytes(data))
