"""Weights on disk: a folder of ``config.json`` and ``model.safetensors``. No pickle, checked before use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from mmemo.errors import UnknownModelError, WeightsError
from mmemo.files import CONFIG, MARK, TENSORS, replacing

FORMAT = 1
_FORMER_KINDS = {"mmemo.encoders.voice": "voice-encoder"}
"""Kinds that files of the first version have, and their name today."""


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a folder of weights.

    Attributes:
        folder: where it was read.
        config: the settings, from JSON.
        tensors: the arrays by name.
        sha256: of the file of arrays.
    """

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, np.ndarray]
    sha256: str


def save_checkpoint(
    folder: str | Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """Write ``config`` (JSON), ``tensors`` (safetensors) and other ``files`` into ``folder``, all of it or nothing.

    Raises:
        ArgumentError: if the folder is there and may not be replaced; see `mmemo.files.check_folder`.
    """
    data = save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
    settings = {"format": FORMAT, **config, "sha256": hashlib.sha256(data).hexdigest()}
    with replacing(folder) as partial:
        (partial / TENSORS).write_bytes(data)
        (partial / CONFIG).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for name, content in (files or {}).items():
            (partial / name).write_bytes(content)
    return Path(folder)


def checkpoint_kind(folder: str | Path) -> str | None:
    """The kind of checkpoint in a folder; None if it holds none of ours, is damaged, or is not there."""
    try:
        config = json.loads((Path(folder).expanduser() / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kind_of(config) if isinstance(config, dict) else None


def kind_of(config: Mapping[str, Any]) -> str | None:
    """The kind of checkpoint that settings belong to; former names are read as today's."""
    kind = config.get("kind")
    return _FORMER_KINDS.get(kind, kind) if isinstance(kind, str) else None


def load_checkpoint(folder: str | Path, kind: str) -> Checkpoint:
    """Read a folder written by `save_checkpoint`.

    Args:
        kind: that the caller can use; the class is chosen by the caller and never by the file.

    Raises:
        UnknownModelError: if there is no such folder, or it holds no checkpoint.
        WeightsError: if the files are damaged, of a newer format, or of another kind.
    """
    folder = Path(folder).expanduser()
    if not (folder / CONFIG).is_file() or not (folder / TENSORS).is_file():
        raise UnknownModelError(f"No checkpoint in {folder}: expected {CONFIG} and {TENSORS} there.")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{folder / CONFIG} is not valid JSON ({error}). Fetch or train the model again.") from None
    got = kind_of(config) if isinstance(config, dict) else None
    if got != kind:
        raise WeightsError(f"{folder} holds {got!r} weights, expected {kind!r}.")
    if config.get("format", 0) > FORMAT:
        raise WeightsError(
            f"{folder} was written by a newer mmemo (format {config['format']}, this one reads up to {FORMAT}). "
            "Upgrade with: pip install -U mmemo"
        )
    data = (folder / TENSORS).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != config.get("sha256"):
        raise WeightsError(f"{folder / TENSORS} is damaged: its SHA-256 is not the one in {CONFIG}. Fetch it again.")
    return Checkpoint(folder, config, load(data), digest)


def tensors_sha256(folder: str | Path) -> str:
    """SHA-256 of the ``.safetensors`` files of a folder, in the order of their names; without any, of all its files.

    Of one such file it is what ``sha256sum`` prints.
    """
    files = sorted(file for file in Path(folder).rglob("*") if file.is_file() and file.name != MARK)
    digest = hashlib.sha256()
    for file in [file for file in files if file.suffix == ".safetensors"] or files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
