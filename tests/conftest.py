"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
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
def same_inputs() -> Iterator[None]:
    """Hypothesis makes the same inputs in every run: left alone it draws constants from whatever modules are loaded."""
    from hypothesis.internal.conjecture import providers  # the base install has none

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers, "_get_local_constants", providers.Constants)
        yield


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


ATTACK = (
    """<script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}</style>' onload='alert(3)' ${x} --> & \u00fcber"""
)
"""What a file, a label or a transcript may hold: every way out of an element, an attribute, a style and a template."""


class _Elements(HTMLParser):
    """Elements of a page with the names of their attributes, and all text that is neither script nor style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, [name for name, _ in attrs]))
        self.text += "".join(f" {value}" for _, value in attrs)

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in ("script", "style"):
            self.text += data


@pytest.fixture
def check_escaping() -> Callable[[Callable[[str], str]], None]:
    """Checks a writer of HTML, which gets a text to put in every place that a user can fill.

    With an attack for a text the page must have the same elements as with a harmless one, and show the attack as it is.
    """

    def check(write: Callable[[str], str]) -> None:
        harmless = re.sub("[<>\"'&{}$]", "x", ATTACK)
        attacked, plain = _Elements(write(ATTACK)), _Elements(write(harmless))
        assert attacked.elements == plain.elements
        assert attacked.text.count(ATTACK) == plain.text.count(harmless) > 0

    return check
