"""Clips: what they refuse, and older spellings in manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmemo import Clip
from mmemo.data.columns import from_record
from mmemo.errors import ArgumentError


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "Nothing to analyze"),
        ({"text": "a", "audio": Path("a.wav")}, "sound as its path"),
        ({"text": "a", "subtitles": Path("a.srt")}, "not both"),
        ({"text": "a", "start": 2.0, "end": 1.0}, "start=2.0, end=1.0"),
        ({"text": "a", "start": -1.0}, "0 <= start"),
        ({"text": "a", "onset": 2.0, "apex": 1.0}, "onset <= apex <= offset"),
        ({"text": "a", "arousal": float("nan")}, "arousal is nan"),
        ({"text": "a", "perceived": {"anger": 0.5}}, "sum to 1"),
    ],
)
def test_an_impossible_clip_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        Clip(**values)  # type: ignore[arg-type]


def test_all_faults_are_in_one_message() -> None:
    with pytest.raises(ArgumentError, match=r"start=3.*arousal is inf"):
        Clip(text="a", start=3.0, end=2.0, arousal=float("inf"))


def test_the_older_spelling_of_license_is_read(tmp_path: Path) -> None:
    for name in ("license", "licence"):
        clip, faults = from_record({"id": "1", "transcript": "a", name: "CC0"}, tmp_path)
        assert faults == []
        assert clip is not None
        assert clip.license == "CC0"
