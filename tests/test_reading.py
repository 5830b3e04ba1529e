from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mmemo import reading
from mmemo.reading import open_input, open_plain, parse_json, read_bytes, read_lines, well_formed


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, says in (("pipe", "a pipe"), ("zero", "a device"), (".", "a folder"), ("a\0b", "no file of this name")):
        with pytest.raises(OSError, match=says):
            open_plain(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"),
        ("\ufeff\n <!doctype HTML><p>Sign in", "a web page"),
        ("<html lang='en'>", "a web page"),
    ],
)
def test_what_stands_in_for_a_file_is_named(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(content, encoding="utf-8")
    with pytest.raises(OSError, match=says):
        open_input(tmp_path / "f")
    with open_plain(tmp_path / "f") as file:
        assert file.read() == content.encode()


def test_files_and_lines_are_read_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 5)
    (tmp_path / "f").write_bytes(b"1234\n12345\n")
    lines = read_lines(tmp_path / "f")
    assert next(lines) == b"1234\n"
    with pytest.raises(OSError, match="a line of it is longer"):
        next(lines)
    assert read_bytes(tmp_path / "f", 11) == b"1234\n12345\n"
    with pytest.raises(OSError, match="larger than 1e-05 MB"):
        read_bytes(tmp_path / "f", 10)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 101 + "]" * 101, '{"a":' * 101 + "1" + "}" * 101])
def test_json_is_read_to_a_depth(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(text)


def test_what_json_may_hold() -> None:
    deepest = "[" * 100 + "]" * 100
    assert json.dumps(parse_json(deepest)) == deepest
    assert parse_json(json.dumps(["[" * 500, {"{": 1}])) == ["[" * 500, {"{": 1}]
    with pytest.raises(ValueError, match="digits"):
        parse_json("9" * 5000)


def test_halves_of_pairs_are_replaced() -> None:
    assert well_formed("caf\udce9 \U0001f600 \ud83d") == "caf\ufffd \U0001f600 \ufffd"
