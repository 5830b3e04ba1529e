from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from mmemo.errors import ArgumentError
from mmemo.speech import language

TEXT = "I never said that it was your fault."


def test_without_room_for_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The library unpacks its model there."""
    language._identifier.cache_clear()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ArgumentError, match=r"no room for 70 MB .* TMPDIR"):
        language.detect_language(TEXT)
    monkeypatch.undo()
    assert language.detect_language(TEXT).language == "en"
