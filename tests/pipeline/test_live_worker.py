from __future__ import annotations

from threading import Event

import pytest

from mmemo.errors import ArgumentError
from mmemo.pipeline.live_worker import STEP, Clock, Worker


def test_of_what_waits_the_oldest_is_dropped() -> None:
    begun, go, done, dropped = Event(), Event(), list[int](), list[int]()

    def work(number: int) -> None:
        begun.set()
        go.wait(20)
        done.append(number)

    worker = Worker("test", work, 2, dropped.append, lambda error: None)
    worker.put(0)
    assert begun.wait(20)
    for number in range(1, 6):
        worker.put(number)
    go.set()
    worker.end(drop=False)
    assert done == [0, 4, 5]
    assert dropped == [1, 2, 3]


def test_an_error_is_handed_on() -> None:
    failed: list[BaseException] = []
    worker = Worker("test", lambda number: 1 // number, 2, lambda number: None, failed.append)
    worker.put(0)
    worker.end(drop=False)
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_times_go_forward_only() -> None:
    clock = Clock()
    assert [clock(time) for time in (5, 5.1, 5.1, 4.6, 5.2)] == [5, 5.1, None, None, 5.2]
    assert not clock.was_set
    assert [clock(time) for time in (1.0, 1.1, 90.0)] == pytest.approx([5.2 + STEP, 5.3 + STEP, 94.2 + STEP])
    assert clock.was_set
    for wrong in (None, "1", float("inf"), True):
        with pytest.raises(ArgumentError, match="time in seconds"):
            clock(wrong)
