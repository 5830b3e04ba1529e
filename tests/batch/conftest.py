from __future__ import annotations

from pathlib import Path

import pytest

from mmemo import analyze_many
from mmemo.batch.result import Batch
from mmemo.samples import make_clip


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips of speech in two folders, of different lengths; one damaged file, one file that is no clip."""
    folder = tmp_path_factory.mktemp("many") / "clips"
    (folder / "more").mkdir(parents=True)
    for number in range(12):
        where = folder / "more" if number % 2 else folder
        make_clip(where / f"{number:02}.mp4", seconds=1 + number / 10, size=(64, 48), rate=5, faces=0)
    (folder / "damaged.mp4").write_bytes(b"no media at all")
    (folder / "readme.txt").write_text("not a clip")
    return folder


@pytest.fixture(scope="session")
def batch(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """All clips of the folder, by two processes."""
    return analyze_many(folder, tmp_path_factory.mktemp("out") / "out.jsonl", modalities=("voice",), workers=2)
