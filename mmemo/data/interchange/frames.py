"""Manifests as pandas data frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmemo.data.interchange.cells import to_cells, to_manifest
from mmemo.data.manifest import Manifest
from mmemo.errors import MissingExtraError
from mmemo.labels import LabelSet

if TYPE_CHECKING:
    import pandas as pd


def to_frame(manifest: Manifest) -> pd.DataFrame:
    """A row for each clip, in order; the columns are those of a CSV manifest that any clip has a value for.

    Raises:
        MissingExtraError: if pandas is not installed.

    Examples:
        >>> from pathlib import Path
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, to_frame
        >>> from mmemo.labels import EKMAN7
        >>> manifest = Manifest([Clip(Path("clip.mp4"), id="a", label="happiness", speaker="x")], EKMAN7)
        >>> to_frame(manifest)[["id", "label", "speaker"]]
          id      label speaker
        0  a  happiness       x
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("A data frame", "export") from None
    return pd.DataFrame([to_cells(clip) for clip in manifest])


def from_frame(
    frame: pd.DataFrame,
    labels: LabelSet | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    root: str | Path | None = None,
) -> Manifest:
    """A clip for each row. Columns that manifests don't have become ``extra``; missing values are left out.

    A row without ``id`` is named by its number.

    Args:
        labels: the classes there can be; by default the first known set that has all labels of the frame.
        columns: for a manifest's column, the name in the frame: ``{"label": "emotion"}``.
        root: folder that paths are relative to; the working folder by default.

    Raises:
        ManifestError: with every fault, by the row's number from 0.

    Examples:
        >>> import pandas as pd
        >>> from mmemo.data import from_frame
        >>> frame = pd.DataFrame({"file": ["clip.mp4"], "emotion": ["happiness"]})
        >>> from_frame(frame, columns={"path": "file", "label": "emotion"})[0].label
        'happiness'
    """
    renamed = frame.rename(columns={theirs: ours for ours, theirs in (columns or {}).items()})
    rows = ((f"row {number}", row) for number, row in enumerate(renamed.to_dict("records")))
    return to_manifest(rows, "The frame", labels=labels, root=root)  # type: ignore[arg-type]
