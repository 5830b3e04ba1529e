"""EmoBox: lists of sound files in JSON Lines, as its benchmark of 32 speech corpora has them.

Paper: Z. Ma et al., "EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark", Interspeech
2024. Lists: https://github.com/emo-box/EmoBox (``data/ased/fold_1/ased_test_fold_1.jsonl``). A line is

    {"key": "ased-a5-06-01-01-21", "dataset": "ased", "wav": "downloads/ased/05Angry/a5-06-01-01-21.wav",
     "type": "raw", "sample_rate": 16000, "num_frame": 32000.0, "task": "category", "length": 2.0, "emo": "a",
     "channel": 1}

with ``start_time`` and ``end_time`` in seconds where a file holds several. Labels are EmoBox' own; its
``label_map.json`` says what they mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmemo.data.interchange.cells import to_manifest
from mmemo.data.manifest import Manifest
from mmemo.data.spreadsheets import read_text_lines
from mmemo.errors import ManifestError, MediaError, shown
from mmemo.files import replacing_file
from mmemo.labels import LabelSet
from mmemo.media import probe
from mmemo.reading import parse_json
from mmemo.speech.transcript import files_read

_NEEDED = ("key", "wav", "emo")
_PART = re.compile(r"_(train|valid|test)_fold_(\d+)$")


def read_emobox(
    path: str | Path,
    labels: LabelSet | None = None,
    *,
    root: str | Path | None = None,
    label_map: Mapping[str, str] | None = None,
    check_media: bool = True,
) -> Manifest:
    """Read a list. A name such as ``ased_test_fold_1.jsonl`` gives the split (valid becomes "val").

    Args:
        labels: the classes there can be; by default the first known set that has all labels of the list.
        root: folder that contains ``downloads``; the working folder by default.
        label_map: what EmoBox' labels mean, as in its ``label_map.json``.
        check_media: whether every file must be there.

    Raises:
        ManifestError: with every fault and its line.

    Examples:
        >>> from pathlib import Path
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, read_emobox, write_emobox
        >>> from mmemo.labels import EKMAN7
        >>> manifest = Manifest([Clip(Path("clip.mp4"), id="a", label="happiness", speaker="x")], EKMAN7)
        >>> read_emobox(write_emobox(manifest, "mine_train_fold_1.jsonl"))[0].split
        'train'
    """
    path = Path(path)
    part = _PART.search(path.stem)
    split = None if part is None else part.group(1).replace("valid", "val")
    faults: list[str] = []
    rows = [*_rows(path, split, label_map, faults)]
    if faults:
        raise ManifestError(path, faults)
    return to_manifest(rows, path, labels=labels, root=root, check_media=check_media)


def _rows(
    path: Path, split: str | None, label_map: Mapping[str, str] | None, faults: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in read_text_lines(path):
        if not line.strip():
            continue
        try:
            values = parse_json(line)
        except ValueError as error:
            faults.append(f"line {number}: not JSON: {error}")
            continue
        if not isinstance(values, dict):
            faults.append(f"line {number}: expected an object, got {shown(values)}")
            continue
        missing = [name for name in _NEEDED if name not in values]
        if missing:
            faults.append(f"line {number}: without {', '.join(missing)}")
        elif label_map is not None and str(values["emo"]) not in label_map:
            faults.append(f"line {number}: label_map does not have {shown(values['emo'])}")
        else:
            yield (
                f"line {number}",
                {
                    "id": values["key"],
                    "corpus": values.get("dataset"),
                    "path": values["wav"],
                    "start": values.get("start_time"),
                    "end": values.get("end_time"),
                    "label": values["emo"] if label_map is None else label_map[str(values["emo"])],
                    "split": split,
                },
            )


def write_emobox(manifest: Manifest, path: str | Path, *, root: str | Path | None = None) -> Path:
    r"""Write a list. Every file is opened, for its rate and length.

    Args:
        root: folder that EmoBox will run in; paths become relative to it. The working folder by default.

    Raises:
        ManifestError: with every clip that has no sound file or no label.

    Examples:
        >>> from pathlib import Path
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, write_emobox
        >>> from mmemo.labels import EKMAN7
        >>> manifest = Manifest([Clip(Path("clip.mp4"), id="a", label="happiness", speaker="x")], EKMAN7)
        >>> write_emobox(manifest, "mine_train_fold_1.jsonl").read_text()
        '{"key": "a", "dataset": "mmemo", "wav": "clip.mp4", "type": "raw", ...}\n'
    """
    path, root = Path(path), Path(root or ".")
    lines, faults = [], []
    for clip in manifest:
        file = clip.audio or clip.path
        if not isinstance(file, Path) or clip.label is None:
            faults.append(f"clip {clip.id!r} has no {'file' if file is None else 'label'}; EmoBox needs both")
            continue
        try:
            info = probe(file)
        except MediaError as error:
            faults.append(f"clip {clip.id!r}: {error}")
            continue
        if info.audio is None:
            faults.append(f"clip {clip.id!r}: {file} has no sound")
            continue
        end = info.duration if clip.end is None else clip.end
        values = {
            "key": clip.id,
            "dataset": clip.corpus or "mmemo",
            "wav": _relative(file, root),
            "type": "raw",
            "sample_rate": info.audio.sample_rate,
            "num_frame": round((end - clip.start) * info.audio.sample_rate),
            "task": "category",
            "length": end - clip.start,
            "emo": clip.label,
            "channel": info.audio.channels,
        }
        if clip.start or clip.end is not None:
            values |= {"start_time": clip.start, "end_time": end}
        lines.append(json.dumps(values, ensure_ascii=False))
    if faults:
        raise ManifestError("The manifest", faults)
    with replacing_file(path, files_read(manifest)) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _relative(file: Path, root: Path) -> str:
    """Below the root where it is there, else as it is."""
    whole, base = file.absolute(), root.absolute()
    return (whole.relative_to(base) if whole.is_relative_to(base) else whole).as_posix()
