"""MMSA's files of features: a pickle with, for each split, arrays of all clips by modality.

Framework: H. Mao et al., "M-SENA: An Integrated Platform for Multimodal Sentiment Analysis", ACL 2022,
https://github.com/thuiar/MMSA. The layout is ``{"train": {"id": …, "raw_text": …, "text": …, "audio": …, "vision": …,
"audio_lengths": …, "regression_labels": …}, "valid": …, "test": …}``; ids are ``<video>$_$<clip>``.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmemo.data.interchange.plain_pickle import load_plain_pickle
from mmemo.errors import ArgumentError, ManifestError
from mmemo.files import replacing_file

SPLITS = {"train": "train", "valid": "val", "test": "test"}


@dataclass(frozen=True)
class MmsaFeatures:
    """One split of a file of features.

    Attributes:
        ids: of the clips, as `mmemo.data.interchange.read_mmsa_labels` names them.
        arrays: whatever the file has, by its name there; the first axis of each is the clips. ``audio``, ``vision`` and
            ``text`` are ``(clips, time, features)``, ``raw_text`` and ``annotations`` are text.

    Raises:
        ArgumentError: if an array has another number of clips.

    Examples:
        >>> import numpy as np
        >>> from mmemo.data import MmsaFeatures
        >>> MmsaFeatures(("video$_$1",), {"audio": np.zeros((1, 50, 5))}).arrays["audio"].shape
        (1, 50, 5)
    """

    ids: tuple[str, ...]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self.ids))
        wrong = [
            f"{name} has shape {array.shape}"
            for name, array in self.arrays.items()
            if array.ndim == 0 or len(array) != len(self.ids)
        ]
        if wrong:
            raise ArgumentError(f"Features of {len(self.ids)} clips: {', '.join(wrong)}.")


def read_mmsa_features(path: str | Path) -> dict[str, MmsaFeatures]:
    """Read a file of features, by split ("train", "val", "test"). No code in the file is run.

    Raises:
        ManifestError: if it is no such file, it holds anything but arrays and plain containers, or its arrays do not
            have the same clips; with every fault.

    Examples:
        >>> import numpy as np
        >>> from mmemo.data import MmsaFeatures, read_mmsa_features, write_mmsa_features
        >>> features = MmsaFeatures(("video$_$1",), {"audio": np.zeros((1, 50, 5))})
        >>> read_mmsa_features(write_mmsa_features({"test": features}, "features.pkl"))["test"].ids
        ('video$_$1',)
    """
    path = Path(path)
    data = load_plain_pickle(path)
    if not isinstance(data, dict) or not set(SPLITS) & set(data):
        raise ManifestError(path, [f"expected a mapping with {', '.join(SPLITS)}"])
    features: dict[str, MmsaFeatures] = {}
    faults = []
    for name, split in SPLITS.items():
        values = data.get(name)
        if values is None:
            continue
        if not isinstance(values, dict) or "id" not in values:
            faults.append(f"{name}: expected a mapping with id")
            continue
        try:
            ids = tuple(str(_first(item)) for item in values["id"])
            arrays = {kind: np.asarray(value) for kind, value in values.items() if kind != "id"}
            features[split] = MmsaFeatures(ids, arrays)
        except (TypeError, ValueError) as error:  # ids that are none, arrays of unequal rows or of other clips
            faults.append(f"{name}: {error}")
    if faults:
        raise ManifestError(path, faults)
    return features


def write_mmsa_features(features: Mapping[str, MmsaFeatures], path: str | Path) -> Path:
    """Write a file of features that MMSA reads.

    Raises:
        ArgumentError: if a split has another name than "train", "val", "test".

    Examples:
        >>> import numpy as np
        >>> from mmemo.data import MmsaFeatures, write_mmsa_features
        >>> features = MmsaFeatures(("video$_$1",), {"audio": np.zeros((1, 50, 5))})
        >>> write_mmsa_features({"test": features}, "features.pkl").name
        'features.pkl'
    """
    names = {split: name for name, split in SPLITS.items()}
    unknown = [split for split in features if split not in names]
    if unknown:
        raise ArgumentError(f"Splits of MMSA are {list(names)}, got {unknown}.")
    data = {names[split]: {"id": list(part.ids), **part.arrays} for split, part in features.items()}
    path = Path(path)
    with replacing_file(path) as partial, partial.open("wb") as file:
        pickle.dump(data, file, protocol=4)
    return path


def _first(item: object) -> object:
    """Some files have every id as an array of one."""
    return item[0] if isinstance(item, np.ndarray | list | tuple) and len(item) else item
