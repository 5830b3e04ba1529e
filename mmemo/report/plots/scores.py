"""The scores of a still image, or of text alone, as bars beside the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mmemo.report.plots.figure import RIGHT, WIDTH, Picture, Sheet, title
from mmemo.report.previews import Footage
from mmemo.report.style.colors import FAINT, TEXT, colors, ink
from mmemo.report.style.wording import name_of

if TYPE_CHECKING:
    from mmemo.result import EmotionResult


def plot_scores(result: EmotionResult, faces: bool) -> Picture:
    """Where there is no time: the picture with its faces, and bars of each label."""
    picture = Footage(result).picture() if faces else None
    bands = {"fused": result.scores, **{name: said.scores for name, said in result.modalities.items()}}
    chosen = colors(result.scores)
    sheet = Sheet(0.75 + 3.6 + 0.35)
    title(sheet, result)
    left = 0.3
    if picture is not None:
        width = min(5.0, 3.4 * picture.shape[1] / picture.shape[0])
        axes = sheet.row(3.4, left=left, width=width)
        axes.imshow(picture)
        _boxes(axes, result, picture.shape)
        sheet.skip(-3.4)
        left += width + 0.3
    each = (WIDTH - left - 1.1 - RIGHT) / len(bands)
    for place, (band, scores) in enumerate(bands.items()):
        axes = sheet.row(3.4, left=left + 1.0 + place * each, width=each - 0.55)
        sheet.skip(-3.4)
        rows = np.arange(len(scores))[::-1]
        axes.barh(
            rows,
            list(scores.values()),
            color=[chosen[label] for label in scores],
            edgecolor="#9aa2a9",
            linewidth=0.5,
            height=0.72,
        )
        axes.set(xlim=(0, 1), ylim=(-0.6, len(scores) - 0.2))
        for row, score in zip(rows, scores.values(), strict=True):
            axes.text(score + 0.02, row, f"{score:.0%}", size=9, color=FAINT, va="center")
        if place == 0:
            axes.set_yticks(rows, list(scores), size=10, color=TEXT)
            axes.tick_params(axis="y", length=0)
        axes.text(
            0,
            1.0,
            name_of(band),
            transform=axes.transAxes,
            size=11,
            weight="bold" if place == 0 else "normal",
            color=TEXT,
            va="center",
        )
    return sheet.figure


def _boxes(axes: Axes, result: EmotionResult, shape: tuple[int, ...]) -> None:
    chosen = colors(result.scores)
    for person in result.people:
        left, top, right, bottom = person.box
        x, y = left * shape[1], top * shape[0]
        color = chosen[person.label]
        size = ((right - left) * shape[1], (bottom - top) * shape[0])
        axes.add_patch(Rectangle((x, y), *size, facecolor="none", edgecolor="white", linewidth=4))
        axes.add_patch(Rectangle((x, y), *size, facecolor="none", edgecolor=color, linewidth=2.4))
        name = f"{person.id}: {person.label} {person.scores[person.label]:.0%}"
        axes.text(
            x,
            y,
            name,
            size=8.5,
            color=ink(color),
            va="bottom",
            bbox={"facecolor": color, "edgecolor": "none", "pad": 2},
        )
