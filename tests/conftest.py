"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmemo import Analyzer
from mmemo.samples import make_clip

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The unpacked corpora, for tests marked ``data``: MMEMO_DATA if it is set, else unpacked from ``../shared/data``."""
    given = os.environ.get("MMEMO_DATA")
    if given:
        if not (Path(given) / "av" / "manifest.csv").is_file():
            pytest.fail(f"MMEMO_DATA={given} holds no av/manifest.csv")
        yield Path(given)
        return
    script = ROOT.parent / "shared" / "data" / "unpack.sh"
    if not script.is_file():
        pytest.skip("the shared data is not here: set MMEMO_DATA to its unpacked folder")
    folder = tmp_path_factory.mktemp("corpora")
    subprocess.run(["bash", str(script), str(folder)], check=True, stdout=subprocess.DEVNULL)
    yield folder
    shutil.rmtree(folder)  # pytest would keep its 300 MB for three runs


@pytest.fixture(scope="session")
def analyzer() -> Analyzer:
    """One analyzer for all tests: the models are loaded once."""
    return Analyzer()


@pytest.fixture(scope="session")
def example() -> Path:
    return ROOT / "examples" / "portrait.mp4"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a smiling face and a sentence read aloud."""
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=3.0)
