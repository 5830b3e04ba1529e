"""MMSA's ``label.csv``: the sentiment of clips of MOSI, MOSEI and CH-SIMS.

Framework: as `mmemo.data.interchange.mmsa_features`. Columns are video_id, clip_id, text, label (from -3 to 3, or -1 to
1 in CH-SIMS), label_T, label_A, label_V (of the words, the sound, the picture alone, in CH-SIMS), annotation (Negative,
Neutral, Positive) and mode (train, valid, test). Clips are ``Raw/<video_id>/<clip_id>.mp4``.

The number becomes ``valence``, the annotation the label, and the video the ``dialogue``: clips of a video must be in
one split.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmemo.data.interchange.cells import to_manifest
from mmemo.data.interchange.mmsa_features import SPLITS
from mmemo.data.manifest import Manifest
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError
from mmemo.files import replacing_file
from mmemo.labels import SENTIMENT3
from mmemo.speech.transcript import files_read

COLUMNS = ("video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode")
_NEEDED = ("video_id", "clip_id", "text", "label", "mode")
_BY_MODALITY = ("label_T", "label_A", "label_V")


def read_mmsa_labels(path: str | Path, *, media: str | Path | None = None, check_media: bool = True) -> Manifest:
    """Read ``label.csv``.

    Args:
        media: folder of the clips; ``Raw`` beside the file by default.
        check_media: whether every clip must be there; if not, those that are not are clips of text.

    Raises:
        ManifestError: with every fault and its line.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, read_mmsa_labels, write_mmsa_labels
        >>> from mmemo.labels import SENTIMENT3
        >>> clip = Clip(text="Great!", id="a", label="positive", valence=2.0, dialogue="video", turn=1, split="test")
        >>> path = write_mmsa_labels(Manifest([clip], SENTIMENT3), "label.csv")
        >>> read_mmsa_labels(path, check_media=False)[0].label
        'positive'
    """
    path = Path(path)
    folder = Path(media) if media is not None else path.parent / "Raw"
    faults: list[str] = []
    rows = [*_rows(path, folder.absolute(), check_media, faults)]
    if faults:
        raise ManifestError(path, faults)
    return to_manifest(rows, path, labels=SENTIMENT3)


def _rows(path: Path, folder: Path, check_media: bool, faults: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in read_rows(path, _NEEDED, delimiter=","):
        video, clip = row["video_id"], row["clip_id"]
        file = folder / video / f"{clip}.mp4"
        there = os.path.isfile(file)
        if check_media and not there:
            faults.append(f"line {row.line}: {file} does not exist; say where clips are with media=…")
        try:
            valence, split = row.number("label"), SPLITS[row.one_of("mode", SPLITS)]
        except ValueError as error:
            faults.append(str(error))
            continue
        annotation = row.cells.get("annotation", "").lower()
        yield (
            f"line {row.line}",
            {
                "id": f"{video}$_${clip}",
                "path": str(file) if there else None,
                "transcript": row["text"],
                "label": annotation if annotation in SENTIMENT3.labels else _label(valence),
                "valence": valence,
                "dialogue": video,
                "split": split,
                "extra.clip_id": clip,
                **{f"extra.{column}": row.cells.get(column) for column in _BY_MODALITY},
            },
        )


def _label(valence: float) -> str:
    """The label by the sign of the sentiment."""
    return SENTIMENT3[1 + (valence > 0) - (valence < 0)]


def write_mmsa_labels(manifest: Manifest, path: str | Path) -> Path:
    """Write ``label.csv``. The media stay where they are; MMSA wants them as ``Raw/<video_id>/<clip_id>.mp4``.

    A clip's video is its ``dialogue``; its number there is ``extra["clip_id"]``, or else its ``turn``.

    Raises:
        ManifestError: with every clip that lacks what MMSA needs: dialogue, number, words, valence, split.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, write_mmsa_labels
        >>> from mmemo.labels import SENTIMENT3
        >>> clip = Clip(text="Great!", id="a", label="positive", valence=2.0, dialogue="video", turn=1, split="test")
        >>> print(write_mmsa_labels(Manifest([clip], SENTIMENT3), "label.csv").read_text())
        video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode
        video,1,Great!,2.0,,,,Positive,test
    """
    faults, rows = [], []
    names = {split: name for name, split in SPLITS.items()}
    for clip in manifest:
        number = clip.extra.get("clip_id") or (None if clip.turn is None else str(clip.turn))
        needed = {
            "dialogue": clip.dialogue,
            "turn": number,
            "text": clip.text,
            "valence": clip.valence,
            "split": names.get(clip.split or ""),
        }
        missing = [name for name, value in needed.items() if value is None]
        if missing or clip.valence is None:
            faults.append(f"clip {clip.id!r} has no {', '.join(missing)}")
            continue
        annotation = clip.label or _label(clip.valence)
        rows.append(
            {
                "video_id": clip.dialogue,
                "clip_id": number,
                "text": clip.text,
                "label": repr(clip.valence),
                **{column: clip.extra.get(column, "") for column in _BY_MODALITY},
                "annotation": annotation.capitalize(),
                "mode": needed["split"],
            }
        )
    if faults:
        raise ManifestError("The manifest", faults)
    path = Path(path)
    with replacing_file(path, files_read(manifest)) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
