"""Figures made of rows from top to bottom, and the title and row headings that all plots of results share."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmemo.report.style.clock import length
from mmemo.report.style.colors import FAINT, TEXT
from mmemo.report.style.fonts import families
from mmemo.report.style.wording import source_name

if TYPE_CHECKING:
    from mmemo.result import EmotionResult

WIDTH = 12.0
"""Inches, as all lengths here."""
LEFT, RIGHT = 1.45, 0.25


class Picture(Figure):
    """matplotlib figure that notebooks display without pyplot."""

    def savefig(self, fname: Any, **settings: Any) -> None:
        """Same as in `matplotlib.figure.Figure`; a letter that no font has is drawn as a box, without a warning."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            super().savefig(fname, **settings)

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png")
        return data.getvalue()


def write_figure(figure: Figure, path: Path, **settings: Any) -> None:
    """Write a figure in the format of the path's suffix.

    It is drawn before the file is opened: of a full disk matplotlib makes another error, one of its own.

    Args:
        settings: of ``savefig``.

    Raises:
        OSError: if the file can't be written.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix.lower().removeprefix("."), **settings)
    path.write_bytes(drawn.getvalue())


class RowLayout:
    """Figure that is filled with rows from top to bottom.

    Args:
        height: of all rows, in inches.
    """

    def __init__(self, height: float) -> None:
        self.figure = Picture(figsize=(WIDTH, height), dpi=100, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._height, self._y = height, height

    def row(self, height: float, left: float = LEFT, width: float | None = None) -> Axes:
        self._y -= height
        width = WIDTH - left - RIGHT if width is None else width
        axes = self.figure.add_axes((left / WIDTH, self._y / self._height, width / WIDTH, height / self._height))
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set(xticks=[], yticks=[], facecolor="none")
        return axes

    def skip(self, height: float) -> None:
        self._y -= height

    def text(self, x: float, text: str, size: float, color: str = TEXT, weight: str = "normal") -> None:
        self.figure.text(
            x / WIDTH,
            self._y / self._height,
            text,
            size=size,
            color=color,
            weight=weight,
            va="center",
            parse_math=False,
            family=families(),
        )


def title(layout: RowLayout, result: EmotionResult) -> None:
    """File name, label and score, in two lines."""
    layout.skip(0.25)
    name = source_name(result)
    layout.text(0.3, shorten(name, 90, placeholder=" …") if " " in name else name[:90], 13, weight="bold")
    layout.skip(0.26)
    over = f" over {length(result.duration)}" if result.duration else ""
    score = f"{result.label}, {result.scores[result.label]:.0%} of the fused score{over}"
    layout.text(0.3, f"{score}. The expression that shows, not what a person feels.", 9.5, FAINT)
    layout.skip(0.24)


def heading(
    axes: Axes, name: str, detail: str, *, large: bool = False, inline: bool = False, top: bool = False
) -> None:
    """Name of a row, left of it, with a detail below, or under it in a row of one line (``inline``)."""
    at_left: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "parse_math": False}
    if inline:
        axes.text(-0.012, 0.72, name, size=8.5, color=TEXT, va="center", **at_left)
        axes.text(-0.012, 0.22, detail, size=7.5, color=FAINT, va="center", **at_left)
        return
    inches = inches_high(axes)
    middle, step = (1 - 0.1 / inches, 0.17 / inches) if top else (0.5 + (0.09 / inches if detail else 0), 0.18 / inches)
    axes.text(
        -0.012,
        middle,
        name,
        size=12 if large else 10,
        weight="bold" if large else "normal",
        color=TEXT,
        va="center",
        **at_left,
    )
    axes.text(-0.012, middle - step * (1.15 if large else 1), detail, size=8, color=FAINT, va="center", **at_left)


def inches_high(axes: Axes) -> float:
    """Height of a row."""
    box = axes.get_window_extent()
    return float(box.height) / float(axes.get_figure(root=True).dpi)  # type: ignore[union-attr]  # it has one
