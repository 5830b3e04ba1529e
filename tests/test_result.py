from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import mmemo
from mmemo import Analyzer
from mmemo.affect import Affect
from mmemo.box_tracks import BoxTrack
from mmemo.errors import ArgumentError
from mmemo.labels import EKMAN7
from mmemo.micro_expression import MicroExpression
from mmemo.notes import Note
from mmemo.result import AnalysisSettings, EmotionResult, ModalityScores, Person, Segment
from mmemo.samples import ASSETS, make_clip
from mmemo.speech.line import Line, Word
from mmemo.speech.prosody import Prosody
from mmemo.speech.transcript import Transcript

SCHEMA = Path(__file__).parent.parent / "docs" / "result.schema.json"


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


@pytest.fixture
def full(result: EmotionResult) -> EmotionResult:
    """The same with everything there can be, and more decimals than documents hold."""
    affect = Affect(0.1234567, -0.5, 0.125)
    text = ModalityScores(scores("happiness", 2 / 3), 1 / 3, None, affect)
    track = BoxTrack((0.0001, 1.23456), ((0.123456, 0.2, 0.3, 0.4), (-0.1, 0.2, 0.3, 1.2)))
    line = Line(0.5, 1.5, "Fish", 0.98765, (Word(0.51234, 0.9, "Fish", 0.9),), "anna")
    scored = {"surprise": 0.75, "negative": 0.25}
    return replace(
        result,
        modalities=result.modalities | {"text": text},
        people=(replace(result.people[0], box_tracks=(track,), speaking=1 / 3, modalities=result.modalities),),
        transcript=Transcript((line,), "recognition", None, "tiny.en"),
        speech=((0.12345, 1.5),),
        micro_expressions=(
            MicroExpression(0, 0.12345, 0.2, 0.3, 3, 5, 8, "brows", 1.23456, 0.9, scored),
            MicroExpression(0, 1.0, 1.1, 1.2, 25, 28, 30, "mouth", 1.0, 0.5),
        ),
        prosody=Prosody(
            0.0, *np.array([[np.nan, 123.456], [-100, -20.06], [np.nan, 3.456]], np.float32), ((0.2, 0.5),)
        ),
        weights={"face": "ab" * 32},
        settings=AnalysisSettings(2.0, 1.0, ("face", "voice", "text")),
        start=0.5,
    )


def test_the_document(full: EmotionResult) -> None:
    document = json.loads(full.to_json())
    assert document == full.to_dict()
    assert document["format"] == 1
    assert document["mmemo"] == mmemo.__version__
    assert document["model"] == "default"
    assert document["weights"] == {"face": "ab" * 32}
    assert document["settings"] == {
        "window": 2.0, "hop": 1.0, "modalities": ["face", "voice", "text"], "prior": None, "baseline": None,
    }  # fmt: skip
    assert document["label"] == "happiness"
    assert list(document["scores"]) == list(EKMAN7)
    assert document["affect"].keys() == {"valence", "arousal", "dominance", "derived"}
    text = document["modalities"]["text"]
    assert (text["label"], text["scores"]["happiness"], text["coverage"]) == ("happiness", 0.66667, 0.333)
    assert text["weight"] is None
    assert text["affect"] == {"valence": 0.12346, "arousal": -0.5, "dominance": 0.125}
    assert document["modalities"]["voice"].keys() == {"label", "scores", "coverage", "weight", "affect"}
    assert document["segments"][1]["modalities"].keys() == {"voice"}
    person = document["people"][0]
    assert person["box"] == [0.1, 0.2, 0.3, 0.4]
    assert person["speaking"] == 0.333
    assert person["box_tracks"] == [{"times": [0.0, 1.235], "boxes": [[0.1235, 0.2, 0.3, 0.4], [-0.1, 0.2, 0.3, 1.2]]}]
    assert document["transcript"]["lines"] == [
        {
            "start": 0.5, "end": 1.5, "text": "Fish", "confidence": 0.988, "speaker": "anna",
            "words": [{"start": 0.512, "end": 0.9, "text": "Fish", "confidence": 0.9}],
        }
    ]  # fmt: skip
    first, second = document["micro_expressions"]
    assert (first["onset"], first["strength"], first["label"]) == (0.1235, 1.235, "surprise")
    assert (second["label"], second["scores"]) == (None, None)
    assert document["prosody"]["pitch"] == [None, 123.5]
    assert document["prosody"]["energy"] == [-100.0, -20.1]
    assert document["prosody"]["rate"] == [None, 3.46]
    assert document["prosody"]["step"] == 0.02
    assert document["prosody"]["summary"]["pitch"] == 123.456
    assert document["speech"] == [[0.123, 1.5]]
    assert document["notes"] == [{"code": "no-words", "message": "There are no words."}]


