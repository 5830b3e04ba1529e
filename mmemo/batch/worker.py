"""The process that analyzes clips for another one: ``python -P -m mmemo.batch.worker``.

Settings and then clips come in as lines of JSON; a key and a row go out for each. A crash in a decoder or a model ends
this process and no other. When nobody holds the other end any more it ends too, in the middle of a clip if need be.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TextIO

from mmemo.batch.plan import unpack
from mmemo.batch.row import Row
from mmemo.batch.settings import Settings
from mmemo.clip import Clip
from mmemo.errors import MmemoError
from mmemo.pipeline.analyzer import Analyzer

log = logging.getLogger(__name__)


def main() -> None:
    """Analyze clips until there are no more."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no reply
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    requests: SimpleQueue[str] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin, requests), daemon=True).start()
    settings = Settings.from_json(requests.get())
    try:
        limit_threads(settings.threads)
        analyzer = settings.analyzer()
        analyzer.model  # noqa: B018 - what can't be loaded is no clip's fault
    except MmemoError as error:
        _send(replies, {"broken": Row.failed(error).error})
        return
    _send(replies, {"ready": True})
    while True:
        clip = unpack(json.loads(requests.get()))
        key, row = analyze(analyzer, settings, clip)
        _send(replies, {"key": key, "row": row.to_json()})


def analyze(analyzer: Analyzer, settings: Settings, clip: Clip) -> tuple[str, Row]:
    """A clip's key and row; an error is kept in the row."""
    key = ""
    with suppress(OSError):  # of a file that can't be read the analysis says more
        key = settings.key(clip)  # before the analysis: if the file changes meanwhile, the row is out of date
    try:
        return key, Row.of(analyzer(clip))
    except MmemoError as error:
        return key, Row.failed(error)
    except Exception as error:  # whatever a decoder or a model comes up with
        log.exception("clip %s", clip.path or clip.id)
        return key, Row.failed(error)


def limit_threads(count: int) -> None:
    """Keep this process's models to some CPU threads, so that several processes don't get in each other's way.

    To be called before any of them is loaded.
    """
    import cv2

    os.environ["OMP_NUM_THREADS"] = str(count)  # ONNX Runtime's threads (`mmemo.onnx_network`), and those of torch
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)
    cv2.setNumThreads(count)


def _listen(source: TextIO, requests: SimpleQueue[str]) -> None:
    for line in source:
        requests.put(line)
    os._exit(0)


def _send(replies: TextIO, values: dict[str, object]) -> None:
    replies.write(json.dumps(values) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
