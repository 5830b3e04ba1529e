"""Plot of scores over time."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mmemo import EmotionResult
from mmemo.report.style.colors import COLORS

pytestmark = pytest.mark.slow


def texts(figure: Figure) -> list[str]:
    return [*(text.get_text() for text in figure.texts), *(t.get_text() for axes in figure.axes for t in axes.texts)]


def row(figure: Figure, name: str) -> list[PolyCollection]:
    axes = next(axes for axes in figure.axes if any(text.get_text() == name for text in axes.texts))
    return [drawn for drawn in axes.collections if isinstance(drawn, PolyCollection)]


def pixels(figure: Figure) -> np.ndarray:
    data = io.BytesIO()
    figure.savefig(data, format="png")
    image = cv2.imdecode(np.frombuffer(data.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image[:, :, ::-1])


def test_it_shows_every_modality_sound_words_and_faces(real: EmotionResult) -> None:
    figure = real.plot()
    shown = texts(figure)
    for name in ("Fused", "Face", "Voice", "Words", "Sound", "Faces", "clip.mp4", "seconds"):
        assert name in shown
    assert any("superlative" in text for text in shown)
    pictures = [image for axes in figure.axes for image in axes.images]
    assert len(pictures) > 8
    assert pixels(figure).shape[1] == 1200


def test_faces_can_be_left_out(real: EmotionResult) -> None:
    figure = real.plot(faces=False)
    assert [image for axes in figure.axes for image in axes.images] == []


def test_gaps_are_gaps(made: EmotionResult) -> None:
    figure = made.plot()
    for drawn in row(figure, "Fused"):
        for path in drawn.get_paths():
            times = path.vertices[:, 0]
            assert times.max() <= 4.0 or times.min() >= 7.0
    assert {to_hex(drawn.get_facecolor()[0]) for drawn in row(figure, "Fused")} == set(COLORS.values())


def test_heights_are_the_scores(made: EmotionResult) -> None:
    happiness = row(made.plot(), "Fused")[list(made.scores).index("happiness")]
    (path,) = happiness.get_paths()
    at_start = path.vertices[path.vertices[:, 0] == 0.0][:, 1]
    assert at_start.max() - at_start.min() == pytest.approx(0.7)


def test_a_file_that_moved_is_noted(made: EmotionResult) -> None:
    shown = texts(made.plot())
    assert any("is not where it was" in text for text in shown)
    assert "Sound" in shown  # where speech is, the result knows by itself


def test_words_are_not_taken_for_formulas(made: EmotionResult) -> None:
    figure = made.plot()
    assert any("$x^2$" in text for text in texts(figure))
    pixels(figure)


def test_a_span_of_a_file_keeps_the_files_times(real: EmotionResult) -> None:
    later = replace(real, start=1.0, duration=1.5)
    axes = next(axes for axes in later.plot().axes if axes.get_xlim() == (1.0, 2.5))
    assert axes is not None


def test_notebooks_show_figure_and_result(made: EmotionResult) -> None:
    assert made.plot()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert made._repr_png_()[:4] == b"\x89PNG"  # type: ignore[index]
    html = made._repr_html_()
    assert html.startswith('<div class="mmemo">')
    assert "<svg" in html
    assert "<script" not in html


def test_pyplot_is_left_alone(real: EmotionResult, tmp_path: Path) -> None:
    code = (
        "import sys; from mmemo import EmotionResult;"
        "EmotionResult.load(sys.argv[1]).plot().savefig(sys.argv[2]);"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
    )
    real.save(tmp_path / "r.json")
    command = [sys.executable, "-c", code, str(tmp_path / "r.json"), str(tmp_path / "r.svg")]
    subprocess.run(command, check=True, timeout=60)
    assert "<svg" in (tmp_path / "r.svg").read_text()
