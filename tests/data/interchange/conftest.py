from __future__ import annotations

from pathlib import Path

import pytest

from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.labels import EKMAN7


@pytest.fixture
def full(tmp_path: Path) -> Manifest:
    """Clips that between them have a value for everything; their files are there, and hold a byte."""
    for name in ("media/a.mp4", "media/a.wav", "media/b.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    media = tmp_path / "media"
    return Manifest(
        (
            Clip(
                media / "a.mp4",
                1.25,
                66.2901,
                'She said "no", then; "yes"',
                audio=media / "a.wav",
                id="a",
                corpus="mine",
                label="anger",
                labels={"face": "fear", "voice": "anger"},
                intended="anger",
                perceived={"anger": 0.7, "fear": 0.3},
                valence=-0.5,
                arousal=0.1,
                dominance=0.30000000000000004,
                onset=2.0,
                apex=3.0,
                offset=4.5,
                speaker="anna",
                gender="female",
                session="s1",
                dialogue="d1",
                turn=0,
                language="en",
                license="CC0",
                split="train",
                fold="1",
                sha256="ab" * 32,
                extra={"take": "07", "note": "wörds"},
            ),
            Clip(media / "b.wav", id="b", label="happiness", valence=1.0, speaker="ben", split="val", turn=3),
            Clip(text="only words", id="c", split="test"),
        ),
        EKMAN7,
    )
