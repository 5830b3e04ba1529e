"""Settings of a batch: what changes a clip's key, and a machine with another version."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mmemo.batch.plan import pack, plan
from mmemo.batch.pool import worker
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.errors import WorkerError

pytestmark = pytest.mark.slow


def settings(**changes: object) -> Settings:
    given = {"model": "default", "modalities": ("voice",), "device": "cpu", "window": 2.0, "hop": 1.0, "threads": 1}
    return Settings.of(**given | changes)  # type: ignore[arg-type]


def test_another_version_is_refused(folder: Path) -> None:
    with pytest.raises(WorkerError, match="has another mmemo"):
        worker(replace(settings(), version="0.0.1")).request(pack(Clip(folder / "00.mp4")))


def test_identity_and_key(folder: Path, tmp_path: Path) -> None:
    (task,) = plan(folder / "00.mp4").tasks
    key = settings().key(task.clip)
    assert settings(hop=0.5).key(task.clip) != key
    assert settings(threads=2).key(task.clip) == key
    copy = tmp_path / "copy.mp4"
    shutil.copy(folder / "00.mp4", copy)
    (other,) = plan(copy).tasks
    assert settings().key(other.clip) == key
    assert other.identity != task.identity
    copy.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nI am glad.\n")
    assert settings().key(other.clip) != key  # subtitles beside a file are its words
