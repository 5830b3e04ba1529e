"""The analyzed video with what was found drawn into it: boxes, labels, bars, subtitles, and the course below."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmemo import media
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.faces.hiding import METHODS, Method, hide_faces
from mmemo.media import Frame, SoundOf
from mmemo.report import canvas
from mmemo.report.bands import Run, at, runs
from mmemo.report.canvas import NIGHT, WHITE
from mmemo.report.palette import EMPTY, colors, ink, rgb
from mmemo.speech.transcript import Line
from mmemo.trails import Box

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Person

_LEGIBLE = 300
"""Pixels of a picture's shorter side from which labels can be read; smaller ones are shown at twice the size."""
_GREY, _DIM = (176, 182, 188), (118, 125, 132)
_NEAR: Seconds = 1.0
"""A face that is seen a little outside of its scored windows bears the nearest one's label."""


def save_video(
    result: EmotionResult,
    path: Path,
    anonymize: Method | None = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """See `EmotionResult.save_video`."""
    if path.suffix.lower() not in (".mp4", ".mkv"):
        raise ArgumentError(expected_one_of(f"Suffix of {path.name}", (".mp4", ".mkv"), path.suffix))
    if anonymize is not None and anonymize not in METHODS:
        raise ArgumentError(expected_one_of("anonymize", METHODS, anonymize))
    if result.source is None:
        raise ArgumentError("A result of text alone has no video to draw on.")
    source = Path(result.source)
    info = media.probe(source)
    if info.kind != "video":
        raise ArgumentError(f"{source} is no video ({info.kind}); result.save writes its plot as .png, .svg or .pdf.")
    if not path.parent.is_dir():
        raise ArgumentError(f"There is no folder {path.parent} to write {path.name} into. Create it first.")
    if path.exists() and os.path.samefile(path, source):
        raise ArgumentError(f"{path} is the analyzed video itself. Give another name.")
    end = result.start + result.duration
    # A clip that ends with its file is read to the last frame, which may be shown beyond the file's nominal end.
    past = end if end < info.duration - 0.01 else None
    pictures = _annotated(result, media.frames(source, result.start, past), anonymize, progress)
    rate = round(info.video.frame_rate) if info.video and info.video.frame_rate else 25
    sound = SoundOf(source, result.start, past) if info.audio is not None else None
    try:
        return media.write_video(path, pictures, sound, rate=max(1, rate))
    except OSError as error:  # those of reading are told as MediaError
        raise ArgumentError(f"{path} can't be written: {error.strerror or error}.") from None


def _annotated(
    result: EmotionResult,
    frames: Iterator[Frame],
    anonymize: Method | None,
    progress: Callable[[float], None] | None,
) -> Iterator[Frame]:
    plain: Iterator[tuple[Seconds, np.ndarray]] = ((frame.time, frame.image) for frame in frames)
    if anonymize is not None:
        plain = hide_faces(plain, anonymize, lambda time: [box for _, box in _faces(result, time)])
    artist: _Artist | None = None
    for time, image in plain:
        if artist is None:
            artist = _Artist(result, image.shape[1], image.shape[0])
        yield Frame(time - result.start, artist.draw(time, image))
        if progress and result.duration:
            progress(min(1.0, (time - result.start) / result.duration))


class _Artist:
    """Draws one frame after the other; what stays the same is drawn once.

    Args:
        width, height: of the video's frames in pixels.
    """

    def __init__(self, result: EmotionResult, width: int, height: int) -> None:
        self._result = result
        self._times = 2 if min(width, height) < _LEGIBLE else 1
        self._width, self._height = width * self._times, height * self._times
        self._unit = float(np.clip(min(self._height / 360, self._width / 420), 0.6, 6.0))
        self._labels = list(result.scores)
        self._colors = [rgb(color) for color in colors(result.scores).values()]
        self._inks = [rgb(ink(color)) for color in colors(result.scores).values()]
        self._fused = runs(result.segments, "fused")
        self._people = {person.id: runs(person.segments, "fused") for person in result.people}
        self._strip = _Strip(self, result)
        self._lines = _Subtitles(result)

    @property
    def width(self) -> int:
        return self._width

    @property
    def fused(self) -> list[Run]:
        return self._fused

    @property
    def labels(self) -> list[str]:
        return self._labels

    @property
    def colors(self) -> list[tuple[int, int, int]]:
        return self._colors

    def px(self, units: float) -> int:
        """A length in pixels; a unit is a pixel of a picture with 360 lines."""
        return max(1, round(units * self._unit))

    def draw(self, time: Seconds, image: np.ndarray) -> np.ndarray:
        """The picture with everything on it, and the strip below."""
        whole = np.empty((self._height + self._strip.height, self._width, 3), np.uint8)
        picture = whole[: self._height]
        if self._times == 1:
            picture[:] = image
        else:
            cv2.resize(image, (self._width, self._height), dst=picture, interpolation=cv2.INTER_CUBIC)
        faces = _faces(self._result, time)
        panels = [self._face(picture, person, box, time, crowded=len(faces) > 3) for person, box in faces]
        for panel in panels:  # above all boxes
            panel()
        self._words(picture, self._lines.at(time))
        self._strip.draw(whole[self._height :], time)
        return whole

    def _face(self, picture: np.ndarray, person: Person, box: Box, time: Seconds, crowded: bool) -> Callable[[], None]:
        """Draw a face's box; gives what draws its label and bars."""
        left, right = (round(side * self._width) for side in (box[0], box[2]))
        top, bottom = (round(side * self._height) for side in (box[1], box[3]))
        scores = _scores(self._people[person.id], time)
        if scores is None:
            canvas.frame(picture, left, top, right, bottom, _GREY, self.px(1.5))
            return lambda: self._tag(picture, left, top, f"{person.id}", _GREY, (0, 0, 0))
        best = int(scores.argmax())
        canvas.frame(picture, left, top, right, bottom, self._colors[best], self.px(2))
        tag = f"{person.id}  {self._labels[best]} {scores[best]:.0%}"
        small = crowded or bottom - top < self.px(50)

        def label() -> None:
            self._tag(picture, left, top, tag, self._colors[best], self._inks[best])
            self._bars(picture, left, top, right, scores, names=not small)

        return label

    def _tag(
        self, picture: np.ndarray, left: int, top: int, text: str, color: tuple[int, int, int], on: tuple[int, int, int]
    ) -> None:
        size, pad = self.px(11), self.px(3)
        width = canvas.width_of(text, size, bold=True) + 2 * pad
        x = min(max(0, left - self.px(1)), max(0, self._width - width))
        y = max(top - self.px(2), size + 2 * pad)
        canvas.fill(picture, x, y - size - pad, x + width, y, color)
        canvas.write(picture, x + pad, y - pad, text, size, on, bold=True)

    def _bars(self, picture: np.ndarray, left: int, top: int, right: int, scores: np.ndarray, names: bool) -> None:
        """A small bar chart beside a box: on its right where there is room, else on its left."""
        row, size = (self.px(11), self.px(8.5)) if names else (self.px(5), 0)
        words = max(canvas.width_of(label, size) for label in self._labels) if names else 0
        bar, pad = self.px(44 if names else 30), self.px(4)
        width, height = words + bar + (3 if names else 2) * pad, row * len(scores) + 2 * pad
        x = right + self.px(5)
        if x + width > self._width:
            x = left - self.px(5) - width if left - self.px(5) - width >= 0 else self._width - width
        y = int(np.clip(top, 0, max(0, self._height - height)))
        canvas.fill(picture, x, y, x + width, y + height, NIGHT, 0.62)
        best = int(scores.argmax())
        for place, score in enumerate(scores):
            line = y + pad + place * row
            start = x + pad + (words + pad if names else 0)
            if names:
                color = WHITE if place == best else _GREY
                canvas.write(picture, x + pad, line + row - self.px(2.5), self._labels[place], size, color)
            gap = self.px(2 if names else 1)
            canvas.fill(picture, start, line + gap // 2, start + bar, line + row - gap, WHITE, 0.12)
            end = start + max(1, round(float(score) * bar))
            canvas.fill(picture, start, line + gap // 2, end, line + row - gap, self._colors[place])

    def _words(self, picture: np.ndarray, lines: list[Line]) -> None:
        size = self.px(14)
        rows = [row for line in lines for row in _broken(line.text, size, round(self._width * 0.86))][-3:]
        baseline = self._height - self.px(14)
        for row in reversed(rows):
            width = canvas.width_of(row, size)
            x = (self._width - width) // 2
            pad = self.px(5)
            canvas.fill(
                picture, x - pad, baseline - size - self.px(2), x + width + pad, baseline + self.px(5), (0, 0, 0), 0.6
            )
            canvas.write(picture, x, baseline, row, size)
            baseline -= size + self.px(7)


class _Strip:
    """The fused scores of the whole clip, with the current time marked."""

    def __init__(self, artist: _Artist, result: EmotionResult) -> None:
        self._artist, self._result = artist, result
        px = artist.px
        self._pad, self._head, self._band = px(8), px(20), px(30)
        self.height = self._head + self._band + px(7)
        self.height += self.height % 2
        columns = artist.width - 2 * self._pad
        times = result.start + (np.arange(columns) + 0.5) / columns * max(result.duration, 1e-6)
        shares = [at(artist.fused, float(time)) for time in times]
        band = np.empty((self._band, columns, 3), np.uint8)
        band[:] = rgb(EMPTY)
        slanted = (np.add.outer(np.arange(self._band), np.arange(columns)) // max(1, px(2))) % 4 == 0
        band[slanted] = (205, 210, 214)  # hatched where nothing is known, as in the plot
        heights = self._band - (np.arange(self._band) + 0.5)
        palette = np.array(artist.colors, np.uint8)
        for column, share in enumerate(shares):
            if share is not None:
                places = np.searchsorted(np.cumsum(share)[:-1] * self._band, heights)
                band[:, column] = palette[places]
        self._after = band
        self._before = cv2.addWeighted(band, 0.4, np.full_like(band, NIGHT), 0.6, 0)
        self._blank = self._background()

    def draw(self, target: np.ndarray, time: Seconds) -> None:
        """Fill the rows below the picture."""
        target[:] = self._blank
        artist, px = self._artist, self._artist.px
        columns = self._after.shape[1]
        played = (time - self._result.start) / max(self._result.duration, 1e-6)
        x = int(np.clip(round(played * columns), 0, columns))
        band = target[self._head : self._head + self._band, self._pad : self._pad + columns]
        band[:, :x], band[:, x:] = self._after[:, :x], self._before[:, x:]
        canvas.fill(
            target,
            self._pad + x - px(1.5),
            self._head - px(2),
            self._pad + x + px(1.5),
            self._head + self._band + px(2),
            NIGHT,
        )
        canvas.fill(
            target,
            self._pad + x - px(0.7),
            self._head - px(2),
            self._pad + x + px(0.7),
            self._head + self._band + px(2),
            WHITE,
        )
        scores = at(artist.fused, time)
        size, line = px(11), self._head - px(6)
        if scores is None:
            canvas.write(target, self._pad, line, "no evidence", size, _GREY)
            return
        best = int(scores.argmax())
        canvas.fill(target, self._pad, line - size + px(2), self._pad + px(9), line + px(1), artist.colors[best])
        canvas.write(
            target, self._pad + px(14), line, f"{artist.labels[best]} {scores[best]:.0%}", size, WHITE, bold=True
        )

    def _background(self) -> np.ndarray:
        """The empty strip with the names of the colours, as far as there is room."""
        artist, px = self._artist, self._artist.px
        blank = np.empty((self.height, artist.width, 3), np.uint8)
        blank[:] = NIGHT
        size, line = px(8.5), self._head - px(7)
        x = artist.width - self._pad
        widest = max(canvas.width_of(f"{label} 100%", px(11), bold=True) for label in artist.labels)
        for label, color in reversed(list(zip(artist.labels, artist.colors, strict=True))):
            x -= canvas.width_of(label, size)
            if x < self._pad + widest + px(18):
                break
            canvas.write(blank, x, line, label, size, _GREY)
            x -= px(11)
            canvas.fill(blank, x, line - px(6), x + px(7), line + px(1), color)
            x -= px(8)
        return blank


class _Subtitles:
    """The lines of the transcript by time."""

    def __init__(self, result: EmotionResult) -> None:
        self._transcript = result.transcript

    def at(self, time: Seconds) -> list[Line]:
        if self._transcript is None:
            return []
        return [line for line in self._transcript.lines_between(time, time + 1e-6) if line.end > line.start]


def _faces(result: EmotionResult, time: Seconds) -> list[tuple[Person, Box]]:
    """Who is seen at a time, and where; the largest last, so that it is drawn on top."""
    seen = [(person, box) for person in result.people if (box := person.box_at(time)) is not None]
    return sorted(seen, key=lambda item: (item[1][2] - item[1][0]) * (item[1][3] - item[1][1]))


def _scores(found: list[Run], time: Seconds) -> np.ndarray | None:
    scores = at(found, time)
    if scores is not None:
        return scores
    edges = [(abs(edge - time), run, edge) for run in found for edge in (run.times[0], run.times[-1])]
    distance, run, edge = min(edges, key=lambda item: item[0], default=(np.inf, None, 0.0))
    return run.at(float(edge)) if run is not None and distance <= _NEAR else None


def _broken(text: str, size: int, room: int) -> list[str]:
    """A text in rows that fit into ``room`` pixels."""
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and canvas.width_of(longer, size) <= room:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows
