"""Worker processes on this machine: each has one clip at a time, and is started again when it dies."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from queue import SimpleQueue
from threading import Thread

from mmemo.batch.plan import Task, pack
from mmemo.batch.process import DiedError, WorkerProcess
from mmemo.batch.row import Row
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.errors import TimeLimitError, WorkerError
from mmemo.evidence import Seconds

CompletedTask = tuple[Task, str, Row]
"""A task, the key of its clip and its row."""

TRIES = 2
"""Attempts at a clip whose process dies: the system may have killed it for the memory of another."""


def worker(settings: Settings) -> WorkerProcess:
    """A process that analyzes clips."""
    return WorkerProcess("mmemo.batch.worker", settings)


def analyze_in(process: WorkerProcess, clip: Clip, limit: Seconds | None) -> tuple[str, Row]:
    """A clip's key and its row. If the process dies of it twice, or it takes too long, the row says so.

    Raises:
        WorkerError: if the process can't be started, or was closed.
    """
    died: BaseException | None = None
    for _ in range(TRIES):
        try:
            reply = process.request(pack(clip), limit)
        except TimeLimitError as error:
            return "", Row.failed(error)
        except DiedError as error:
            died = error
        else:
            return reply["key"], Row.from_json(reply["row"])
    return "", Row.failed(WorkerError(f"The process that analyzed it died {TRIES} times, {died}."))


def analyze_locally(
    tasks: Sequence[Task], settings: Settings, workers: int, limit: Seconds | None
) -> Generator[CompletedTask, None, None]:
    """Analyze tasks in some processes; rows come as they are completed, in any order.

    Where a process can't be started, such as for want of memory, the others do its work.

    Args:
        limit: seconds that a clip may take; None for no limit.

    Raises:
        WorkerError: if no process can be started any more.
    """
    waiting = deque(tasks)
    done: SimpleQueue[CompletedTask | BaseException | None] = SimpleQueue()
    processes = [worker(settings) for _ in range(min(workers, len(tasks)))]
    threads = [Thread(target=_work, args=(process, waiting, done, limit), daemon=True) for process in processes]
    left, working, failure = len(tasks), len(threads), None
    try:
        for thread in threads:
            thread.start()
        while left:
            completed = done.get()
            if isinstance(completed, tuple):
                yield completed
                left -= 1
                continue
            working -= 1
            failure = completed or failure
            if failure is not None and (not working or not isinstance(failure, WorkerError)):
                raise failure
    finally:
        waiting.clear()
        for process in processes:
            process.close()
        for thread in threads:
            thread.join()


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _work(
    process: WorkerProcess,
    waiting: deque[Task],
    done: SimpleQueue[CompletedTask | BaseException | None],
    limit: Seconds | None,
) -> None:
    """Analyze tasks until none waits; what ends the work, if anything, comes last."""
    task: Task | None = None
    try:
        while waiting:
            try:
                task = waiting.popleft()
            except IndexError:  # another one was quicker
                break
            done.put((task, *analyze_in(process, task.clip, limit)))
            task = None
        process.close()  # its memory serves the others
        done.put(None)
    except BaseException as error:
        if task is not None:
            waiting.appendleft(task)
        done.put(error)
