"""Files that other programs read: each is read back by an independent reader, and says what the result says."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pandas
import pyarrow.parquet
import pytest

from mmemo import EmotionResult
from mmemo.errors import ArgumentError, MissingExtraError
from mmemo.report import needs
from mmemo.report.save import SUFFIXES

SCHEMA = Path(sys.prefix) / "share" / "pympi_ling-1.71.tar.gz"


def test_json_comes_back(made: EmotionResult, tmp_path: Path) -> None:
    again = EmotionResult.load(made.save(tmp_path / "r.json"))
    assert again.to_dict() == made.to_dict()
    assert again.people[0].box_tracks == made.people[0].box_tracks
    assert again.transcript == made.transcript
    assert again.speech == made.speech
    assert "[2.0, 4.0]" in (tmp_path / "r.json").read_text()  # a list of numbers stands on one line


@pytest.mark.parametrize("text", ["[1]", "{}", "no json", '{"source": null, "duration": "x"}'])
def test_what_is_no_result_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ArgumentError, match="result"):
        EmotionResult.load(tmp_path / "r.json")


def test_tables_agree(made: EmotionResult, tmp_path: Path) -> None:
    table = made.to_frame()
    pandas.testing.assert_frame_equal(pandas.read_parquet(made.save(tmp_path / "r.parquet")), table)
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet").column("label").to_pylist() == list(table.label)
    lines = pandas.read_json(made.save(tmp_path / "r.jsonl"), lines=True)
    assert list(lines.label) == list(table.label)
    assert list(lines.happiness) == pytest.approx(list(table.happiness))
    comma = pandas.read_csv(made.save(tmp_path / "r.csv"))
    assert list(comma.anger) == pytest.approx(list(table.anger))


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


def test_speech_as_rttm(made: EmotionResult, tmp_path: Path) -> None:
    """As pyannote.database reads it: a table of ten columns with one blank between them."""
    pandas = pytest.importorskip("pandas")
    names = ["type", "uri", "channel", "start", "duration", "text", "kind", "speaker", "confidence", "lookahead"]
    file = made.save(tmp_path / "r.rttm")
    table = pandas.read_csv(
        file, names=names, sep=" ", keep_default_na=False, dtype={"start": float, "duration": float}
    )
    assert list(table["type"]) == ["SPEAKER"] * 2
    assert list(table["uri"]) == ["a_<b>_&_c"] * 2
    assert list(zip(table["start"], table["duration"], strict=True)) == [(2.0, 2.0), (7.0, 2.0)]
    assert set(table["lookahead"]) == {"<NA>"}


def test_elan_reads_the_tiers(made: EmotionResult, tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan", reason="needs pympi-ling")
    document = elan.Eaf(made.save(tmp_path / "r.eaf"))
    tiers = {"fused", "face", "voice", "person 0", "speech", "words", "words 2"}
    assert set(document.get_tier_names()) == tiers
    fused = sorted(document.get_annotation_data_for_tier("fused"))
    assert [note[:3] for note in fused] == [
        (0, 2500, "happiness"),
        (2500, 4000, "surprise"),
        (7000, 9000, "anger"),
    ]
    assert sorted(note[:2] for note in document.get_annotation_data_for_tier("speech")) == [(2000, 4000), (7000, 9000)]
    assert [note[2] for note in document.get_annotation_data_for_tier("words 2")] == ["at the same time"]
    entries = document.get_cv_entries("emotion")
    assert {value for values, _ in entries.values() for value, *_ in values} == set(made.scores)
    assert document.get_linked_files()[0]["RELATIVE_MEDIA_URL"].endswith("a%20%3Cb%3E%20%26%20c.mp4")


def test_elan_documents_keep_to_the_schema(made: EmotionResult, real: EmotionResult, tmp_path: Path) -> None:
    """ELAN's own EAFv3.0.xsd, which the source package of pympi-ling carries for its tests."""
    xmlschema = pytest.importorskip("xmlschema")
    if not SCHEMA.is_file():
        pytest.skip(f"needs the source package of pympi-ling as {SCHEMA}: `make test` fetches it")
    with tarfile.open(SCHEMA) as package:
        file = package.extractfile("pympi_ling-1.71/test/EAFv3.0.xsd")
        assert file is not None
        schema = xmlschema.XMLSchema(io.BytesIO(file.read()))
    for number, result in enumerate((made, real)):
        path = result.save(tmp_path / f"{number}.eaf")
        schema.validate(str(path))
        broken = path.read_text(encoding="utf-8").replace("TIME_SLOT_REF2=", "TIME_SLOT_REF9=")
        assert not schema.is_valid(io.StringIO(broken))


def test_what_a_result_has_nothing_for_is_told(tmp_path: Path, made: EmotionResult) -> None:
    alone = EmotionResult(None, 0.0, made.scores, {"text": made.modalities["face"]})
    for suffix, says in ((".srt", "no times"), (".eaf", "no times"), (".rttm", "not looked for"), (".mp4", "no video")):
        with pytest.raises(ArgumentError, match=says):
            alone.save(tmp_path / f"r{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_told(made: EmotionResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda package: None)
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
