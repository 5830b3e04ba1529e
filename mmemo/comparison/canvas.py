"""Colours and the plain style of all figures of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from mmemo.report.plots.figure import Picture
from mmemo.report.style.colors import FAINT

if TYPE_CHECKING:
    from mmemo.comparison.result import Comparison

ALONE = ("#d9822b", "#0f8f82", "#7c4dbd", "#8c6d1f", "#b03a6f", "#4c5b66")
"""One modality alone: the first three differ by 18 and more in CIEDE2000, from `BEST` and `OTHER` too."""
BEST, OTHER = "#0e4ea0", "#9fadba"


def colors_of(comparison: Comparison) -> dict[str, str]:
    """A colour for each system: one for each modality alone, one for the best that fuses, grey for the rest."""
    chosen = {name: ALONE[place % len(ALONE)] for place, name in enumerate(comparison.alone)}
    rest = {name: BEST if name == comparison.best_fused else OTHER for name in comparison.fused}
    return chosen | rest


def sheet(width: float, height: float) -> Picture:
    """An empty white figure of this size in inches, whose parts make room for each other."""
    return Picture(figsize=(width, height), dpi=100, facecolor="white", layout="constrained")


def bare(axes: Axes, *, both: bool = False) -> None:
    """Nothing but a faint grid: lines up, and across if ``both``."""
    for side in axes.spines.values():
        side.set_visible(False)
    axes.grid(axis="both" if both else "x", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=FAINT)
