"""What stands for several clips. Apart from `mmemo.batch.plan`, as the command line asks it of every path."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Literal

from mmemo.reading import address

MANIFESTS = (".jsonl", ".csv")
By = Literal["speaker", "folder", "place"]
"""Whose other clips are a clip's baseline: the manifest's speaker, all of the folder, all of the batch."""


def is_many(source: str | Path) -> bool:
    """Whether a path stands for clips rather than for one file."""
    path = Path(source)
    pattern = glob.has_magic(str(source)) and not path.exists() and not address(str(source))
    return path.is_dir() or path.suffix.lower() in MANIFESTS or pattern
