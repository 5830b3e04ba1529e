"""A batch from beginning to end: rows, kills, changes; real processes and real signals."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pandas
import pyarrow.parquet
import pytest

from mmemo import Analyzer, analyze_many
from mmemo.batch.analyze_many import BatchProgress, journal_of
from mmemo.batch.journal import Journal
from mmemo.batch.plan import plan
from mmemo.batch.pool import Process
from mmemo.batch.result import Batch
from mmemo.batch.row import Row
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.errors import ArgumentError, UnknownModelError, WorkerError
from mmemo.labels import EKMAN7


@pytest.fixture(scope="module")
def batch(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """All clips of the folder, by two processes."""
    return analyze_many(folder, tmp_path_factory.mktemp("out") / "out.jsonl", modalities=("voice",), workers=2)


def settings(**changes: object) -> Settings:
    given = {"model": "default", "modalities": ("voice",), "device": "cpu", "window": 2.0, "hop": 1.0, "threads": 1}
    return Settings.of(**given | changes)  # type: ignore[arg-type]


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


def test_tables_are_read_back(batch: Batch, tmp_path: Path) -> None:
    records = list(batch.records())
    lines = [json.loads(line) for line in batch.save(tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines == records
    assert pyarrow.parquet.read_table(batch.save(tmp_path / "a.parquet")).to_pylist() == records
    with batch.save(tmp_path / "a.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [
        {name: "" if value is None else str(value) for name, value in record.items()} for record in records
    ] == cells
    table = batch.to_frame()
    assert tuple(table.columns) == batch.columns
    assert table["label"].isna().sum() == 1
    pandas.testing.assert_series_equal(table["voice.fear"], table["fear"], check_names=False)


def test_columns_are_there_without_a_single_result(tmp_path: Path) -> None:
    failed = Batch((Row(path="a.mp4", error="MediaError: gone"),), ("face", "voice"))
    table = pyarrow.parquet.read_table(failed.save(tmp_path / "a.parquet"))
    assert {"face.coverage", "voice.label", "error"} <= set(table.column_names)
    assert str(table.schema.field("face.coverage").type) == "double"


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


def test_a_process_that_dies_is_started_again(folder: Path) -> None:
    process = Process(settings())
    try:
        clip = Clip(folder / "00.mp4")
        key, row = process(clip)
        assert process._running is not None
        first = process._running.pid
        os.kill(first, signal.SIGKILL)
        assert process(clip) == (key, row)
        assert process._running.pid != first
    finally:
        process.close()
    with pytest.raises(WorkerError, match="closed"):
        process(clip)


def test_a_clip_whose_process_dies_twice_is_a_row_with_an_error(tmp_path: Path) -> None:
    """The clip is a FIFO: its reader waits, and is killed, as the system does when memory runs out."""
    trap = tmp_path / "trap.mp4"
    os.mkfifo(trap)
    process, killed = Process(settings()), []

    def kill_readers() -> None:
        for _ in range(2):
            end = opened_for_reading(trap)
            if end is None or process._running is None:
                return
            killed.append(process._running.pid)
            process._running.kill()
            process._running.wait()
            os.close(end)

    hunter = Thread(target=kill_readers, daemon=True)
    hunter.start()
    key, row = process(Clip(trap))
    hunter.join()
    process.close()
    assert len(set(killed)) == 2
    assert key == ""
    assert str(row.error).startswith("WorkerError: The process that analyzed it died 2 times, with exit status -9")


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


def test_another_version_is_refused(folder: Path) -> None:
    with pytest.raises(WorkerError, match="has another mmemo"):
        Process(replace(settings(), version="0.0.1"))(Clip(folder / "00.mp4"))


def test_two_runs_cannot_fill_one_table(tmp_path: Path) -> None:
    path = tmp_path / "out.csv.journal"
    with Journal(path), pytest.raises(ArgumentError, match="Another run"):
        Journal(path)
    path.write_bytes(b"something else" * 100)
    with pytest.raises(ArgumentError, match="can't be used"):
        Journal(path)


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


def test_identity_and_key(folder: Path, tmp_path: Path) -> None:
    (task,) = plan(folder / "00.mp4")
    key = settings().key(task.clip)
    assert settings(hop=0.5).key(task.clip) != key
    assert settings(threads=2).key(task.clip) == key
    copy = tmp_path / "copy.mp4"
    shutil.copy(folder / "00.mp4", copy)
    (other,) = plan(copy)
    assert settings().key(other.clip) == key
    assert other.identity != task.identity
    copy.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nI am glad.\n")
    assert settings().key(other.clip) != key  # subtitles beside a file are its words


def opened_for_reading(fifo: Path) -> int | None:
    """The writing end of a FIFO, once somebody reads from it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.05)
    return None