def test_a_plain_line_has_neither_words_nor_speaker(result: EmotionResult) -> None:
    (line,) = result.to_dict()["transcript"]["lines"]
    assert line == {"start": 0.5, "end": 1.5, "text": "Fish & <chips>", "confidence": 1.0}


def test_a_document_comes_back_as_it_was(full: EmotionResult) -> None:
    again = EmotionResult.from_dict(full.to_dict())
    assert again.to_dict() == full.to_dict()
    assert isinstance(again.people[0].box_tracks[0].boxes[0], tuple)
    assert np.isnan(again.prosody.pitch[0])  # type: ignore[union-attr]
    assert EmotionResult.from_dict(full.to_dict() | {"a later key": 1}).to_dict() == full.to_dict()


def test_documents_of_the_first_version_are_read(full: EmotionResult) -> None:
    document = full.to_dict()
    for key in ("format", "mmemo", "weights", "settings"):
        del document[key]
    (track,) = document["people"][0].pop("box_tracks")
    document["people"][0]["trails"] = [[[t, *box] for t, box in zip(track["times"], track["boxes"], strict=True)]]
    again = EmotionResult.from_dict(document)
    assert (again.mmemo, again.weights, again.settings) == (None, {}, None)
    assert again.to_dict() == full.to_dict() | {"mmemo": None, "weights": {}, "settings": None}


def test_a_newer_document_says_to_upgrade(result: EmotionResult) -> None:
    with pytest.raises(ArgumentError, match=r"format 2, made by mmemo 9\.1.*Upgrade"):
        EmotionResult.from_dict(result.to_dict() | {"format": 2, "mmemo": "9.1", "scores": "of another form"})


