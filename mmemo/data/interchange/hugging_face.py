"""Manifests as data sets of Hugging Face's ``datasets``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.data.columns import NUMBERS
from mmemo.data.interchange.cells import to_cells, to_manifest
from mmemo.data.manifest import Manifest
from mmemo.errors import MissingExtraError
from mmemo.labels import LABEL_SETS, LabelSet

if TYPE_CHECKING:
    from datasets import Dataset


def to_dataset(manifest: Manifest) -> Dataset:
    """A row for each clip, in order; ``label`` is a ``ClassLabel`` with the names and the order of the label set.

    Files stay files: ``path`` is text. To decode it, ``dataset.cast_column("path", datasets.Audio())``.

    Raises:
        MissingExtraError: if ``datasets`` is not installed.
    """
    datasets = _package()
    rows = [to_cells(clip) for clip in manifest]
    columns = {"id": None} | dict.fromkeys(column for row in rows for column in row)
    kinds: dict[str, Any] = {column: datasets.Value(_kind(column)) for column in columns}
    if "label" in kinds:
        kinds["label"] = datasets.ClassLabel(names=list(manifest.labels))
    values = {column: [row.get(column) for row in rows] for column in columns}
    return datasets.Dataset.from_dict(values, features=datasets.Features(kinds))


def from_dataset(dataset: Dataset, labels: LabelSet | None = None, *, root: str | Path | None = None) -> Manifest:
    """A clip for each row. A ``ClassLabel`` gives the label set; columns that manifests don't have become ``extra``.

    Args:
        labels: the classes there can be, if the column ``label`` is text.
        root: folder that paths are relative to; the working folder by default.

    Raises:
        ManifestError: with every fault, by the row's number from 0.
    """
    names = getattr(dataset.features.get("label"), "names", None)
    if names is not None and labels is None:
        known = (label_set for label_set in LABEL_SETS.values() if label_set.labels == tuple(names))
        labels = next(known, None) or LabelSet("dataset", tuple(names))

    def named(row: dict[str, Any]) -> dict[str, Any]:
        if names is None or row["label"] is None or row["label"] < 0:  # -1 is how a test set hides its labels
            return {**row, "label": row.get("label") if names is None else None}
        return {**row, "label": names[row["label"]]}

    rows = ((f"row {number}", named(row)) for number, row in enumerate(dataset))
    return to_manifest(rows, "The data set", labels=labels, root=root)


def _kind(column: str) -> str:
    if column in NUMBERS:
        return "float64"
    return "int64" if column == "turn" else "string"


def _package() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("A data set of Hugging Face", "interchange") from None
    return datasets
