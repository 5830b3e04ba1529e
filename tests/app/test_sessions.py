from __future__ import annotations

from pathlib import Path

import pytest

from mmemo import EmotionResult
from mmemo.app.sessions import ResultStore, Visitor
from mmemo.labels import EKMAN7
from mmemo.result import ModalityScores

SCORES = dict.fromkeys(EKMAN7, 1 / 7)
RESULT = EmotionResult(None, 0.0, SCORES, {"text": ModalityScores(SCORES, 1.0)})


A, B = Visitor("browser", "a"), Visitor("browser", "b")


def keep(results: ResultStore, visitor: Visitor) -> str:
    folder = results.folder()
    (folder / "result.json").write_text(visitor.page)
    return results.keep(visitor, folder, RESULT, "").token


def test_each_visitor_has_the_last_one_only(tmp_path: Path) -> None:
    results = ResultStore(tmp_path)
    first, other = keep(results, A), keep(results, B)
    second = keep(results, A)
    assert results.file("browser", first, "result.json") is None
    assert not (tmp_path / first).exists()
    file = results.file("browser", second, "result.json")
    assert file is not None
    assert file.read_text() == "a"
    assert results.file("another browser", second, "result.json") is None
    results.drop(A)
    assert results.of(A) is None
    assert [folder.name for folder in tmp_path.iterdir()] == [other]


def test_names_outside_are_no_files(tmp_path: Path) -> None:
    results = ResultStore(tmp_path / "kept")
    results.root.mkdir()
    token = keep(results, A)
    (tmp_path / "secret").write_text("x")
    assert results.file("browser", token, "../../secret") is None
    assert results.file("browser", "", "result.json") is None
    assert results.file("browser", "\u00fc", "result.json") is None


@pytest.mark.parametrize("limit", [{"kept": -1.0}, {"most": 0}])
def test_the_old_and_the_too_many_go(tmp_path: Path, limit: dict[str, int]) -> None:
    results = ResultStore(tmp_path, **limit)
    keep(results, A)
    assert results.of(A) is None
    assert list(tmp_path.iterdir()) == []
