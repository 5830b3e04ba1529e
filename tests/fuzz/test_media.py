"""What is analyzed, damaged and invented: media, and texts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmemo
from mmemo.samples import make_clip

from .inputs import FUZZ, Check, damaged

pytestmark = pytest.mark.slow


def test_media(check: Check, tmp_path: Path) -> None:
    small = {"seconds": 0.4, "size": (64, 64), "rate": 5}
    image = np.zeros((48, 64, 3), np.uint8)
    originals = {
        **{suffix: make_clip(tmp_path / f"c{suffix}", **small).read_bytes() for suffix in (".mp4", ".mkv")},
        **{
            suffix: make_clip(tmp_path / f"s{suffix}", seconds=0.5, picture=False).read_bytes()
            for suffix in (".wav", ".m4a")
        },
        **{suffix: cv2.imencode(suffix, image)[1].tobytes() for suffix in (".jpg", ".png", ".bmp", ".webp", ".gif")},
    }
    analyzer = mmemo.Analyzer(modalities=("face", "voice"), transcriber=None)

    @FUZZ
    @given(st.data())
    def run(data: st.DataObject) -> None:
        suffix = data.draw(st.sampled_from([*originals]))
        check(analyzer, "c" + suffix, data.draw(damaged([originals[suffix]])))

    run()


def test_texts(check: Check) -> None:
    """Any text that is given, lone surrogates and all: a result, whose document is UTF-8."""
    analyzer = mmemo.Analyzer(modalities=("text",))

    @FUZZ
    @given(st.text(st.characters(), max_size=300))
    def run(text: str) -> None:
        def read(path: Path) -> None:
            found = analyzer(text=text)
            found.to_json().encode()
            found.save(path.with_name("r.html"))

        check(read, "x", b"")

    run()
