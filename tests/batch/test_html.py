"""Summary of many clips: it has every part, needs nothing from elsewhere, and text of a user stays text."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mmemo.batch.agreement import compare
from mmemo.batch.html import page
from mmemo.batch.result import Batch
from mmemo.batch.row import Row
from mmemo.labels import EKMAN7
from mmemo.result import ModalityScores

pytestmark = pytest.mark.slow


def row(number: int, label: str, **known: object) -> Row:
    scores = {name: 0.7 if name == label else 0.05 for name in EKMAN7}
    modalities = {"voice": ModalityScores(scores, 0.5, 1.0)}
    return Row(path=f"clips/{number}.mp4", duration=2.0, scores=scores, modalities=modalities, people=1, **known)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def batch() -> Batch:
    labels = ["anger", "anger", "sadness", "anger"]
    annotated = ["anger", "sadness", "sadness", "contempt"]
    rows = [row(n, f, annotated=a, speaker=f"s{n}") for n, (f, a) in enumerate(zip(labels, annotated, strict=True))]
    rows.append(Row(path="damaged.mp4", error="MediaError: damaged"))
    rows.append(row(5, "fear", notes=("no-face",)))
    return Batch(tuple(rows), ("face", "voice"))


def test_it_has_every_part(batch: Batch) -> None:
    html = page(batch)
    assert "5 analyzed" in html
    assert "1 not analyzed" in html
    assert "no-face" in html
    assert "clips/3.mp4" in html
    assert "http://" not in html
    assert "https://" not in html


def test_text_of_a_user_stays_text(check_escaping: Callable[[Callable[[str], str]], None]) -> None:
    """Paths, ids, labels, speakers and labels of a manifest, notes, errors, modalities, and the model's name."""

    def write(text: str) -> str:
        scores = {text: 0.7, "anger": 0.3}
        known = Row(text, text, text, text, 1.0, 2.0, scores, {text: ModalityScores(scores, 0.5)}, 1, (text,))
        rows = (known, Row(None, text, duration=2.0, scores=scores), Row(text, error=text))
        return page(Batch(rows, (text, "voice"), model=text))

    check_escaping(write)


def test_the_comparison_with_a_manifest(batch: Batch) -> None:
    comparison = compare(batch)
    assert comparison is not None
    assert int(comparison.table.sum()) == 3  # contempt is no label of the model
    assert comparison.others == 1
    assert comparison.uar.value == pytest.approx((1 / 1 + 1 / 2) / 2)
    assert comparison.by == "speaker"
    assert "contempt" not in page(batch)
    assert compare(Batch((row(0, "anger"),), ("voice",))) is None


def test_nothing_could_be_analyzed() -> None:
    html = page(Batch((Row(path="a.mp4", error="MediaError: gone"),), ("face",)))
    assert "0 analyzed" in html
    assert "MediaError: gone" in html
    assert page(Batch((row(0, "anger"),), ("voice",))).count("<section>") >= 4


def test_a_browser_finds_clips(batch: Batch, tmp_path: Path) -> None:
    """The page's own script runs under its policy: what does not fit the words in the box is hidden."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    file = tmp_path / "page.html"
    file.write_text(page(batch).replace('aria-label="Find"', 'aria-label="Find" value="sadness 2.mp4"'))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([browser, *options, file.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count('<tr class="clip" hidden="">') == 4
    assert "1 of 5" in done.stdout
