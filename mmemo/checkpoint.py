"""Weights on disk: a folder of ``config.json`` and ``model.safetensors``. No pickle, checked before use.

Beside them may lie graphs, ``model.onnx`` and ``model.int8.onnx``: the same network for ONNX Runtime. They hold no
weights, but the places of the weights in ``model.safetensors`` (ONNX's external data).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from mmemo.errors import UnknownModelError, WeightsError
from mmemo.files import CONFIG, GRAPHS, MARK, TENSORS, replacing
from mmemo.reading import open_input, parse_json, read_bytes, reason

FORMAT = 1
_FORMER_KINDS = {"mmemo.encoders.voice": "voice-encoder"}
"""Kinds that files of the first version have, and their name today."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder of weights, whose files were checked.

    Attributes:
        folder: where it is.
        config: the settings, from JSON.
        sha256: of the file of arrays.
    """

    folder: Path
    config: dict[str, Any]
    sha256: str

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays by name, as they are stored: they are read at each call."""
        try:
            return load_file(self.folder / TENSORS)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(f"{self.folder / TENSORS} can't be read: {error}. Fetch or train it again.") from None

    def floats(self) -> dict[str, np.ndarray]:
        """The arrays by name with every fraction in float32; those stored in int8 are multiplied by their scales."""
        stored = self.tensors
        scales = {scale_name(name) for name, array in stored.items() if array.dtype == np.int8}
        return {name: _float(name, array, stored) for name, array in stored.items() if name not in scales}

    def graph(self, name: str) -> Path | None:
        """The file of a graph (`mmemo.files.GRAPHS`); None if the folder has none of that name."""
        return self.folder / name if name in self.config.get("graphs", {}) else None


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
    with replacing(folder) as partial:
        for name, content in checkpoint_files(config, tensors, files or {}).items():
            (partial / name).parent.mkdir(exist_ok=True)
            (partial / name).write_bytes(content)
    return Path(folder)


def checkpoint_files(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The content of each file of a checkpoint, by its name in the folder."""
    data = tensors_file(tensors)
    settings = {"format": FORMAT, **config, "sha256": hashlib.sha256(data).hexdigest()}
    settings.pop("graphs", None)
    if graphs := {name: hashlib.sha256(files[name]).hexdigest() for name in GRAPHS if name in files}:
        settings["graphs"] = graphs
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    return {TENSORS: data, CONFIG: text.encode(), **files}


def tensors_file(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of ``model.safetensors``."""
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def to_int8(name: str, array: np.ndarray, largest: int = 127) -> dict[str, np.ndarray]:
    """A matrix (N, K) in int8 and its scales (N, 1) float32, by their names.

    Args:
        largest: integer that stands for the largest value of each row.
    """
    scale = np.maximum(np.abs(array).max(axis=1, keepdims=True) / largest, 1e-12).astype(np.float32)
    return {name: np.rint(array / scale).astype(np.int8), scale_name(name): scale}


def scale_name(name: str) -> str:
    """The name of the scales of a matrix that is stored in int8: "words.scale" of "words.weight"."""
    return name.removesuffix("weight") + "scale"


def _float(name: str, array: np.ndarray, stored: Mapping[str, np.ndarray]) -> np.ndarray:
    if array.dtype == np.int8:
        return np.asarray(array.astype(np.float32) * stored[scale_name(name)])
    return array.astype(np.float32) if array.dtype == np.float16 else array


def checkpoint_kind(folder: str | Path) -> str | None:
    """The kind of checkpoint in a folder; None if it holds none of ours, is damaged, or is not there."""
    try:
        config = parse_json(read_bytes(Path(folder).expanduser() / CONFIG))
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
        config = parse_json(read_bytes(folder / CONFIG))
    except OSError as error:
        raise WeightsError(f"{folder / CONFIG} can't be read: {reason(error)}.") from None
    except ValueError as error:
        raise WeightsError(f"{folder / CONFIG} is not valid JSON ({error}). Fetch or train the model again.") from None
    got = kind_of(config) if isinstance(config, dict) else None
    if got != kind:
        raise WeightsError(f"{folder} holds {got!r} weights, expected {kind!r}.")
    written = config.get("format", 0)
    if not isinstance(written, int):
        raise WeightsError(f"{folder / CONFIG} is damaged: its format is no number. Fetch or train the model again.")
    if written > FORMAT:
        raise WeightsError(
            f"{folder} was written by a newer mmemo (format {written}, this one reads up to {FORMAT}). "
            "Upgrade with: pip install -U mmemo"
        )
    graphs = config.get("graphs", {})
    if not isinstance(graphs, dict):
        raise WeightsError(f"{folder / CONFIG} is damaged: its graphs are no table. Fetch or train the model again.")
    expected = {TENSORS: config.get("sha256"), **graphs}
    for name, digest in expected.items():
        if name not in (TENSORS, *GRAPHS) or digest is None or _sha256_or_none(folder / name) != digest:
            raise WeightsError(f"{folder / name} is damaged: its SHA-256 is not the one in {CONFIG}. Fetch it again.")
    return Checkpoint(folder, config, str(expected[TENSORS]))


def _sha256_or_none(file: Path) -> str | None:
    """SHA-256 of a file, None if there is none. A pointer of Git LFS in its place is refused as what it is."""
    try:
        open_input(file).close()
        return sha256_of(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WeightsError(f"{file} can't be read: {reason(error)}.") from None


def tensors_sha256(folder: str | Path) -> str:
    """SHA-256 of the ``.safetensors`` file of a folder, as ``sha256sum`` prints it; of several, over their hashes.

    In the order of their names; without any such file, of all files.
    """
    files = sorted(file for file in Path(folder).rglob("*") if file.is_file() and file.name != MARK)
    chosen = [file for file in files if file.suffix == ".safetensors"] or files
    hashes = [sha256_of(file) for file in chosen]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256 of a file; it is read again only if it has changed since."""
    status = file.stat()
    return _sha256(file.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _sha256(file: Path, modified: int, size: int) -> str:
    del modified, size
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
