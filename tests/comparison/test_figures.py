from __future__ import annotations

from pathlib import Path

import pytest

from mmemo.comparison.figures import BEST, OTHER, UNIMODAL, colors_of
from mmemo.comparison.result import Comparison

pytestmark = pytest.mark.slow


def test_each_unimodal_system_and_the_best_fused_one_have_their_own_color(comparison: Comparison) -> None:
    assert colors_of(comparison) == {"face": UNIMODAL[0], "voice": UNIMODAL[1], "late": BEST}
    assert OTHER not in colors_of(comparison).values()


def test_figures_go_into_a_folder_whole(comparison: Comparison, tmp_path: Path) -> None:
    folder = comparison.save(tmp_path / "figures")
    names = {path.name for path in folder.iterdir()}
    assert {"systems.png", "gains.pdf", "missing modalities.png", "reliability.png", "by gender.png"} <= names
    assert (folder / "systems.png").read_bytes().startswith(b"\x89PNG")
    assert comparison.save(tmp_path / "one.svg").read_text().lstrip().startswith("<?xml")
