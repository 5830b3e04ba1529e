"""Manifests as data sets of Hugging Face's ``datasets``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmemo.data.columns import NUMBERS
from mmemo.data.interchange.cells import to_cells, to_manifest
from mmemo.data.manifest import Manifest
from mmemo.errors import MissingExtraError
from mmemo.labels import LABEL_SETS, LabelSet

if TYPE_CHECKING:
    from datasets import Dataset

_MEDIA = ("Audio", "Image", "Video")


def to_dataset(manifest: Manifest) -> Dataset:
    """A row for each clip, in order; ``label`` is a ``ClassLabel`` with the names and the order of the label set.

    Files stay files: ``path`` is text. To decode it, ``dataset.cast_column("path", datasets.Audio())``.

    Raises:
        MissingExtraError: if ``datasets`` is not installed.

    Examples:
        >>> from pathlib import Path
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, to_dataset
        >>> from mmemo.labels import EKMAN7
        >>> manifest = Manifest([Clip(Path("clip.mp4"), id="a", label="happiness", speaker="x")], EKMAN7)
        >>> to_dataset(manifest).features["label"].int2str(1)
        'happiness'
    """
    datasets = _package()
    rows = [to_cells(clip) for clip in manifest]
    columns = {"id": None} | dict.fromkeys(column for row in rows for column in row)
    kinds: dict[str, Any] = {column: datasets.Value(_kind(column)) for column in columns}
    if "label" in kinds:
        kinds["label"] = datasets.ClassLabel(names=list(manifest.labels))
    values = {column: [row.get(column) for row in rows] for column in columns}
    return datasets.Dataset.from_dict(values, features=datasets.Features(kinds))


def from_dataset(
    dataset: Dataset,
    labels: LabelSet | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    root: str | Path | None = None,
) -> Manifest:
    """A clip for each row. A ``ClassLabel`` gives the label set; columns that manifests don't have become ``extra``.

    A column of ``Audio``, ``Image`` or ``Video`` is the clip's file, and is not decoded; ``text`` is the transcript. A
    row without ``id`` is named by its number.

    Args:
        labels: the classes there can be, if the labels are text.
        columns: for a manifest's column, the name in the data set: ``{"label": "emotion"}``.
        root: folder that paths are relative to; the working folder by default.

    Raises:
        ManifestError: with every fault, by the row's number from 0; a file that is only bytes in the data set is one.

    Examples:
        >>> from datasets import Dataset
        >>> from mmemo.data import from_dataset
        >>> dataset = Dataset.from_dict({"path": ["clip.mp4"], "emotion": ["happiness"]})
        >>> from_dataset(dataset, columns={"label": "emotion"})[0].label
        'happiness'
    """
    features = dict(dataset.features or {})
    ours = {theirs: column for column, theirs in (columns or {}).items()}
    ours |= {name: "path" for name, kind in features.items() if type(kind).__name__ in _MEDIA and name not in ours}
    ours |= {"text": "transcript"} if "text" in features and "transcript" not in features else {}
    for name, kind in features.items():
        if type(kind).__name__ in _MEDIA:
            dataset = dataset.cast_column(name, type(kind)(decode=False))
    label = next((theirs for theirs, column in ours.items() if column == "label"), "label")
    names = getattr(features.get(label), "names", None)
    if names is not None and labels is None:
        known = (label_set for label_set in LABEL_SETS.values() if label_set.labels == tuple(names))
        labels = next(known, None) or LabelSet("dataset", tuple(names))

    def plain(name: str, value: Any) -> Any:
        if isinstance(value, dict) and "path" in value:
            return value["path"]
        if name == label and names is not None and value is not None:
            return names[value] if value >= 0 else None  # -1 is how a test set hides its labels
        return value

    rows = (
        (f"row {number}", {ours.get(name, name): plain(name, value) for name, value in row.items()})
        for number, row in enumerate(dataset)
    )
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
