"""What every reader must do with every input: raise an error of mmemo or none, and come to an end."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mmemo.errors import MmemoError

from .inputs import Check

BUDGET = 20.0
"""Seconds of processor time for one input; the largest take one."""
MEMORY = 1.5
"""GB that all inputs of a test may add to the most that the process has ever held."""


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory, same_inputs: None) -> Iterator[Check]:
    """Writes an input into a new file, calls its reader, and lets errors of mmemo pass, but no other."""
    folder, count = tmp_path_factory.mktemp("fuzz"), 0
    before = _peak()

    def check(read: Callable[[Path], Any], name: str, content: bytes) -> None:
        nonlocal count
        count += 1
        file = folder / f"{count}" / name  # a new one each time, as hashes of files are kept
        file.parent.mkdir()
        file.write_bytes(content)
        started = time.process_time()
        with suppress(MmemoError):
            read(file)
        spent = time.process_time() - started
        assert spent < BUDGET, f"{spent:.0f} s of processor time"
        file.unlink()

    yield check
    assert _peak() - before < MEMORY, f"{_peak() - before:.1f} GB"


def _peak() -> float:
    """GB of memory that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
