from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmemo.cli import main
from mmemo.data import Manifest


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["mmemo", "prepare", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def savee(tmp_path: Path) -> Path:
    for name in ("DC/a01.wav", "DC/n01.wav", "JK/a01.wav", "JK/notes.wav"):
        file = tmp_path / "savee" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return tmp_path / "savee"


def test_the_report_and_the_manifest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], savee: Path, tmp_path: Path
) -> None:
    assert run(monkeypatch, "savee", savee, "--out", tmp_path / "m.jsonl", "--probe") == 0
    told = capsys.readouterr().out
    for words in ("SAVEE: 3 clips", "anger", "2 speakers; en", "Haq and Jackson", "Terms: Research", "JK/notes.wav"):
        assert words in told
    assert "files that can't be opened (3)" in told
    assert len(Manifest.read(tmp_path / "m.jsonl")) == 3


def test_options_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], savee: Path, tmp_path: Path
) -> None:
    (savee / "sheet.csv").write_text("file,emotion\nDC/a01.wav,anger\nDC/n01.wav,neutral\n")
    columns = ("--column", "path=file", "--column", "label=emotion")
    assert run(monkeypatch, "table", savee / "sheet.csv", "--out", tmp_path / "m.csv", *columns) == 0
    assert [clip.label for clip in Manifest.read(tmp_path / "m.csv")] == ["anger", "neutral"]


def test_all_corpora_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch) == 0
    told = capsys.readouterr().out
    for words in ("ravdess", "CMU-MOSEI", "CC BY-NC-SA 4.0", "folder of classes"):
        assert words in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["savee"], "expected there: DC/a01.wav"),
        (["save", "."], "Did you mean 'savee'"),
        (["savee", ".", "--out", "m.xml"], "expected one of ['.jsonl', '.csv']"),
        (["savee", ".", "--out", "m.csv", "--media", "audio"], "Option of savee"),
        (["savee", ".", "--out", "none/m.csv"], "There is no folder none"),
        (["table", ".", "--out", "m.csv", "--column", "label"], "expected COLUMN=YOURS"),
        (["savee", ".", "--out", "m.csv"], "nothing of SAVEE is here; expected DC/a01.wav"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err
    assert list(tmp_path.iterdir()) == []
