"""A calibration as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmemo.fitting.calibrate import Calibration


def render_calibration(calibration: Calibration) -> RenderableType:
    """The verdict, what is saved of each modality, and notes."""
    verdict, _, rest = str(calibration).partition(". ")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("", "temperature", "weight", "prior that is divided out"):
        table.add_column(head, justify="right" if head in ("temperature", "weight") else "left", overflow="fold")
    for modality, temperature in calibration.temperatures.items():
        prior = calibration.priors.get(modality, {})
        shares = ", ".join(f"{label} {share:.2f}" for label, share in prior.items())
        weight = f"x {calibration.weights[modality]:.2f}" if modality in calibration.weights else "as it was"
        table.add_row(modality, f"{temperature:.2f}", weight, shares or "none")
    shares = ", ".join(f"{label} {share:.0%}" for label, share in calibration.shares.items())
    notes = [*calibration.notes, f"Labels of the clips: {shares}. If that is to be expected, analyze with --prior."]
    return Group(
        Text(f"{verdict}.", style="bold"),
        Text(rest + "\n"),
        table,
        Text("\nNotes", style="bold"),
        *(Padding(Text(f"- {note}"), (0, 0, 0, 2)) for note in notes),
    )
