"""Files and folders that mmemo writes: whole or not at all, and never in place of what it read or did not write.

A finished folder holds `MARK`, the list of what mmemo wrote into it, and so does every folder in it. Only a folder that
holds nothing else, all of it unchanged, is replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmemo.errors import ArgumentError
from mmemo.reading import open_plain, parse_json, read_bytes, reason

CONFIG, TENSORS = "config.json", "model.safetensors"
"""The two files of a checkpoint; see `mmemo.checkpoint`."""
GRAPH, GRAPH_INT8 = GRAPHS = ("model.onnx", "model.int8.onnx")
"""Its graphs for ONNX Runtime: in float32, and with the products of matrices in int8."""
MARK = ".written_by_mmemo.json"
WEIGHTS, FIGURES = "weights", "figures"
"""Kinds of folders."""
_SHOWN = 3


def check_file(path: str | Path, inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse a path that no file may be written to; to be called before the work, which may take hours.

    Args:
        inputs: files and folders that are read. None of them is overwritten, nor what is in such a folder; links, hard
            ones too, are seen through. None stands for no file.

    Raises:
        ArgumentError: if the folder does not exist, the path is a folder, or it is an input.
    """
    path = Path(path)
    target = _target(path)
    if not target.parent.is_dir():
        folder = target.parent if path.is_symlink() else path.parent
        raise ArgumentError(f"There is no folder {folder} to write {path.name} into. Create it first.")
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "no plain file"
        raise ArgumentError(f"{path} is {kind}: name a file.")
    if not os.access(target.parent, os.W_OK):
        raise ArgumentError(f"No file may be written into {path.parent}: change its permissions, or name another one.")
    _check_inputs(path, target, inputs)


