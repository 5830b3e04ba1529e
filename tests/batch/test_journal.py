"""The journal of a batch is written by one run only, and is no other file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmemo.batch.journal import Journal
from mmemo.errors import ArgumentError


def test_two_runs_cannot_fill_one_table(tmp_path: Path) -> None:
    path = tmp_path / "out.csv.journal"
    with Journal(path), pytest.raises(ArgumentError, match="Another run"):
        Journal(path)
    path.write_bytes(b"something else" * 100)
    with pytest.raises(ArgumentError, match="can't be used"):
        Journal(path)
