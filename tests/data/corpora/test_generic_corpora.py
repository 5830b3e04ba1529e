"""Folders of classes, tables of one's own, and what all readers have in common."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from mmemo.data import Manifest
from mmemo.data.corpora import CORPORA, corpus, read_corpus
from mmemo.data.corpora.unreadable import unreadable
from mmemo.errors import ArgumentError, ManifestError
from mmemo.samples import make_clip

from .conftest import Tree
from .sheets import write_xlsx


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_says_what_it_is_and_refuses_a_wrong_folder(name: str, tmp_path: Path) -> None:
    known = corpus(name)
    assert known.name == name
    assert known.title
    assert known.layout
    if name not in ("classes", "table"):
        assert re.search(r"\b(19|20)\d\d\b", known.paper), "a paper has a year"
        assert known.license
        assert known.terms
    (tmp_path / "holiday.txt").write_text("nothing of a corpus")
    with pytest.raises(ManifestError) as told:
        known.read(tmp_path)
    assert known.layout in str(told.value) or name in ("ferplus", "table")
    with pytest.raises(ManifestError, match="no such file or folder"):
        known.read(tmp_path / "nowhere")


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ArgumentError, match="Did you mean 'crema_d'"):
        corpus("cremad")
    with pytest.raises(ArgumentError, match=r"Option of ravdess: expected one of \[\], got 'media'"):
        read_corpus("ravdess", ".", media="audio")


def test_empty_files_are_told_and_left_out(tree: Tree) -> None:
    folder = tree("03a01Fa.wav")
    (folder / "03a01Na.wav").touch()
    reading = read_corpus("emodb", folder)
    assert len(reading.manifest) == 1
    assert str(reading.caveats[0]) == "files of zero bytes, left out (1): 03a01Na.wav"


def test_links_are_followed_unless_they_lead_in_circles_or_nowhere(tree: Tree, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "03a01Fa.wav").write_bytes(b"x")
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "wav").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(folder)
    (folder / "03a01Na.wav").symlink_to(tmp_path / "gone.wav")
    reading = read_corpus("emodb", folder)
    assert [clip.id for clip in reading.manifest] == ["03a01Fa"]
    assert [str(caveat) for caveat in reading.caveats] == ["links that lead nowhere, left out (1): 03a01Na.wav"]


def test_unreadable_files_are_found_by_opening_them(tree: Tree) -> None:
    folder = tree("happy/broken.mp4", "sad/also.wav")
    make_clip(folder / "happy" / "good.mp4", seconds=0.5)
    (caveat,) = unreadable(read_corpus("classes", folder).manifest)
    assert [item.split(":")[0] for item in caveat.items] == ["happy/broken.mp4", "sad/also.wav"]


def test_classes_with_splits_and_folders_between(tree: Tree) -> None:
    reading = read_corpus(
        "classes", tree("train/anna/joy/1.mp4", "val/joy/1.wav", "test/flat/1.png", "train/stray.png")
    )
    assert [(clip.id, clip.label, clip.split) for clip in reading.manifest] == [
        ("test/flat/1.png", "flat", "test"),
        ("train/anna/joy/1.mp4", "joy", "train"),
        ("val/joy/1.wav", "joy", "val"),
    ]
    assert reading.manifest[1].extra == {"folder": "anna"}
    assert set(reading.manifest.labels) == {"joy", "flat"}
    assert reading.caveats[0].items == ("train/stray.png",)


def test_one_class_is_no_corpus(tree: Tree) -> None:
    with pytest.raises(ManifestError, match="two or more different labels"):
        read_corpus("classes", tree("clips/1.mp4", "clips/2.mp4"))


TABLE = "file;emotion;from;speaker;note\nclips/a.wav;joy;0,5;anna;\nclips\\b.wav;anger;;ben;loud\n"


def test_a_table_with_names_of_its_own(tree: Tree) -> None:
    columns = {"path": "file", "label": "emotion"}
    folder = tree("clips/a.wav", "clips/b.wav", sheet__csv=TABLE.replace("from", "take").replace("0,5", "1"))
    manifest = read_corpus("table", folder / "sheet.csv", columns=columns).manifest
    assert [(clip.id, clip.label, clip.speaker) for clip in manifest] == [("a", "joy", "anna"), ("b", "anger", "ben")]
    assert manifest[1].path == folder / "clips" / "b.wav"
    assert [dict(clip.extra) for clip in manifest] == [{"take": "1"}, {"note": "loud"}]


def test_all_faults_of_a_table_are_told_with_their_lines(tree: Tree) -> None:
    columns = {"path": "file", "label": "emotion", "start": "from"}
    folder = tree("clips/a.wav", sheet__csv=TABLE)
    with pytest.raises(ManifestError) as told:
        read_corpus("table", folder / "sheet.csv", columns=columns)
    assert told.value.faults == (
        "line 2: start: expected a number such as 1.25, got '0,5'",
        f"line 3: {folder / 'clips/b.wav'} does not exist; paths are relative to the table",
    )


@pytest.mark.parametrize("shared", [True, False])
def test_a_table_of_excel(tree: Tree, shared: bool) -> None:
    folder = tree("a.wav", "b.wav")
    rows: list[list[object]] = [
        ["path", "", "label", "valence"],
        ["a.wav", "", "joy & love", 0.25],
        [],
        ["b.wav", "", "none", 3],
    ]
    write_xlsx(folder / "sheet.xlsx", rows, shared=shared)
    first, second = read_corpus("table", folder / "sheet.xlsx").manifest
    assert (first.label, first.valence) == ("joy & love", 0.25)
    assert (second.label, second.valence) == ("none", 3.0)
    (folder / "bad.xlsx").write_text("no sheet")
    with pytest.raises(ManifestError, match=r"not an Excel \.xlsx file"):
        read_corpus("table", folder / "bad.xlsx")


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ('<c r="A1" t="s"><v>0</v></c><c r="ZZZZZZ1"><v>1</v></c>', "row 1: there is no column 'ZZZZZZ1'"),
        ('<c r="XFD1"><v>1</v></c></row><row>' * 700, "too many cells"),
        ('<c r="A1" t="s"><v>7</v></c>', "names a text that is not in the file"),
        ('<c r="A1" t="s"><v>x</v></c>', "names a text that is not in the file"),
    ],
)
def test_a_sheet_that_no_excel_writes(cells: str, says: str, tmp_path: Path) -> None:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/sharedStrings.xml", f"<sst {space}><si><t>label</t></si></sst>")
        book.writestr("xl/worksheets/sheet1.xml", f"<w {space}><sheetData><row>{cells}</row></sheetData></w>")
    with pytest.raises(ManifestError, match=says):
        read_corpus("table", tmp_path / "t.xlsx", columns={"label": "label"})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("path,label\n\xe9.wav,joy\n".encode("latin-1"), "line 2: byte 1 is not UTF-8"),
        ("path,label\na.wav,joy\n".encode("utf-16"), "UTF-16"),
        (b'path,label\n"a.wav,joy\n', "is a quote left open"),
        (b"file,label\na.wav,joy\n", r"line 2: Nothing to analyze"),
        (b"path,label\na.wav,joy\na.wav,anger\n", "line 3: id 'a' is that of line 2"),
        (b"path,label,label\na.wav,joy,joy\n", "Column 'label' is there more than once"),
        (b"path,label\na.wav,joy\na.wav,anger,and fear\n", "line 3: more cells than the header has, by 1"),
        (b"", "expected one of|no header|Nothing|nothing of table"),
    ],
)
def test_tables_that_cannot_be_read(tree: Tree, content: bytes, says: str) -> None:
    folder = tree("a.wav")
    (folder / "sheet.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=says):
        read_corpus("table", folder / "sheet.csv")


def test_a_byte_order_mark_is_no_part_of_the_first_column(tree: Tree) -> None:
    folder = tree("a.wav", "b.wav")
    (folder / "sheet.csv").write_bytes("path,label\na.wav,joy\nb.wav,anger\n".encode("utf-8-sig"))
    assert len(read_corpus("table", folder / "sheet.csv").manifest) == 2


def test_a_column_that_manifests_do_not_have(tree: Tree) -> None:
    with pytest.raises(ArgumentError, match="Did you mean 'label'"):
        read_corpus("table", tree(sheet__csv="a\n"), columns={"lable": "a"})


def test_what_is_read_survives_being_written(tree: Tree) -> None:
    folder = tree("VideoFlash/1001_DFA_ANG_XX.flv", "VideoFlash/1002_DFA_HAP_XX.flv")
    manifest = read_corpus("crema_d", folder).manifest
    for name in ("m.jsonl", "m.csv"):
        assert Manifest.read(manifest.write(folder / name)) == manifest
