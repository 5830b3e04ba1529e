from __future__ import annotations

from pathlib import Path

import pytest

from mmemo import EmotionResult
from mmemo.app.sessions import Findings, Visitor
from mmemo.labels import EKMAN7
from mmemo.result import ModalityScores

SCORES = dict.fromkeys(EKMAN7, 1 / 7)
RESULT = EmotionResult(None, 0.0, SCORES, {"text": ModalityScores(SCORES, 1.0)})


A, B = Visitor("browser", "a"), Visitor("browser", "b")


def keep(findings: Findings, visitor: Visitor) -> str:
    folder = findings.folder()
    (folder / "result.json").write_text(visitor.page)
    return findings.keep(visitor, folder, RESULT, "").token


def test_each_visitor_has_the_last_one_only(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    first, other = keep(findings, A), keep(findings, B)
    second = keep(findings, A)
    assert findings.file("browser", first, "result.json") is None
    assert not (tmp_path / first).exists()
    file = findings.file("browser", second, "result.json")
    assert file is not None
    assert file.read_text() == "a"
    assert findings.file("another browser", second, "result.json") is None
    findings.drop(A)
    assert findings.of(A) is None
    assert [folder.name for folder in tmp_path.iterdir()] == [other]


def test_names_outside_are_no_files(tmp_path: Path) -> None:
    findings = Findings(tmp_path / "kept")
    findings.root.mkdir()
    token = keep(findings, A)
    (tmp_path / "secret").write_text("x")
    assert findings.file("browser", token, "../../secret") is None
    assert findings.file("browser", "", "result.json") is None
    assert findings.file("browser", "\u00fc", "result.json") is None


@pytest.mark.parametrize("limit", [{"kept": -1.0}, {"most": 0}])
def test_the_old_and_the_too_many_go(tmp_path: Path, limit: dict[str, int]) -> None:
    findings = Findings(tmp_path, **limit)
    keep(findings, A)
    assert findings.of(A) is None
    assert list(tmp_path.iterdir()) == []
