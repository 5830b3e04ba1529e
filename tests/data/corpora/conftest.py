"""Small trees of corpora: real names and headers, and a byte for each file, as readers open none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make files; ``tree("a.wav", table="…")`` gives their folder. Names of tables have ``__`` for a dot."""

    def make(*names: str, **tables: str) -> Path:
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
        for name, text in tables.items():
            (tmp_path / name.replace("__", ".")).write_text(text, encoding="utf-8")
        return tmp_path

    return make
