"""A batch from beginning to end: rows, kills, changes; real processes and real signals."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmemo import Analyzer, analyze_many
from mmemo.batch.analyze_many import BatchProgress, journal_of
from mmemo.batch.result import Batch
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.errors import ArgumentError, UnknownModelError
from mmemo.labels import EKMAN7


def test_rows_are_those_of_an_analyzer(folder: Path, batch: Batch) -> None:
    assert [Path(str(row.path)).name for row in batch.rows][:3] == ["00.mp4", "02.mp4", "04.mp4"]
    assert len(batch.rows) == 13
    (damaged,) = batch.failed
    assert str(damaged.path).endswith("damaged.mp4")
    assert str(damaged.error).startswith("MediaError: ")
    row = next(row for row in batch.rows if str(row.path).endswith("07.mp4"))
    result = Analyzer(modalities=("voice",))(folder / "more" / "07.mp4")
    assert row.label == result.label
    assert row.scores == pytest.approx(result.scores, abs=1e-5)
    assert row.modalities["voice"].coverage == pytest.approx(result.modalities["voice"].coverage)
    assert row.duration == result.duration


def test_a_killed_run_goes_on_without_redoing_or_losing_a_clip(folder: Path, batch: Batch, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    code = (
        "import sys, mmemo\n"
        "def told(state):\n"
        "    print(state.done, flush=True)\n"
        "mmemo.analyze_many(sys.argv[1], sys.argv[2], modalities=['voice'], workers=2, progress=told)"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if int(line) == 4:
            running.send_signal(signal.SIGKILL)
            break
    running.wait()
    running.stdout.close()
    assert not out.exists()
    workers_end(running.pid)
    kept = sqlite3.connect(journal_of(out)).execute("SELECT COUNT(*) FROM rows WHERE NOT failed").fetchone()[0]
    assert 3 <= kept < 12
    states: list[BatchProgress] = []
    again = analyze_many(folder, out, modalities=("voice",), workers=2, progress=states.append)
    assert states[0] == BatchProgress(kept, 13, 0, kept)
    assert [state.done for state in states] == [*range(kept, 14)]
    assert again == batch
    assert len(out.read_text().splitlines()) == 13


def workers_end(group: int) -> None:
    """Processes whose parent was killed end by themselves."""
    deadline = time.monotonic() + 20
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_only_what_changed_is_analyzed_again(folder: Path, tmp_path: Path) -> None:
    clips = shutil.copytree(folder / "more", tmp_path / "clips")
    out, states = tmp_path / "out.csv", list[BatchProgress]()

    def kept(**changes: object) -> int:
        states.clear()
        given = {"modalities": ("voice",), "workers": 1, "progress": states.append}
        analyze_many(clips, out, **given | changes)  # type: ignore[arg-type]
        return states[0].kept

    assert kept() == 0
    assert kept() == 6
    shutil.copy(clips / "03.mp4", clips / "01.mp4")
    os.utime(clips / "05.mp4")
    (clips / "07.mp4").unlink()
    shutil.copy(clips / "11.mp4", clips / "13.mp4")
    assert kept() == 4
    assert kept(hop=2.0) == 0
    assert len(out.read_text().splitlines()) == 1 + 6


def test_settings_are_checked_before_any_work(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(ArgumentError, match="Did you mean 'voice'"):
        analyze_many(folder, out, modalities=("voices",))
    with pytest.raises(UnknownModelError, match="expected one of"):
        analyze_many(folder, out, model="none")
    with pytest.raises(ArgumentError, match="expected one of"):
        analyze_many(folder, tmp_path / "out.docx")
    with pytest.raises(ArgumentError, match="workers"):
        analyze_many(folder, out, workers=0)
    with pytest.raises(ArgumentError, match="no folder"):
        analyze_many(folder, tmp_path / "none" / "out.csv")
    assert not list(tmp_path.iterdir())


def test_manifests_bring_spans_words_and_labels(folder: Path, tmp_path: Path) -> None:
    clips = (
        Clip(folder / "more" / "11.mp4", 0.5, 1.5, "I am so happy", id="a", label="happiness", speaker="x"),
        Clip(folder / "00.mp4", text="I am so sad that I could cry", id="b", label="sadness", speaker="y"),
        Clip(folder / "gone.mp4", id="c", label="anger"),
        Clip(text="What a surprise!", id="d"),
    )
    manifest = Manifest(clips, EKMAN7).write(tmp_path / "clips.csv")
    found = analyze_many(manifest, tmp_path / "out.jsonl", modalities=("text",))
    assert [row.id for row in found.rows] == ["a", "b", "c", "d"]
    assert [row.annotated for row in found.rows] == ["happiness", "sadness", "anger", None]
    assert [row.label for row in found.rows[:2]] == ["happiness", "sadness"]
    assert found.rows[0].start == 0.5
    assert found.rows[0].duration == pytest.approx(1.0, abs=0.1)
    assert [row.id for row in found.failed] == ["c"]
    assert found.rows[3].path is None
