"""Overlay of a result on video frames: boxes, labels, bars, subtitles, and the strip below."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmemo.box_tracks import Box
from mmemo.evidence import Seconds
from mmemo.report.timeline import Run, runs, scores_at
from mmemo.report.video import draw
from mmemo.report.video.draw import BLACK, GRAY, NIGHT, WHITE, Color
from mmemo.report.video.sizes import VideoStyle
from mmemo.report.video.strip import Strip
from mmemo.speech.line import Line

if TYPE_CHECKING:
    from mmemo.result import EmotionResult, Person

_NEAR: Seconds = 1.0
"""A face that is visible this little outside of its windows with scores has the nearest one's label."""


class Overlay:
    """Overlay of one result, for frames in order of time; constant parts are drawn once.

    Args:
        width, height: of the video's frames in pixels.
    """

    def __init__(self, result: EmotionResult, width: int, height: int) -> None:
        self._result = result
        self._style = VideoStyle(result, width, height)
        self._people = {person.id: runs(person.segments, "fused") for person in result.people}
        self._strip = Strip(self._style, result)

    def draw(self, time: Seconds, image: np.ndarray) -> np.ndarray:
        """A frame with its overlay, and the strip below."""
        whole = np.empty((self._style.height + self._strip.height, self._style.width, 3), np.uint8)
        picture = whole[: self._style.height]
        if self._style.scale == 1:
            picture[:] = image
        else:
            cv2.resize(image, (self._style.width, self._style.height), dst=picture, interpolation=cv2.INTER_CUBIC)
        faces = faces_at(self._result, time)
        panels = [self._face(picture, person, box, time, crowded=len(faces) > 3) for person, box in faces]
        for panel in panels:  # above all boxes
            panel()
        self._subtitles(picture, self._lines(time))
        self._strip.draw(whole[self._style.height :], time)
        return whole

    def _face(self, picture: np.ndarray, person: Person, box: Box, time: Seconds, crowded: bool) -> Callable[[], None]:
        """Draw the box of a face; the returned function draws its label and bars."""
        left, right = (round(side * self._style.width) for side in (box[0], box[2]))
        top, bottom = (round(side * self._style.height) for side in (box[1], box[3]))
        scores = _nearest_scores(self._people[person.id], time)
        if scores is None:
            draw.outline(picture, left, top, right, bottom, GRAY, self._style.px(1.5))
            return lambda: self._tag(picture, left, top, f"{person.id}", GRAY, BLACK)
        best = int(scores.argmax())
        draw.outline(picture, left, top, right, bottom, self._style.colors[best], self._style.px(2))
        tag = f"{person.id}  {self._style.labels[best]} {scores[best]:.0%}"
        small = crowded or bottom - top < self._style.px(50)

        def label() -> None:
            self._tag(picture, left, top, tag, self._style.colors[best], self._style.inks[best])
            self._bars(picture, left, top, right, scores, names=not small)

        return label

    def _tag(self, picture: np.ndarray, left: int, top: int, text: str, color: Color, on: Color) -> None:
        size, pad = self._style.px(11), self._style.px(3)
        width = draw.width_of(text, size, bold=True) + 2 * pad
        x = min(max(0, left - self._style.px(1)), max(0, self._style.width - width))
        y = max(top - self._style.px(2), size + 2 * pad)
        draw.fill(picture, x, y - size - pad, x + width, y, color)
        draw.write(picture, x + pad, y - pad, text, size, on, bold=True)

    def _bars(self, picture: np.ndarray, left: int, top: int, right: int, scores: np.ndarray, names: bool) -> None:
        """Small bar chart beside a box: on its right where there is room, else on its left."""
        row, size = (self._style.px(11), self._style.px(8.5)) if names else (self._style.px(5), 0)
        words = max(draw.width_of(label, size) for label in self._style.labels) if names else 0
        bar, pad = self._style.px(44 if names else 30), self._style.px(4)
        width, height = words + bar + (3 if names else 2) * pad, row * len(scores) + 2 * pad
        x = right + self._style.px(5)
        if x + width > self._style.width:
            x = left - self._style.px(5) - width if left - self._style.px(5) - width >= 0 else self._style.width - width
        y = int(np.clip(top, 0, max(0, self._style.height - height)))
        draw.fill(picture, x, y, x + width, y + height, NIGHT, 0.62)
        best = int(scores.argmax())
        for place, score in enumerate(scores):
            line = y + pad + place * row
            start = x + pad + (words + pad if names else 0)
            if names:
                color = WHITE if place == best else GRAY
                draw.write(picture, x + pad, line + row - self._style.px(2.5), self._style.labels[place], size, color)
            gap = self._style.px(2 if names else 1)
            draw.fill(picture, start, line + gap // 2, start + bar, line + row - gap, WHITE, 0.12)
            end = start + max(1, round(float(score) * bar))
            draw.fill(picture, start, line + gap // 2, end, line + row - gap, self._style.colors[place])

    def _lines(self, time: Seconds) -> list[Line]:
        transcript = self._result.transcript
        lines = transcript.lines_between(time, time + 1e-6) if transcript is not None else ()
        return [line for line in lines if line.end > line.start]

    def _subtitles(self, picture: np.ndarray, lines: list[Line]) -> None:
        size = self._style.px(14)
        rows = [row for line in lines for row in _wrap(line.text, size, round(self._style.width * 0.86))][-3:]
        baseline = self._style.height - self._style.px(14)
        for row in reversed(rows):
            width = draw.width_of(row, size)
            x = (self._style.width - width) // 2
            pad = self._style.px(5)
            draw.fill(
                picture,
                x - pad,
                baseline - size - self._style.px(2),
                x + width + pad,
                baseline + self._style.px(5),
                BLACK,
                0.6,
            )
            draw.write(picture, x, baseline, row, size)
            baseline -= size + self._style.px(7)


def faces_at(result: EmotionResult, time: Seconds) -> list[tuple[Person, Box]]:
    """People who are visible at a time, and their boxes; the largest last, so that it is drawn on top."""
    faces = [(person, box) for person in result.people if (box := person.box_at(time)) is not None]
    return sorted(faces, key=lambda item: (item[1][2] - item[1][0]) * (item[1][3] - item[1][1]))


def _nearest_scores(runs: list[Run], time: Seconds) -> np.ndarray | None:
    scores = scores_at(runs, time)
    if scores is not None:
        return scores
    edges = [(abs(edge - time), run, edge) for run in runs for edge in (run.times[0], run.times[-1])]
    distance, run, edge = min(edges, key=lambda item: item[0], default=(np.inf, None, 0.0))
    return run.at(float(edge)) if run is not None and distance <= _NEAR else None


def _wrap(text: str, size: int, room: int) -> list[str]:
    """Wrap a text into rows of at most ``room`` pixels."""
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and draw.width_of(longer, size) <= room:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows
