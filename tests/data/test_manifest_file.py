from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from mmemo import Clip
from mmemo.data import Manifest
from mmemo.data.manifest_file import _csv_lines, _Labels
from mmemo.errors import ArgumentError, ManifestError
from mmemo.labels import EKMAN7, RAVDESS8, LabelSet


def faults(path: Path, **options: object) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        Manifest.read(path, **options)  # type: ignore[arg-type]
    assert str(path) in str(caught.value)
    return caught.value.faults


def test_every_fault_of_a_csv_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(
        b"id,transcript,lable,start,end,turn,perceived\n"
        b"a,caf\xe9,x,0,1,,\n"
        b"b,two,,2,1,,\n"
        b'c,"over\ntwo lines",,,,1.5,\n'
        b"c,x,,zero,,,\n"
        b"d,x,,,,,anger=lots\n"
        b"e,x\n"
        b"b,again,,,,,\n"
        b",nobody,,,,,\n"
        b"f,,,,,,\n"
    )
    told = faults(file)
    expected = [
        "line 1: Column: expected one of",
        "line 2: byte 6 is not UTF-8",
        "line 3: A clip needs 0 <= start < end",
        "line 4: turn: expected a whole number, got '1.5'",
        "line 6: start: expected a number",
        "line 7: perceived: expected a number",
        "line 8: 2 cells, the header has 7",
        "line 10: id: every clip",
        "line 11: Nothing to analyze",
    ]
    assert [fault[: len(start)] for fault, start in zip(told, expected, strict=True)] == expected
    assert "Did you mean 'label'?" in told[0]
    assert "save the file as UTF-8" in told[1]


def test_every_fault_of_json_lines_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text(
        '{"manifest": 1, "label_set": {"name": "two", "labels": ["good", "bad"]}}\n'
        '{"id": "a", "transcript": "x", "label": "god"}\n'
        '{"id": "a", "transcript": "x"\n'
        '["a", "b"]\n'
        '{"id": 7, "transcript": "x", "extra": "much"}\n'
        "\n"
        '{"id": "b", "path": "gone.mp4", "valence": true, "sepaker": "x"}\n'
        '{"id": "c", "path": "gone.mp4"}\n'
        '{"id": "d", "transcript": "x"}\n'
        '{"id": "d", "transcript": "x", "perceived": {"good": 0.9}}\n'
        '{"id": "d", "transcript": "x"}\n'
    )
    told = faults(file)
    for line, what in [
        (2, "got 'god'. Did you mean 'good'?"),
        (3, "not JSON"),
        (4, "expected an object"),
        (5, "id: expected text, got 7"),
        (5, "extra: expected names"),
        (7, "valence: expected a number"),
        (7, "Did you mean 'speaker'?"),
        (8, "gone.mp4 does not exist"),
        (10, "sum to 1"),
        (11, "id 'd' is that of line 9 already"),
    ]:
        assert any(fault.startswith(f"line {line}: ") and what in fault for fault in told), (line, what)
    assert len(told) == 10


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    for name, text in (("m.csv", "id,transcript\na,x\n"), ("m.jsonl", '{"id": "a", "transcript": "x"}\n')):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert Manifest.read(tmp_path / name)[0].id == "a"
        (tmp_path / name).write_bytes(text.encode("utf-16"))
        assert "UTF-16" in faults(tmp_path / name)[0]


def test_windows_lines_and_an_open_quote(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(b'id,transcript\r\na,"x\r\ny"\r\nb,z\r\n')
    assert [clip.text for clip in Manifest.read(file)] == ["x\r\ny", "z"]
    file.write_bytes(b'id,transcript\na,"x\nb,y\n')
    assert "quote" in faults(file)[0]


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="Suffix"):
        Manifest.read(tmp_path / "m.xlsx")
    assert "no such file" in faults(tmp_path / "m.csv")[0]
    (tmp_path / "m.csv").write_text("id,transcript\n")
    assert "no clip" in faults(tmp_path / "m.csv")[0]
    (tmp_path / "m.jsonl").write_text('{"manifest": 2, "label_set": {}}\n{"id": "a", "transcript": "x"}')
    assert "pip install -U mmemo" in faults(tmp_path / "m.jsonl")[0]
    (tmp_path / "twice.csv").write_text("id,id,transcript\na,b,x\n")
    assert "2 times" in faults(tmp_path / "twice.csv")[0]


def test_two_label_sets_in_one_file_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,transcript,label_set\na,x,s=one|two\nb,x,t=one|two\n")
    assert "another one than in the lines before" in faults(tmp_path / "m.csv")[0]


