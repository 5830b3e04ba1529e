"""What a batch survives without losing or changing a row: kills, full disks, odd files, rivals, upgrades, Ctrl-C."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import mmemo
from mmemo import analyze_many
from mmemo.batch.analyze_many import BatchProgress, journal_of
from mmemo.batch.journal import Journal
from mmemo.batch.result import Batch
from mmemo.batch.row import Row
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.errors import ArgumentError
from mmemo.labels import EKMAN7
from mmemo.samples import make_clip
from tests.processes import INTERRUPTED, children, in_foreground, interrupt

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]
CLIPS = 60
MANY = 300


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of texts: a clip takes some milliseconds."""
    texts = ("I am so happy", "I am so sad", "How disgusting", "What a surprise")
    lines = [f"{texts[number % 4]}, {number} times!" for number in range(CLIPS)]
    clips = [Clip(text=text, id=str(number), language="en") for number, text in enumerate(lines)]
    return Manifest(clips, EKMAN7).write(tmp_path_factory.mktemp("words") / "clips.jsonl")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many that they are not all done before somebody acts."""
    clips = [Clip(text=f"I am so happy, {number} times!", id=str(number)) for number in range(MANY)]
    return Manifest(clips, EKMAN7).write(tmp_path_factory.mktemp("many") / "clips.jsonl")


@pytest.fixture(scope="module")
def undisturbed(words: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("undisturbed") / "out.csv"
    analyze_many(words, out, modalities=["text"], workers=1)
    return out.read_text()


def begin(words: Path, out: Path, *options: str, **how: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mmemo", "analyze", str(words), "--out", str(out), "--modalities", "text"]
    given: dict[str, object] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, "--workers", "2", *options], **given | how)  # type: ignore[call-overload, no-any-return]


def test_ten_rounds_of_random_kills_change_nothing(words: Path, undisturbed: str, tmp_path: Path) -> None:
    chance, out, workers = random.Random(13), tmp_path / "out.csv", set[int]()
    for _ in range(10):
        running = begin(words, out)
        end = time.monotonic() + chance.uniform(0.2, 2.0)
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.05, 0.5))
            for worker in children(running.pid):
                workers.add(worker)
                if chance.random() < 0.3:
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
        assert running.poll() in (None, 0)  # a killed worker ends no batch
        running.kill()
        running.communicate()
    assert begin(words, out, "--workers", "2").communicate()[1] == ""
    assert out.read_text() == undisturbed
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "out.csv.journal"]
    while any(Path(f"/proc/{worker}").exists() for worker in workers):  # those of a killed batch end by themselves
        time.sleep(0.1)


def test_ctrl_c_ends_at_once_and_the_next_run_goes_on(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    running = begin(many, out, start_new_session=True, preexec_fn=in_foreground)
    while not journal_of(out).exists() or journal_of(out).stat().st_size < 20_000:
        assert running.poll() is None
        time.sleep(0.005)
    workers = children(running.pid)
    assert interrupt(running) < 2  # seconds of processor time, of a machine that may be slow
    assert running.communicate()[1] == ""
    assert running.returncode in INTERRUPTED
    assert not out.exists()
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    states: list[BatchProgress] = []
    analyze_many(many, out, modalities=["text"], workers=1, progress=states.append)
    kept = states[0].kept
    assert 0 < kept < MANY
    assert [state.done for state in states] == [*range(kept, MANY + 1)]
    analyze_many(many, tmp_path / "undisturbed.csv", modalities=["text"], workers=1)
    assert out.read_text() == (tmp_path / "undisturbed.csv").read_text()


def test_a_second_run_into_the_same_table_is_refused(words: Path, undisturbed: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with Journal(journal_of(out)):  # held by this process, as by a run
        second = begin(words, out)
        assert "Another run is writing to" in second.communicate()[1]
        assert second.returncode == 2
        assert not out.exists()
    assert begin(words, out).communicate()[1] == ""
    assert out.read_text() == undisturbed


def test_a_full_disk_keeps_the_rows_so_far(words: Path, undisturbed: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    full = begin(words, out, preexec_fn=small)
    error = full.communicate()[1]
    assert full.returncode == 2
    assert error.startswith("mmemo: ")
    assert len(error.splitlines()) == 1
    assert "make room" in error
    assert not out.exists()
    states: list[BatchProgress] = []
    analyze_many(words, out, modalities=["text"], workers=1, progress=states.append)
    assert 0 < states[0].kept < CLIPS
    assert out.read_text() == undisturbed


def test_an_upgrade_analyzes_again(words: Path, undisturbed: str, tmp_path: Path) -> None:
    package = tmp_path / "other" / "mmemo"
    package.mkdir(parents=True)
    for file in Path(mmemo.__file__).parent.iterdir():
        (package / file.name).symlink_to(file)
    (package / "__init__.py").unlink()
    source = Path(mmemo.__file__).read_text()
    (package / "__init__.py").write_text(source.replace(mmemo.__version__, "9.9.9"))
    out, env = tmp_path / "out.csv", {**os.environ, "PYTHONPATH": str(package.parent)}
    upgraded = begin(words, out, env=env, cwd=tmp_path)
    assert upgraded.communicate()[1] == ""
    assert out.read_text() == undisturbed
    states: list[BatchProgress] = []
    analyze_many(words, out, modalities=["text"], workers=1, progress=states.append)
    assert states[0].kept == 0
    assert out.read_text() == undisturbed
    analyze_many(words, out, modalities=["text"], workers=1, progress=states.append)
    assert states[-1].kept == CLIPS


def test_a_damaged_row_of_the_journal_is_analyzed_again(words: Path, undisturbed: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    analyze_many(words, out, modalities=["text"], workers=1)
    journal = journal_of(out).read_bytes()
    place = journal.index(b'"scores": {"', 20_000) + 30
    journal_of(out).write_bytes(journal[:place] + b"X" + journal[place + 1 :])
    states: list[BatchProgress] = []
    analyze_many(words, out, modalities=["text"], workers=1, progress=states.append)
    assert states[0].kept == CLIPS - 1
    assert out.read_text() == undisturbed


def test_a_pipe_a_device_and_names_that_are_no_text_are_rows(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    good = make_clip(tmp_path / "good.wav", seconds=1.0, picture=False)
    shutil.copy(good, clips / os.fsdecode(b"caf\xe9.wav"))
    (clips / os.fsdecode(b"caf\xe8.wav")).write_bytes(b"nothing")
    os.mkfifo(clips / "pipe.wav")
    (clips / "zero.wav").symlink_to("/dev/zero")
    (clips / "folder.wav").mkdir()
    batch = analyze_many([clips, clips / "pipe.wav"], tmp_path / "out.csv", modalities=["voice"], workers=1)
    rows = {os.fsencode(Path(str(row.path)).name): row for row in batch.rows}
    assert sorted(rows) == [b"caf\xe8.wav", b"caf\xe9.wav", b"pipe.wav", b"zero.wav"]
    assert [name for name, row in rows.items() if row.error is None] == [b"caf\xe9.wav"]
    for suffix in (".jsonl", ".parquet", ".html"):
        batch.save(tmp_path / f"out{suffix}")
    for suffix in (".csv", ".jsonl", ".html"):
        assert r"caf\udce9.wav" in (tmp_path / f"out{suffix}").read_text(encoding="utf-8").replace("\\\\", "\\")


def test_a_folder_that_can_not_be_written_is_refused_before_the_work(words: Path, tmp_path: Path) -> None:
    for place in (Path("/proc/out.csv"), tmp_path / "none" / "out.csv"):  # in /proc not even root may write
        states: list[BatchProgress] = []
        with pytest.raises(ArgumentError):
            analyze_many(words, place, modalities=["text"], progress=states.append)
        assert states == []


def test_what_a_spreadsheet_takes_for_a_formula_is_escaped(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "x=1"]
    batch = Batch(tuple(Row(path=text, error=text) for text in texts), ("face",))
    table = batch.save(tmp_path / "a.csv").read_bytes().decode()
    assert [line.split(",")[0].strip('"') for line in table.split("\n")[1:8]] == [
        "'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "x=1",
    ]  # fmt: skip
    raw = batch.save(tmp_path / "a.csv", raw_cells=True).read_bytes().decode()
    assert [line.split(",")[0].strip('"') for line in raw.split("\n")[1:8]] == texts
    assert json.loads(batch.save(tmp_path / "a.jsonl").read_text().splitlines()[0])["path"] == "=1+1"


def test_files_that_are_no_media_are_counted(words: Path, tmp_path: Path) -> None:
    for name in ("a.exe", "c.PDF", "README", "d.srt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "a.wav").write_bytes(b"x")
    out = tmp_path / "out.csv"
    analyze_many(tmp_path, out, modalities=["voice"], workers=1)  # its table and journal don't count
    command = [sys.executable, "-m", "mmemo", "analyze", str(tmp_path), "--out", str(out), "--modalities", "voice"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "3 files passed over, no media by their names: 1 without a suffix, 1 .exe, 1 .pdf" in done.stdout
