"""Plot of a result without times, of a still image or text alone: bars, beside the picture with its faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mmemo.report.plots.figure import RIGHT, WIDTH, Picture, RowLayout, title
from mmemo.report.previews import Previews
from mmemo.report.style.colors import FAINT, OUTLINE, TEXT, colors, ink
from mmemo.report.style.wording import label_with_share, name_of

if TYPE_CHECKING:
    from mmemo.result import EmotionResult


def plot_scores(result: EmotionResult, faces: bool) -> Picture:
    """Bars of each label's score, fused and by modality, and the picture with its faces."""
    picture = Previews(result).picture() if faces else None
    bands = {"fused": result.scores, **{name: scores.scores for name, scores in result.modalities.items()}}
    palette = colors(result.scores)
    layout = RowLayout(0.75 + 3.6 + 0.35)
    title(layout, result)
    left = 0.3
    if picture is not None:
        width = min(5.0, 3.4 * picture.shape[1] / picture.shape[0])
        axes = layout.row(3.4, left=left, width=width)
        axes.imshow(picture)
        _boxes(axes, result, picture.shape)
        layout.skip(-3.4)
        left += width + 0.3
    each = (WIDTH - left - 1.1 - RIGHT) / len(bands)
    for place, (band, scores) in enumerate(bands.items()):
        axes = layout.row(3.4, left=left + 1.0 + place * each, width=each - 0.55)
        layout.skip(-3.4)
        rows = np.arange(len(scores))[::-1]
        axes.barh(
            rows,
            list(scores.values()),
            color=[palette[label] for label in scores],
            edgecolor=OUTLINE,
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
    return layout.figure


def _boxes(axes: Axes, result: EmotionResult, shape: tuple[int, ...]) -> None:
    palette = colors(result.scores)
    for person in result.people:
        left, top, right, bottom = person.box
        x, y = left * shape[1], top * shape[0]
        color = palette[person.label]
        size = ((right - left) * shape[1], (bottom - top) * shape[0])
        axes.add_patch(Rectangle((x, y), *size, facecolor="none", edgecolor="white", linewidth=4))
        axes.add_patch(Rectangle((x, y), *size, facecolor="none", edgecolor=color, linewidth=2.4))
        name = f"{person.id}: {label_with_share(person)}"
        axes.text(
            x,
            y,
            name,
            size=8.5,
            color=ink(color),
            va="bottom",
            bbox={"facecolor": color, "edgecolor": "none", "pad": 2},
        )