def test_labels_are_inferred_where_the_file_does_not_say(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("id,transcript,label\na,x,calm\nb,x,happy\n")
    assert Manifest.read(file).labels == RAVDESS8
    file.write_text("id,transcript,label\na,x,bored\nb,x,amused\n")
    assert Manifest.read(file).labels == LabelSet("m", ("amused", "bored"))
    file.write_text("id,transcript,label\na,x,bored\n")
    with pytest.raises(ManifestError, match="Give labels="):
        Manifest.read(file)
    assert "bored" in faults(file, labels=EKMAN7)[0]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = Manifest((Clip(text="x", id="x"),), EKMAN7).write(tmp_path / "m.jsonl")
    before = file.read_text()
    file = file.rename(tmp_path / "m.csv")
    bad = Manifest((Clip(text="\ud800", id="y"),), EKMAN7)  # half of a surrogate pair is not text
    with pytest.raises(ArgumentError, match="is no valid Unicode"):
        bad.write(file)
    assert file.read_text() == before
    assert os.listdir(tmp_path) == ["m.csv"]
    with pytest.raises(ArgumentError, match="no folder"):
        bad.write(tmp_path / "nowhere" / "m.csv")


def test_a_csv_is_streamed(tmp_path: Path) -> None:
    """The first clip is there while the rest of the file is not even written."""
    with (tmp_path / "m.csv").open("w") as file:
        file.write("id,transcript\n" + "c0,x\n" * 2 + 'c1,"' + "y" * 70_000 + '"\n')
        file.flush()
        lines = _csv_lines(tmp_path / "m.csv", _Labels(None))
        assert next(lines).record["id"] == "c0"
        file.write("c2,z\n" * 997)
        file.flush()
        assert len(list(lines)) == 999


@pytest.mark.slow
def test_reading_a_large_csv_keeps_its_clips_only(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    with file.open("w") as out:
        out.write("id,transcript,extra.unused\n")
        for i in range(2000):
            out.write(f"c{i},x,\n" + ("," * 2 + "\n") * 50)  # empty rows: 300 kB that are no clips
    tracemalloc.start()
    Manifest.read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6e6


def test_json_lines_are_one_object_a_line(tmp_path: Path) -> None:
    file = Manifest((Clip(text="é", id="x", label="anger", speaker="s"),), EKMAN7).write(tmp_path / "m.jsonl")
    header, line = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert header == {"manifest": 1, "label_set": {"name": "ekman7", "labels": list(EKMAN7)}}
    assert line == {"id": "x", "transcript": "é", "label": "anger", "speaker": "s"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("old.csv", "id,transcript,licence\na,x,CC0\n"),
        ("old.jsonl", '{"id": "a", "transcript": "x", "licence": "CC0"}\n'),
    ],
)
def test_the_license_of_an_older_manifest_is_read_by_its_old_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    manifest = Manifest.read(tmp_path / name, EKMAN7)
    assert manifest[0].license == "CC0"
    new = manifest.write(tmp_path / f"new-{name}").read_text()
    assert "licence" not in new
    assert "license" in new


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"start": ' + "9" * 400 + "}", "start: expected a number such as 1.25"),
        ('{"turn": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit"),
        ('{"turn": 1e999}', "turn: expected a number"),
        ("[" * 100_000, "not JSON: it is nested too deeply"),
        ('{"extra": {"a": ' + "[" * 90 + "]" * 90 + "}}", "extra: expected text, got"),
        ('{"perceived": {"anger": 1e308, "fear": 1e308, "joy": 1e308}}', "must be positive and sum to 1"),
        ('{"id": "' + "x" * 5000 + '", "label": [1]}', "label: expected text, got [1]"),
    ],
)
def test_values_beyond_all_bounds_are_faults(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(line)
    (fault,) = faults(tmp_path / "m.jsonl")
    assert says in fault
    assert len(fault) < 1000


def test_what_is_no_manifest_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "lfs.csv").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "page.jsonl").write_text("<html>")
    (tmp_path / "folder.csv").mkdir()
    for name, says in (
        ("pipe.csv", "a pipe"),
        ("lfs.csv", "Git LFS"),
        ("page.jsonl", "a web page"),
        ("folder.csv", "folder"),
    ):
        assert says in faults(tmp_path / name)[0]
    assert faults(tmp_path / ("a" * 300 + ".csv")) == ("it can't be read: File name too long",)


def test_names_that_are_not_utf_8_are_kept(tmp_path: Path) -> None:
    """In JSON Lines, whose escapes can hold them; CSV can't, and says so."""
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).touch()
    manifest = Manifest((Clip(tmp_path / name, id=name, label="fear"),), EKMAN7)
    assert Manifest.read(manifest.write(tmp_path / "m.jsonl")) == manifest
    with pytest.raises(ArgumentError, match=r"m\.csv can't be written: 'caf\\udce9\.mp4"):
        manifest.write(tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()


def test_a_media_file_with_an_impossible_name_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(json.dumps({"id": "a", "path": "x" * 5000 + ".mp4"}))
    assert "does not exist" in faults(tmp_path / "m.jsonl")[0]