def _break(change: Callable[[dict[str, Any]], object], document: dict[str, Any]) -> dict[str, Any]:
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("scores"), "required field `scores`"),
        (lambda d: d.update(format="1"), r"'1'|\$\.format"),
        (lambda d: d["scores"].update(anger="much"), r"got `str` - at `\$\.scores"),
        (
            lambda d: d["segments"][1].update(start=None),
            r"Expected `float`, got `null` - at `\$\.segments\[1\]\.start`",
        ),
        (lambda d: d["segments"][1]["scores"].update(anger=0.1), r"sum to 1.*at `\$\.segments\[1\]`"),
        (lambda d: d["people"][0].update(box=[0.1, 0.2, 0.3]), r"length 4, got 3 - at `\$\.people\[0\]\.box`"),
        (lambda d: d["people"][0].update(coverage=1.5), r"<= 1.0 - at `\$\.people\[0\]\.coverage`"),
        (lambda d: d["transcript"].update(source="a dream"), r"'a dream'.*at `\$\.transcript`"),
        (lambda d: d["prosody"].update(pitch="high"), r"Expected `array`, got `str` - at `\$\.prosody\.pitch`"),
        (lambda d: d["prosody"].update(pitch=[1.0]), r"one shape.*at `\$\.prosody`"),
        (lambda d: d["people"][0]["box_tracks"][0].update(times=[10**400]), r"box_tracks\[0\]\.times"),
        (lambda d: d["people"][0]["segments"][0].update(scores={"joy": 1.0}), "the same labels"),
    ],
)
def test_a_wrong_document_names_the_field(
    full: EmotionResult, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    with pytest.raises(ArgumentError, match=says):
        EmotionResult.from_dict(_break(change, full.to_dict()))


@pytest.mark.parametrize("people", [None, 3, [3], [{"trails": 3}], [{"trails": [[[]]]}]])
def test_a_wrong_document_of_the_first_version_is_an_argument_error(result: EmotionResult, people: object) -> None:
    document = result.to_dict() | {"people": people}
    del document["format"]
    with pytest.raises(ArgumentError, match="people"):
        EmotionResult.from_dict(document)


def test_the_json_schema_in_the_docs_is_up_to_date() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == EmotionResult.json_schema(), (
        "run: mmemo schema > docs/result.schema.json"
    )


@pytest.fixture(scope="module")
def strict() -> jsonschema.Draft202012Validator:
    """The schema in the docs, which here must describe every key."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in schema["$defs"].values():
        part["additionalProperties"] = False
    return jsonschema.Draft202012Validator(schema)


def test_made_results_fit_the_json_schema(
    full: EmotionResult, result: EmotionResult, strict: jsonschema.Draft202012Validator
) -> None:
    strict.validate(full.to_dict())
    strict.validate(result.to_dict())
    broken = full.to_dict()
    del broken["people"][0]["box_tracks"][0]["boxes"]
    broken["modalities"]["face"]["coverage"] = 2
    broken["prosody"]["pitch"] = ["high"]
    assert len(list(strict.iter_errors(broken))) == 3


def test_real_results_fit_the_json_schema(
    analyzer: Analyzer, clip: Path, tmp_path: Path, strict: jsonschema.Draft202012Validator
) -> None:
    words = "What a lovely day."
    sound = make_clip(tmp_path / "sound.wav", seconds=2.0, picture=False)
    still = ASSETS / "portrait.jpg"
    sources: list[tuple[Path | None, str | None]] = [(clip, words), (still, None), (sound, words), (None, words)]
    for path, text in sources:
        result = analyzer(path, text=text)
        document = json.loads(result.to_json())
        strict.validate(document)
        assert document["settings"]["modalities"] == ["face", "voice", "text"]
        assert EmotionResult.from_dict(document).to_dict() == document


def test_a_result_shows_itself_in_one_line_and_prints_a_table(full: EmotionResult, result: EmotionResult) -> None:
    assert repr(result) == (
        "<EmotionResult 'a <b> & c.mp4', 6.0 s: happiness 50% (face happiness, voice anger), 2 segments, 1 person, 1 note>"
    )
    assert repr(result.segments[0]) == "<Segment 0.0 to 2.0 s: happiness 70% (face happiness, voice anger)>"
    assert repr(result.people[0]) == "<Person 0, 0.0 to 2.0 s: happiness 70%, seen 30%>"
    assert repr(result.modalities["face"]) == "<ModalityScores happiness 70%, coverage 90%, weight 60%>"
    assert repr(result.transcript) == "<Transcript given, en: 1 lines, 'Fish & <chips>'>"
    assert "\n" not in repr(full.prosody)
    table = str(result)
    assert "\x1b" not in table
    assert any(line.split() == ["■", "happiness", "50%", "70%", "5%"] for line in table.splitlines())
    assert "There are no words." in table
    assert max(map(len, table.splitlines())) < 120


def test_scores_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"ModalityScores\.scores.*sum to 1"):
        ModalityScores({"a": 0.5, "b": 0.6}, 1.0)
    with pytest.raises(ArgumentError, match=r"Segment\.scores.*sum to 1"):
        Segment(0.0, 1.0, {"a": float("nan")}, {})
    with pytest.raises(ArgumentError, match=r"EmotionResult\.scores.*sum to 1"):
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
    text = ModalityScores(scores("happiness"), 0.9, 0.2, Affect(0.25, -0.5, 0.125))
    spoken = replace(result, modalities=result.modalities | {"text": text})
    assert EmotionResult.from_dict(spoken.to_dict()).affect == spoken.affect
    with (spoken.save(tmp_path / "a.csv")).open(newline="") as file:
        rows = {row["modality"]: row for row in csv.DictReader(file) if row["what"] == "clip"}
    assert [rows["text"][name] for name in ("valence", "arousal", "derived")] == ["0.25", "-0.5", "False"]
    assert spoken.affect is not None
    assert rows["fused"]["valence"] == str(spoken.affect.valence)
    assert (rows["face"]["derived"], rows["fused"]["derived"]) == ("True", "True")
    frame = spoken.to_frame()
    assert frame[frame["what"] == "clip"]["derived"].tolist() == [True, True, True, False]
    assert frame[frame["what"] == "segment"]["valence"].notna().all()
    assert f"{spoken.affect.valence:+.2f}" in spoken._repr_html_()
    assert "words: predicted" in str(spoken)
    assert "face, voice: derived from scores" in str(spoken)
    mood = {"positive": 0.75, "negative": 0.25}
    plain = EmotionResult(None, 0.0, mood, {"text": ModalityScores(mood, 1.0)})
    assert "valence" not in plain.to_frame().columns
    assert 'class="affect"' not in plain._repr_html_()


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".html", ".srt", ".rttm", ".eaf", ".svg"])
def test_names_that_are_not_utf_8_can_be_shown(suffix: str, result: EmotionResult, tmp_path: Path) -> None:
    named = replace(result, source=str(tmp_path / os.fsdecode(b"caf\xe9.mp4")), speech=((0.0, 1.0),))
    text = named.save(tmp_path / f"r{suffix}").read_bytes().decode()
    if suffix in (".json", ".html", ".rttm"):
        assert "caf\ufffd" in text
    elif suffix == ".eaf":
        assert "caf%E9.mp4" in text
    named.to_json().encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": ' + b"[" * 100_000, "can't be read as a result"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"\xff\xfe{", "can't be read as a result"),
        (b'{"format": 1, "duration": 1e999}', "can't be read as a result"),
        (b"[]", "can't be read as a result"),
    ],
)
def test_what_is_no_result(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(ArgumentError, match=says):
        EmotionResult.load(tmp_path / "r.json")