def check_json(path: str | Path, inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse a path that no JSON document may be written to; see `check_file`.

    Raises:
        ArgumentError: see `check_file`; and if the name does not end in ``.json``, as a slip could cost another file.
    """
    if Path(path).suffix.lower() != ".json":
        raise ArgumentError(f"{path} is to be a JSON document: give it a name that ends in .json.")
    check_file(path, inputs)


def check_folder(folder: str | Path, inputs: Iterable[str | Path | None] = (), kind: str = WEIGHTS) -> None:
    """Refuse a folder that may not be replaced; to be called before the work, which may take hours.

    Args:
        kind: of what is to be written; a folder of another kind is not replaced.
        inputs: files and folders that are read; the folder must be none of them, nor hold one.

    Raises:
        ArgumentError: if it is a file, a link, the working or home directory, above either, an input or above one, or
            holds anything that mmemo did not write or that was changed since.
    """
    folder = Path(folder)
    target = _target(folder)
    if folder.is_symlink():
        raise ArgumentError(f"{folder} is a link to {folder.readlink()}: name the folder itself, or another one.")
    file = next((above for above in (target, *target.parents) if above.exists() and not above.is_dir()), None)
    if file is not None:
        raise ArgumentError(f"{folder} is to be a folder, and {file} is a file: name another folder.")
    for place, what in ((os.getcwd(), "working"), (os.path.expanduser("~"), "home")):
        if _target(place).is_relative_to(target):
            raise ArgumentError(
                f"{folder} is the {what} directory or holds it, so it is not replaced: name a folder of its own."
            )
    _check_inputs(folder, target, inputs)
    _check_written_by_mmemo(target, folder, kind)


@contextmanager
def replacing_file(path: str | Path, inputs: Iterable[str | Path | None] = ()) -> Iterator[Path]:
    """A temporary file that takes the place of ``path`` at the end; a failure leaves the old one, or none.

    Through a link the file behind it is written.

    Args:
        inputs: see `check_file`.

    Raises:
        ArgumentError: see `check_file`; and if the file can't be written, or a text can't be in UTF-8.
    """
    check_file(path, inputs)
    target = _target(path)
    partial = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise ArgumentError(f"{path} can't be written: {error.strerror or error}.") from None
    except UnicodeEncodeError as error:
        near = error.object[max(0, error.start - 20) : error.end + 20]
        raise ArgumentError(
            f"{path} can't be written: {near!r} is no valid Unicode; rename a file whose name is not."
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def replacing(folder: str | Path, inputs: Iterable[str | Path | None] = (), kind: str = WEIGHTS) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` at the end; a failure leaves the old one, or none.

    Args:
        inputs, kind: see `check_folder`.

    Raises:
        ArgumentError: see `check_folder`, which is called before and after the work; and if it can't be written.
    """
    folder, inputs = Path(folder), list(inputs)
    check_folder(folder, inputs, kind)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ArgumentError(f"{folder} can't be written: {error.strerror or error}.") from None
    partial = workshop / "new"
    try:
        partial.mkdir()
        yield partial
        _mark(partial, kind)
        check_folder(folder, inputs, kind)
        _swap(partial, folder, workshop / "old", kind)
    except OSError as error:
        raise ArgumentError(f"{folder} can't be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if not (workshop / "old").exists():  # else it could be neither replaced nor put back
            shutil.rmtree(workshop, ignore_errors=True)


def make_folder(folder: str | Path) -> Path:
    """The folder, made if it is not there; what it holds stays.

    Raises:
        ArgumentError: if a file is in its place, or it can't be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"The folder {folder} can't be made: {error.strerror or error}.") from None
    return Path(folder)


def _target(path: str | Path) -> Path:
    """The path without links.

    Raises:
        ArgumentError: if there can be no such path.
    """
    try:
        target = Path(os.path.realpath(path))
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            target.lstat()
    except (OSError, ValueError) as error:  # too long, or with a zero byte
        raise ArgumentError(f"There can be no file {str(path)[:100]!r}: {reason(error)}.") from None
    return target


def _check_inputs(path: Path, target: Path, inputs: Iterable[str | Path | None]) -> None:
    there = target.exists()
    for given in inputs:
        if given is None:
            continue
        source = _target(given)
        if source == target or (there and source.exists() and os.path.samefile(source, target)):
            name = "" if str(given) == str(path) else f" as {given}"
            raise ArgumentError(f"{path} is read{name}: it would be overwritten. Name another place to write to.")
        if source.is_relative_to(target):
            raise ArgumentError(f"{path} holds {given}, which is read: name a folder of its own.")
        if there and target.is_relative_to(source):
            raise ArgumentError(f"{path} is in {given}, which is read: it would be overwritten. Name another place.")


def _check_written_by_mmemo(target: Path, shown: Path, kind: str) -> None:
    """Refuse a folder, at ``target`` and called ``shown``, that holds what mmemo did not write, or another kind."""
    if not target.is_dir():
        return
    try:
        foreign = [str(path.relative_to(target)) for path in _foreign(target)]
    except OSError as error:
        raise ArgumentError(f"{shown} can't be read, so it is not replaced: {error.strerror or error}.") from None
    if foreign:
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise ArgumentError(
            f"{shown} holds {', '.join(foreign[:_SHOWN])}{more}, not written by mmemo or changed since, so it is not "
            "replaced: name another folder, or move that away."
        )
    written = _mark_of(target).get("kind", WEIGHTS)
    if written != kind and any(target.iterdir()):
        raise ArgumentError(f"{shown} holds {written}, which {kind} do not replace: name another folder.")


def _foreign(folder: Path) -> Iterator[Path]:
    """What mmemo did not write, or what was changed since, in a folder and all below it."""
    written = _written(folder)
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name not in written:
            if path.name != MARK or path.is_symlink():
                yield path
        elif path.is_dir():
            yield from _foreign(path) if written[path.name] is None else (path,)
        elif written[path.name] != hash_file(path):
            yield path


def _written(folder: Path) -> dict[str, str | None]:
    """SHA-256 of each file that mmemo wrote into a folder; None for a folder within.

    A model may have been written before folders had a mark, and those within the package have none: what is exactly a
    checkpoint, or exactly a folder of them with the fusion head, is known by that.
    """
    marked = _mark_of(folder).get("files")
    if isinstance(marked, dict):
        return marked
    try:
        config = parse_json(read_bytes(folder / CONFIG))
        if isinstance(config["format"], int) and config["sha256"] == hash_file(folder / TENSORS):
            return {CONFIG: hash_file(folder / CONFIG), TENSORS: config["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {path.name: None for path in folder.iterdir() if path.is_dir()} if _written_head(folder) else {}


def _written_head(folder: Path) -> bool:
    head = folder / "fusion"
    return head.is_dir() and CONFIG in _written(head)


def _mark_of(folder: Path) -> dict[str, Any]:
    try:
        mark = parse_json(read_bytes(folder / MARK))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def _mark(folder: Path, kind: str) -> None:
    """List what was written, in this folder and in each within."""
    files: dict[str, str | None] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            _mark(path, kind)
        if path.name != MARK:
            files[path.name] = None if path.is_dir() else hash_file(path)
    text = json.dumps({"format": 1, "kind": kind, "files": files}, indent=2, ensure_ascii=False)
    (folder / MARK).write_text(text + "\n", encoding="utf-8")


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        OSError: if it is no plain file, or can't be read.
    """
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _swap(new: Path, folder: Path, old: Path, kind: str) -> None:
    """Put ``new`` in the place of ``folder``; nothing is removed before that is done."""
    try:
        if folder.exists():
            folder.rename(old)
            try:
                _check_written_by_mmemo(old, folder, kind)  # somebody may have put a file in until it was moved
                new.rename(folder)
            except BaseException:
                old.rename(folder)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            new.rename(folder)
    except OSError as error:
        kept = f" What it held is in {old}." if old.exists() else ""
        raise ArgumentError(f"{folder} can't be written: {error.strerror or error}.{kept}") from None
