"""Files of every format: written whole or not at all, and refused with a reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mmemo import EmotionResult, errors
from mmemo.errors import ArgumentError, MissingExtraError
from mmemo.report.formats import SUFFIXES

pytestmark = pytest.mark.slow

SCHEMA = Path(sys.prefix) / "share" / "pympi_ling-1.71.tar.gz"


def test_json_comes_back(made: EmotionResult, tmp_path: Path) -> None:
    again = EmotionResult.load(made.save(tmp_path / "r.json"))
    assert again.to_dict() == made.to_dict()
    assert again.people[0].box_tracks == made.people[0].box_tracks
    assert again.transcript == made.transcript
    assert again.speech == made.speech
    assert "[2.0, 4.0]" in (tmp_path / "r.json").read_text()  # a list of numbers stands on one line


@pytest.mark.parametrize("text", ["[1]", "{}", "no json", '{"source": null, "duration": "x"}'])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ArgumentError, match="result"):
        EmotionResult.load(tmp_path / "r.json")


def test_what_a_result_has_nothing_for_is_refused(tmp_path: Path, made: EmotionResult) -> None:
    alone = EmotionResult(None, 0.0, made.scores, {"text": made.modalities["face"]})
    for suffix, says in ((".srt", "no times"), (".eaf", "no times"), (".rttm", "not looked for"), (".mp4", "no video")):
        with pytest.raises(ArgumentError, match=says):
            alone.save(tmp_path / f"r{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(made: EmotionResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda package: None)
    for suffix, extra in ((".png", "report"), (".mp4", "report"), (".parquet", "export")):
        with pytest.raises(MissingExtraError, match=rf"mmemo\[{extra}\]"):
            made.save(tmp_path / f"r{suffix}")
    for write in (made.plot, made.to_frame, lambda: made.save_video(tmp_path / "r.mp4")):
        with pytest.raises(MissingExtraError):
            write()


def test_every_format_is_written_and_nothing_else(real: EmotionResult, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        assert real.save(tmp_path / f"r{suffix}").stat().st_size > 50
    assert {path.suffix for path in tmp_path.iterdir()} == set(SUFFIXES)
    assert json.loads((tmp_path / "r.json").read_text())["label"] == real.label
