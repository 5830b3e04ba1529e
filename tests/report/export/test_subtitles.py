"""Subtitles, read back by an independent reader."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mmemo import EmotionResult

SCHEMA = Path(sys.prefix) / "share" / "pympi_ling-1.71.tar.gz"


@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
def test_subtitles_are_read_by_webvtt(made: EmotionResult, tmp_path: Path, suffix: str) -> None:
    webvtt = pytest.importorskip("webvtt")
    path = made.save(tmp_path / f"r{suffix}")
    cues = (webvtt.read if suffix == ".vtt" else webvtt.from_srt)(path)
    assert [(cue.start, cue.end) for cue in cues] == [
        ("00:00:02.000", "00:00:04.000"),
        ("00:00:03.500", "00:00:04.500"),
        ("00:00:07.000", "00:00:09.000"),
    ]
    assert [cue.text.split("]")[0] for cue in cues] == ["[surprise", "[surprise", "[anger"]
    text = path.read_text(encoding="utf-8")
    assert text.count("-->") == 3  # the arrow in the words is no arrow of times
    if suffix == ".vtt":
        assert "<c.anger>[anger] Fish &amp; &lt;chips&gt;</c>" in text
        assert "<script" not in text
        assert len(cues.styles) == 2


def test_a_span_of_a_file_keeps_the_files_times(made: EmotionResult, tmp_path: Path) -> None:
    webvtt = pytest.importorskip("webvtt")
    later = replace(made, start=6.0, duration=4.0, segments=made.segments[3:])
    (cue,) = webvtt.from_srt(later.save(tmp_path / "r.srt"))
    assert cue.start == "00:00:07.000"
    assert later.to_frame().start[0] == 6.0


def test_subtitles_without_words_name_the_emotion(made: EmotionResult, tmp_path: Path) -> None:
    webvtt = pytest.importorskip("webvtt")
    cues = webvtt.from_srt(replace(made, transcript=None).save(tmp_path / "r.srt"))
    assert [cue.text for cue in cues] == ["[happiness]", "[surprise]", "[anger]"]
