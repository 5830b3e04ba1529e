"""Plot of a result without times."""

from __future__ import annotations

from pathlib import Path

import cv2
from matplotlib.figure import Figure

from mmemo import Analyzer
from mmemo.samples import portrait


def texts(figure: Figure) -> list[str]:
    return [*(text.get_text() for text in figure.texts), *(t.get_text() for axes in figure.axes for t in axes.texts)]


def test_a_still_image_is_shown_with_its_faces(analyzer: Analyzer, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "face.png"), portrait()[:, :, ::-1])
    figure = analyzer(tmp_path / "face.png").plot()
    assert "Face" in texts(figure)
    assert any(text.startswith("0: happiness") for text in texts(figure))
    assert len([image for axes in figure.axes for image in axes.images]) == 1


def test_text_alone_has_bars(analyzer: Analyzer) -> None:
    figure = analyzer(text="What a lovely day!").plot()
    assert {"Fused", "Words"} <= set(texts(figure))
    assert len(figure.axes[0].patches) == 7
