"""Vocal bursts that an encoder predicts: in the scores, notes, tables and reports of a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmemo import EmotionModel, EmotionResult, analyze
from mmemo.batch.result import Batch
from mmemo.batch.row import Row
from mmemo.data.encoding import encode_prepared
from mmemo.encoders.base import Encoding, concatenate
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.pipeline.analyzer import _burst_notes
from mmemo.report.export.annotations import eaf
from mmemo.report.export.subtitles import srt
from mmemo.report.export.tables import columns, rows
from mmemo.report.html.page import page
from mmemo.report.html.svg import timeline_svg
from mmemo.result import ModalityScores, Segment, vocal_bursts
from mmemo.speech.line import Line
from mmemo.speech.transcript import Transcript
from mmemo.testing import TinyEncoder


class BurstVoice(TinyEncoder):
    """Takes the windows that begin after a second and a half for vocal bursts."""

    def __init__(self) -> None:
        super().__init__(EKMAN7, "voice")

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        return None if evidence.voice is None else np.array([evidence.start], np.float32)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        bursts = np.array([0.9 if item[0] > 1.5 else 0.2 for item in batch], np.float32)
        return replace(super().encode(batch), vocal_burst=bursts)


@pytest.fixture(scope="module")
def result(example: Path) -> EmotionResult:
    model = EmotionModel([BurstVoice()], LateFusion(EKMAN7, {"voice": 1.0}))
    return analyze(example, model=model, transcriber=None)


def encoding(bursts: Sequence[float], shape: tuple[int, ...] | None = None) -> Encoding:
    count = len(bursts)
    values = np.array(bursts, np.float32).reshape(shape or (count,))
    return Encoding(np.zeros((count, 1, 2)), np.ones((count, 1), bool), np.zeros((count, 7)), vocal_burst=values)


def windows(bursts: Sequence[float | None]) -> list[Segment]:
    even = dict.fromkeys(EKMAN7, 1 / 7)
    return [
        Segment(start, start + 2.0, even, {"voice": ModalityScores(even, 1.0, vocal_burst=burst)})
        for start, burst in enumerate(bursts)
    ]


def test_an_encoding_keeps_them_and_checks_them():
    one = encoding([0.25, 0.75])
    assert one.rows(np.array([1])).vocal_burst == [0.75]
    assert concatenate([one, one]).vocal_burst.tolist() == [0.25, 0.75, 0.25, 0.75]
    for bad, shape in (([0.5, 1.5], None), ([0.5, np.nan], None), ([0.5, 0.5], (2, 1))):
        with pytest.raises(ArgumentError, match="vocal_burst"):
            encoding(bad, shape)
    hidden = replace(one, mask=np.array([[True], [False]]), vocal_burst=np.array([0.5, np.nan], np.float32))
    assert len(hidden) == 2
    cached = encode_prepared(BurstVoice(), np.array([2.0], np.float32), np.ones(2, np.float32))
    assert cached["vocal_burst"] == np.float32(0.9)


def test_the_scores_of_windows_and_clip_have_them(result: EmotionResult):
    each = {segment.start: segment.modalities["voice"] for segment in result.segments}
    assert {start: scores.vocal_burst for start, scores in each.items()} == pytest.approx(
        {start: 0.9 if start > 1.5 else 0.2 for start in each}
    )
    weight = [scores.coverage for scores in each.values()]
    mean = np.average([scores.vocal_burst for scores in each.values()], weights=weight)
    assert result.modalities["voice"].vocal_burst == pytest.approx(mean, abs=1e-6)
    assert len(result.vocal_bursts) == 1
    assert result.vocal_bursts[0][0] == 2.5  # between the middles of the windows
    assert EmotionResult.from_dict(result.to_dict()).vocal_bursts == result.vocal_bursts


def test_a_note_says_when(result: EmotionResult):
    (note,) = (note for note in result.notes if note.code == "vocal-bursts")
    start, end = result.vocal_bursts[0]
    assert f"from {start:.1f} to {end:.1f} s is a sound without words" in note.message
    (many,) = _burst_notes(windows([0.9, 0.1] * 6))
    assert many.message.startswith("The voice from 0.0 to 1.5 s, ")
    assert many.message.count("from") == 4
    assert "and 2 more times is a sound" in many.message
    assert _burst_notes(windows([0.5, None])) == []


def test_neighbors_are_one_span_and_gaps_separate_them():
    assert vocal_bursts(windows([0.1, 0.9, 0.6, 0.5, 0.9])) == ((1.5, 3.5), (4.5, 6.0))
    assert vocal_bursts([]) == ()


def test_tables_have_a_column_where_it_is_predicted(result: EmotionResult):
    table = list(rows(result))
    assert columns(result)[-1] == "vocal_burst"
    values = [row["vocal_burst"] for row in table if row["what"] == "segment" and row["modality"] == "voice"]
    assert values == [segment.modalities["voice"].vocal_burst for segment in result.segments]
    assert all("vocal_burst" not in row for row in table if row["modality"] == "fused")
    row = Row.from_json(Row.of(result).to_json())
    assert row.modalities == result.modalities
    batch = Batch((row,), ("voice",))
    assert next(batch.records())["voice.vocal_burst"] == result.modalities["voice"].vocal_burst
    plain = replace(result, modalities={"voice": replace(result.modalities["voice"], vocal_burst=None)})
    assert "vocal_burst" not in columns(plain)
    assert "voice.vocal_burst" not in Batch((Row.of(plain),), ("voice",)).columns


def test_reports_mark_them(result: EmotionResult, tmp_path: Path):
    (start, end), *_ = result.vocal_bursts
    drawing = timeline_svg(result)
    assert f"<title>vocal burst, {start:.1f} to {end:.1f} s</title>" in drawing
    assert ">speech, bursts<" in drawing
    assert "(vocal burst)" in page(result)
    assert "(vocal burst)" in str(result)
    assert b"vocal bursts" in eaf(result, tmp_path)
    said = replace(result, transcript=Transcript((Line(0.5, 1.5, "Oh no."),), "given", "en"))
    assert srt(said).splitlines()[6].endswith("(vocal burst)")
    quiet = replace(result, segments=tuple(windows([0.1])))
    for text in (str(timeline_svg(quiet)), page(quiet), str(quiet), srt(quiet), eaf(quiet, tmp_path).decode()):
        assert "vocal burst" not in text.replace(result.notes[-1].message, "")
