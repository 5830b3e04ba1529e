"""Worker processes: one that dies is started again, and what hangs, kills or is slow to start costs no other clip."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from mmemo.batch import process as processes
from mmemo.batch.plan import pack, plan
from mmemo.batch.pool import analyze_in, analyze_locally, worker
from mmemo.batch.process import WorkerProcess
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.errors import TimeLimitError, WorkerError

pytestmark = pytest.mark.slow

WORDS = [Clip(text=f"I am so happy, {number}", id=str(number)) for number in range(3)]


def settings(**changes: object) -> Settings:
    given = {"model": "default", "modalities": ("text",), "device": "cpu", "window": 2.0, "hop": 1.0, "threads": 1}
    return Settings.of(**given | changes)  # type: ignore[arg-type]


def test_a_process_that_dies_is_started_again() -> None:
    process = worker(settings())
    try:
        key, row = analyze_in(process, WORDS[0], None)
        assert process._running is not None
        first = process._running.pid
        os.kill(first, signal.SIGKILL)
        assert analyze_in(process, WORDS[0], None) == (key, row)
        assert process._running.pid != first
    finally:
        process.close()
    with pytest.raises(WorkerError, match="closed"):
        analyze_in(process, WORDS[0], None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PAUSE", 0.01)


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: str) -> str:
    """A worker's module that does something before it serves."""
    code = f"import os, time\nfrom pathlib import Path\n{before}\n"
    serving = "from mmemo.batch.process import serve\nfrom mmemo.batch.worker import prepare\nserve(prepare)\n"
    (folder / f"{name}.py").write_text(code + serving)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *sys.path]))
    return name


@pytest.mark.usefixtures("impatient")
def test_a_process_that_is_killed_while_it_starts_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = tmp_path / "tries"
    dying = f"with open({str(tries)!r}, 'a') as file:\n    file.write('x')\n    n = file.tell()\n"
    name = module(tmp_path, monkeypatch, "dying", dying + "if n < 3:\n    os.kill(os.getpid(), 9)")
    process = WorkerProcess(name, settings())
    assert analyze_in(process, WORDS[0], None)[1].label == "happiness"
    process.close()
    assert tries.read_text() == "xxx"
    name = module(tmp_path, monkeypatch, "dead", dying + "raise SystemExit('no room')")
    with pytest.raises(WorkerError, match=r"died 4 times, with exit status 1 \(no room\)"):
        analyze_in(WorkerProcess(name, settings()), WORDS[0], None)
    assert tries.read_text() == "x" * 7


@pytest.mark.usefixtures("impatient")
def test_where_one_process_can_not_be_started_another_does_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = f"try:\n    os.mkdir({str(tmp_path / 'taken')!r})\nexcept FileExistsError:\n    raise SystemExit('no room')"
    name = module(tmp_path, monkeypatch, "alone", first)
    monkeypatch.setattr("mmemo.batch.pool.worker", lambda given: WorkerProcess(name, given))
    tasks = plan(WORDS).tasks
    rows = {task.clip.id: row for task, _, row in analyze_locally(tasks, settings(), 3, None)}
    assert {row.label for row in rows.values()} == {"happiness"}
    assert sorted(rows) == ["0", "1", "2"]
    with pytest.raises(WorkerError, match="no room"):  # and where none can, the batch ends
        list(analyze_locally(tasks, settings(), 3, None))


def test_a_clip_that_takes_too_long_is_a_row_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "from mmemo.pipeline.analyzer import Analyzer\nwork = Analyzer.__call__\n" + (
        "def stuck(self, clip):\n    if clip.id == '1': time.sleep(1000)\n    return work(self, clip)\n"
        "Analyzer.__call__ = stuck"
    )
    process = WorkerProcess(module(tmp_path, monkeypatch, "stuck", slow), settings())
    assert analyze_in(process, WORDS[0], 60)[1].error is None
    key, row = analyze_in(process, WORDS[1], 0.2)
    assert key == ""
    assert row.error == "TimeLimitError: It took longer than the limit of 0.2 s for a clip, and was ended."
    assert analyze_in(process, WORDS[2], 60)[1].error is None
    with pytest.raises(TimeLimitError):
        process.request(pack(WORDS[1]), 0.2)
    process.close()


def test_a_clip_whose_process_dies_twice_is_a_row_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = (
        "from mmemo.pipeline.analyzer import Analyzer\nAnalyzer.__call__ = lambda self, clip: os.kill(os.getpid(), 9)"
    )
    process = WorkerProcess(module(tmp_path, monkeypatch, "deadly", deadly), settings())
    key, row = analyze_in(process, WORDS[0], None)
    process.close()
    assert key == ""
    assert row.error == "WorkerError: The process that analyzed it died 2 times, with exit status -9."


def test_another_thread_can_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"
    slow = "from mmemo.pipeline.analyzer import Analyzer\n" + (
        f"def stuck(self, clip):\n    Path({str(started)!r}).touch()\n    time.sleep(1000)\nAnalyzer.__call__ = stuck"
    )
    process, raised = WorkerProcess(module(tmp_path, monkeypatch, "stuck", slow), settings()), []

    def work() -> None:
        try:
            process.request(pack(WORDS[0]))
        except processes.DiedError as error:
            raised.append(str(error))

    thread = Thread(target=work)
    thread.start()
    while not started.exists():
        time.sleep(0.01)
    process.interrupt()
    thread.join()
    process.close()
    assert raised == ["with exit status -9"]
