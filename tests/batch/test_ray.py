"""The same work on a real Ray cluster of two workers, one of which is killed midway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmemo import analyze_many
from mmemo.batch.row import Row
from mmemo.errors import ArgumentError

pytestmark = pytest.mark.slow

pytest.importorskip("ray")
SCRIPT = Path(__file__).parent / "ray_cluster.py"
ROOT = Path(__file__).parent.parent.parent


def test_a_killed_worker_loses_nothing_and_doubles_nothing(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(tmp_path / "out.jsonl")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "REPORT " in done.stdout, done.stderr
    told = json.loads(done.stdout.partition("REPORT ")[2].splitlines()[0])
    assert told["busy_at_death"] == 2
    assert told["alive"] == 1
    assert told["done"] == list(range(14))
    here = analyze_many(folder, modalities=("voice",), workers=1).rows
    assert [Row.from_json(row) for row in told["rows"]] == list(here)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 13


def test_no_cluster_is_told(folder: Path) -> None:
    for address in ("127.0.0.1:1", "somewhere"):
        with pytest.raises(ArgumentError, match="There is no Ray cluster"):
            analyze_many(folder, modalities=("voice",), ray=address)
