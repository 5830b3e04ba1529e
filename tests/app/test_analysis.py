"""Analyses of uploads, one after the other in a process of their own: limits, crashes, Stop."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from mmemo.app.analysis import Analyst, StoppedError
from mmemo.app.personal import Personal
from mmemo.app.sessions import Features, ResultStore, StoredResult, Visitor
from mmemo.batch.settings import Settings
from mmemo.errors import ArgumentError, MissingStreamError, TimeLimitError, WorkerError
from mmemo.personal.corrections import Corrections

pytestmark = pytest.mark.slow

A, B = Visitor("browser", "a"), Visitor("browser", "b")


@pytest.fixture
def analyst(tmp_path: Path) -> Iterator[Analyst]:
    (tmp_path / "results").mkdir()
    analyst = Analyst(Settings.of("default", ("face", "text")), ResultStore(tmp_path / "results"), 1_000_000, None)
    yield analyst
    analyst.close()


def running(analyst: Analyst) -> int:
    """The process, once it works."""
    while analyst._process._running is None or not analyst._line:
        time.sleep(0.01)
    return analyst._process._running.pid


def test_errors_come_back_as_they_were(analyst: Analyst, tmp_path: Path, microphone: Path) -> None:
    with pytest.raises(MissingStreamError, match=r"voice\.wav has nothing to analyze"):
        analyst.document(A, microphone, None, ["face"])
    with pytest.raises(ArgumentError, match="not \\['voice'\\]"):
        analyst.document(A, None, "hello", ["voice"])
    with pytest.raises(ArgumentError, match="give a file, or words"):
        analyst.document(A, None, " ")


def test_earlier_clips_and_corrections_reach_the_process(analyst: Analyst, tmp_path: Path) -> None:
    def find(*earlier: Features) -> StoredResult:
        return analyst.find(A, None, "It makes me angry.", None, lambda done, what: None, earlier)

    plain = find()
    relative = find(plain.features, find().features)
    assert [note.code for note in relative.result.notes] == ["baseline"]
    np.testing.assert_allclose(relative.features["text"].scores, plain.features["text"].scores)  # without it
    analyst.personal = Personal("natural", corrections=Corrections(tmp_path / "corrections"))
    for _ in range(3):
        analyst.personal.corrections.add("happiness", plain.result.label, plain.features, analyst.model)
    adapted = find()
    assert [note.code for note in adapted.result.notes] == ["adapted"]
    assert adapted.result.settings is not None
    assert adapted.result.settings.prior == "natural"
    assert adapted.result.scores["happiness"] > plain.result.scores["happiness"]
    assert analyst.document(A, None, "It makes me angry.")["scores"] == adapted.result.to_dict()["scores"]


def test_what_takes_too_long_is_ended_and_the_next_one_served(analyst: Analyst, long: Path) -> None:
    analyst._limit = 3.0
    with pytest.raises(TimeLimitError, match="longer than the limit of 3 s"):
        analyst.document(A, long, None)
    analyst._limit = None  # a machine may be slow
    assert analyst.document(A, None, "I am so happy")["label"] == "happiness"


def test_a_crash_costs_one_upload(analyst: Analyst, picture: Path, tmp_path: Path) -> None:
    upload = Path(shutil.copy(picture, tmp_path))
    with pytest.raises(WorkerError, match="died, with exit status -11"):
        analyst.find(A, upload, None, None, lambda done, what: os.kill(running(analyst), signal.SIGSEGV))
    assert list(analyst.results.root.iterdir()) == []
    assert analyst.document(A, None, "I am so happy")["label"] == "happiness"


def test_stop_ends_what_starts_and_what_waits(analyst: Analyst, long: Path, tmp_path: Path) -> None:
    stopped: list[Visitor] = []

    def work(visitor: Visitor) -> None:
        try:
            analyst.document(visitor, long, None)
        except StoppedError:
            stopped.append(visitor)

    threads = {visitor: Thread(target=work, args=(visitor,)) for visitor in (A, B)}
    threads[A].start()
    running(analyst)
    threads[B].start()
    while len(analyst._line) < 2:
        time.sleep(0.01)
    for visitor in (B, A):
        analyst.stop(visitor)
        threads[visitor].join()
    assert stopped == [B, A]
    assert analyst.document(A, None, "I am so happy")["label"] == "happiness"
