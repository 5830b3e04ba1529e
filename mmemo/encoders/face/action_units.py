"""Encoder of facial action units that OpenFace measured, read from a file beside the clip.

OpenFace (Baltrusaitis et al., "OpenFace 2.0", FG 2018) writes a CSV file a clip with a row a frame: intensities
(``AU12_r``, 0 to 5) and presences (``AU12_c``, 0 or 1). Some corpora publish the mean over each clip instead.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Self

import numpy as np

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding, pad_tokens
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.errors import ArgumentError, MediaError, WeightsError
from mmemo.evidence import Evidence
from mmemo.labels import LabelSet
from mmemo.reading import open_input, reason

KIND = "action-units"
_UNIT = re.compile(r"AU\d\d_[rc]")
_LARGEST = 1e9


@dataclass(frozen=True, eq=False)
class ActionUnits:
    """Action units of one clip, frame by frame.

    Attributes:
        times: (T,) seconds.
        values: (T, D) float32: intensities 0 to 5, presences 0 or 1.
    """

    times: np.ndarray
    values: np.ndarray


def read_openface(path: str | Path) -> ActionUnits:
    """Action units of one clip from the CSV file of OpenFace's FeatureExtraction, without the frames it failed on.

    Raises:
        MediaError: if the file can't be read, or is none of OpenFace's.
    """
    try:
        with TextIOWrapper(open_input(path), encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            units = [place for place, name in enumerate(header) if _UNIT.fullmatch(name)]
            if not units or "timestamp" not in header:
                raise MediaError(f"{path} is no file of OpenFace: expected columns timestamp, AU01_r ….")
            time, success = header.index("timestamp"), header.index("success") if "success" in header else None
            measured = [
                [float(row[place]) for place in (time, *units)]
                for row in rows
                if row and (success is None or float(row[success]) == 1)
            ]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise MediaError(f"{path} can't be read as a file of OpenFace: {reason(error)}.") from None
    values = np.array(measured, np.float64).reshape(-1, 1 + len(units))
    if not (abs(values) < _LARGEST).all():
        raise MediaError(f"{path} can't be read as a file of OpenFace: a value in it is no number, or too large.")
    return ActionUnits(values[:, 0], values[:, 1:].astype(np.float32))


class ActionUnitEncoder:
    """Encoder of measured action units: a token is the square roots of one frame's values, as most are near zero.

    Args:
        units: by the name of the clip's media file without folder and suffix; a clip that is not there has no face.
            More may be added to the attribute ``units`` later.
        labels: classes of the probe.
        probe: gives log scores from the mean token; without one all classes have the same score.
        modality: "face" to take the place of the face encoder, which is called only for windows with a detected face;
            another name, such as "action-units", makes it a modality of its own that needs no picture.

    Raises:
        ArgumentError: if there are no clips, or they differ in width.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mmemo.encoders.face.action_units import ActionUnitEncoder, ActionUnits
    >>> from mmemo.evidence import Evidence
    >>> from mmemo.labels import EKMAN7
    >>> units = ActionUnits(np.array([0.0, 0.04]), np.array([[4.0, 1.0], [2.25, 0.0]], np.float32))
    >>> encoder = ActionUnitEncoder({"clip": units}, EKMAN7)
    >>> encoder.prepare(Evidence(0.0, 2.0, source=Path("clip.mp4"))).tolist()
    [[2.0, 1.0], [1.5, 0.0]]
    """

    def __init__(
        self,
        units: Mapping[str, ActionUnits],
        labels: LabelSet,
        probe: LinearProbe | None = None,
        modality: str = "face",
    ) -> None:
        widths = {one.values.shape[1] for one in units.values()}
        if len(widths) != 1:
            raise ArgumentError(f"Action units of all clips must be of one width, got {sorted(widths)}.")
        self.units = dict(units)
        self.dim = widths.pop()
        self.labels = labels
        self.probe = probe
        self.modality = modality

    @property
    def fingerprint(self) -> str:
        """A text that changes with the measured values and with the probe."""
        digest = hashlib.sha256()
        for name, one in sorted(self.units.items()):
            digest.update(name.encode() + one.times.tobytes() + one.values.tobytes())
        for array in (self.probe.state() if self.probe else {}).values():
            digest.update(array.tobytes())
        return f"action units {digest.hexdigest()[:16]}"

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(T, D) float32: the frames within the window, or None where there are none."""
        units = None if evidence.source is None else self.units.get(evidence.source.stem)
        if units is None:
            return None
        inside = units.values[(units.times >= evidence.start) & (units.times < evidence.end)]
        return np.sqrt(np.maximum(inside, 0)) if len(inside) else None

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows; the logits are the probe's of the mean token."""
        tokens, mask = pad_tokens(batch, self.dim)
        logits = np.zeros((len(batch), len(self.labels)), np.float32)
        if self.probe is not None:
            logits = self.probe.logits(np.stack([item.mean(axis=0) for item in batch])).astype(np.float32)
        return Encoding(tokens, mask, logits)

    def save(self, folder: str | Path) -> Path:
        """Write the probe and the measured units of all clips."""
        lengths = [len(one.times) for one in self.units.values()]
        tensors = {
            "times": np.concatenate([one.times for one in self.units.values()]),
            "values": np.concatenate([one.values for one in self.units.values()]),
            **{f"probe.{name}": array for name, array in (self.probe.state() if self.probe else {}).items()},
        }
        config = {
            "kind": KIND,
            "modality": self.modality,
            "labels": self.labels.to_config(),
            "clips": dict(zip(self.units, lengths, strict=True)),
        }
        return save_checkpoint(folder, config, tensors)

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote; ``device`` changes nothing.

        Raises:
            UnknownModelError, WeightsError: if the folder holds none, or it is damaged.
        """
        del device
        checkpoint = load_checkpoint(folder, KIND)
        config = checkpoint.config
        try:
            labels = LabelSet.from_config(config.get("labels", config.get("label_set")))
            ends = np.cumsum(list(config["clips"].values()))[:-1]
            parts = [np.split(checkpoint.tensors[name], ends) for name in ("times", "values")]
            units = {
                name: ActionUnits(*one) for name, one in zip(config["clips"], zip(*parts, strict=True), strict=True)
            }
            arrays = {
                name.removeprefix("probe."): one
                for name, one in checkpoint.tensors.items()
                if name.startswith("probe.")
            }
            return cls(units, labels, LinearProbe.from_state(arrays) if arrays else None, config["modality"])
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{folder}: settings and arrays don't make an action unit encoder ({error}).") from None
