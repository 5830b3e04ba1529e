from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmemo.errors import ArgumentError
from mmemo.labels import EKMAN7
from mmemo.notes import Note
from mmemo.result import Affect, EmotionResult, ModalityScores, Person, Segment
from mmemo.speech.transcript import Line, Transcript


def scores(best: str, share: float = 0.7) -> dict[str, float]:
    rest = (1 - share) / 6
    return {label: share if label == best else rest for label in EKMAN7}


@pytest.fixture
def result() -> EmotionResult:
    face = ModalityScores(scores("happiness"), 0.9, 0.6)
    voice = ModalityScores(scores("anger"), 0.4, 0.4)
    segments = (
        Segment(0.0, 2.0, scores("happiness"), {"face": face, "voice": voice}),
        Segment(4.0, 6.0, scores("anger"), {"voice": voice}),
    )
    person = Person(0, 0.0, 2.0, 0.3, (0.1, 0.2, 0.3, 0.4), scores("happiness"), (segments[0],))
    return EmotionResult(
        source="a <b> & c.mp4",
        duration=6.0,
        scores=scores("happiness", 0.5),
        modalities={"face": face, "voice": voice},
        segments=segments,
        people=(person,),
        transcript=Transcript((Line(0.5, 1.5, "Fish & <chips>"),), "given", "en"),
        notes=(Note("no-words", "There are no words."),),
    )


def test_json_says_it_all(result: EmotionResult) -> None:
    told = json.loads(result.to_json())
    assert told["label"] == "happiness"
    assert list(told["scores"]) == list(EKMAN7)
    assert told["modalities"]["voice"]["weight"] == 0.4
    assert told["segments"][1]["modalities"].keys() == {"voice"}
    assert told["people"][0]["box"] == [0.1, 0.2, 0.3, 0.4]
    assert told["transcript"]["lines"][0]["text"] == "Fish & <chips>"
    assert told["notes"] == [{"code": "no-words", "message": "There are no words."}]


def test_scores_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ArgumentError, match="sum to 1"):
        ModalityScores({"a": 0.5, "b": 0.6}, 1.0)
    with pytest.raises(ArgumentError, match="sum to 1"):
        EmotionResult(None, 0.0, {}, {})


def test_files_agree(result: EmotionResult, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs the extra export")
    result.save(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == result.to_dict()
    result.save(tmp_path / "r.csv")
    result.save(tmp_path / "r.parquet")
    table = result.to_frame()
    stored = pandas.read_parquet(tmp_path / "r.parquet")
    pandas.testing.assert_frame_equal(stored, table)
    with (tmp_path / "r.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["label"] for line in lines] == list(table["label"])
    assert {(row.what, row.modality) for row in table.itertuples()} >= {
        ("clip", "fused"),
        ("clip", "face"),
        ("segment", "voice"),
        ("person", "face"),
    }
    assert len(list(tmp_path.iterdir())) == 3


def test_an_unknown_suffix_lists_the_known_ones(result: EmotionResult, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.json.*\.html.*got '\.docx'"):
        result.save(tmp_path / "r.docx")


def test_a_missing_folder_is_told(result: EmotionResult, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="no folder"):
        result.save(tmp_path / "none" / "r.json")


def test_affect_goes_into_every_format_and_back(result: EmotionResult, tmp_path: Path) -> None:
    felt = Affect(0.25, -0.5, 0.125)
    text = ModalityScores(scores("happiness"), 0.9, 0.2, felt)
    spoken = replace(result, modalities=result.modalities | {"text": text})
    assert result.affect is None
    assert spoken.affect == felt
    assert spoken.to_dict()["affect"] == {"valence": 0.25, "arousal": -0.5, "dominance": 0.125}
    assert EmotionResult.from_dict(spoken.to_dict()).affect == felt
    assert EmotionResult.from_dict(result.to_dict()).affect is None
    with (spoken.save(tmp_path / "a.csv")).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["what"] == "clip"]
    assert [row["valence"] for row in rows if row["modality"] == "text"] == ["0.25"]
    assert [row["valence"] for row in rows if row["modality"] == "face"] == [""]
    assert "valence" not in result.to_frame().columns
    frame = spoken.to_frame()
    assert frame[(frame["what"] == "clip") & (frame["modality"] == "text")]["arousal"].tolist() == [-0.5]
    assert "valence +0.25" in spoken._repr_html_()
    with pytest.raises(ArgumentError, match="from -1 to 1"):
        Affect(1.5, 0.0, 0.0)
