"""Facial action units measured by OpenFace: an encoder of numbers that lie in a file beside the clip.

OpenFace (Baltrusaitis et al., "OpenFace 2.0", FG 2018) writes a CSV file a clip with a row a frame: intensities
(``AU12_r``, 0 to 5) and presences (``AU12_c``, 0 or 1). Some corpora hand out the mean over each clip instead.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.errors import ArgumentError, MediaError, WeightsError
from mmemo.evidence import Evidence
from mmemo.labels import LabelSet

KIND = "action-units"
_UNIT = re.compile(r"AU\d\d_[rc]")


@dataclass(frozen=True, eq=False)
class ActionUnits:
    """Action units of one clip: ``times`` (T,) seconds, ``values`` (T, D) float32."""

    times: np.ndarray
    values: np.ndarray


def read_openface(path: str | Path) -> ActionUnits:
    """Read what OpenFace's FeatureExtraction wrote for one clip; frames it failed on are left out.

    Raises:
        MediaError: if the file can't be read, or is none of OpenFace's.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = [{(k or "").strip(): v for k, v in row.items()} for row in csv.DictReader(file)]
        units = [name for name in rows[0] if _UNIT.fullmatch(name)] if rows else []
        if not units or "timestamp" not in rows[0]:
            raise MediaError(f"{path} is no file of OpenFace: expected columns timestamp, AU01_r … and at least a row.")
        kept = [row for row in rows if float(row.get("success") or 1) == 1]
        values = np.array([[float(row[name]) for name in units] for row in kept], np.float32).reshape(-1, len(units))
        return ActionUnits(np.array([float(row["timestamp"]) for row in kept]), values)
    except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
        raise MediaError(f"{path} can't be read as a file of OpenFace: {error}.") from None


class ActionUnitEncoder:
    """Takes the action units of a window as tokens, one a frame; their square roots, as most are near zero.

    Args:
        units: by the name of the clip's media file without folder and suffix; a clip that is not there has no face.
            More may be added to the attribute ``units`` later.
        labels: classes of the probe.
        probe: turns the mean token into log scores; None gives each class the same.
        modality: "face" stands in the place of the picture's face, and is asked only where one is seen; another name,
            such as "action-units", makes it a modality of its own that needs no picture.

    Raises:
        ArgumentError: if there are no clips, or they differ in width.
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
        """Changes with the measured values and with the probe."""
        digest = hashlib.sha256()
        for name, one in sorted(self.units.items()):
            digest.update(name.encode() + one.times.tobytes() + one.values.tobytes())
        for array in (self.probe.state() if self.probe else {}).values():
            digest.update(array.tobytes())
        return f"action units {digest.hexdigest()[:16]}"

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """(T, D) float32: the frames within the window, or None where there are none."""
        found = None if evidence.source is None else self.units.get(evidence.source.stem)
        if found is None:
            return None
        inside = found.values[(found.times >= evidence.start) & (found.times < evidence.end)]
        return np.sqrt(np.maximum(inside, 0)) if len(inside) else None

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """A token a frame; the logits are the probe's of the mean token."""
        longest = max(len(item) for item in batch)
        tokens = np.zeros((len(batch), longest, self.dim), np.float32)
        mask = np.zeros((len(batch), longest), bool)
        for row, item in enumerate(batch):
            tokens[row, : len(item)], mask[row, : len(item)] = item, True
        logits = np.zeros((len(batch), len(self.labels)), np.float32)
        if self.probe is not None:
            logits = self.probe.logits(np.stack([item.mean(axis=0) for item in batch])).astype(np.float32)
        return Encoding(tokens, mask, logits)

    def save(self, folder: str | Path) -> Path:
        """Write the probe and the measured units; of other clips add them to ``units`` (see `read_openface`)."""
        lengths = [len(one.times) for one in self.units.values()]
        tensors = {
            "times": np.concatenate([one.times for one in self.units.values()]),
            "values": np.concatenate([one.values for one in self.units.values()]),
            **{f"probe.{name}": array for name, array in (self.probe.state() if self.probe else {}).items()},
        }
        labels = {"name": self.labels.name, "labels": list(self.labels)}
        clips = dict(zip(self.units, lengths, strict=True))
        return save_checkpoint(
            folder, {"kind": KIND, "modality": self.modality, "label_set": labels, "clips": clips}, tensors
        )

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote; ``device`` changes nothing.

        Raises:
            UnknownModelError, WeightsError: if the folder holds none, or it is damaged.
        """
        del device
        checkpoint = load_checkpoint(folder, KIND)
        try:
            known = checkpoint.config["label_set"]
            labels = LabelSet(known["name"], tuple(known["labels"]))
            ends = np.cumsum(list(checkpoint.config["clips"].values()))[:-1]
            parts = [np.split(checkpoint.tensors[name], ends) for name in ("times", "values")]
            units = {
                name: ActionUnits(*one)
                for name, one in zip(checkpoint.config["clips"], zip(*parts, strict=True), strict=True)
            }
            arrays = {
                name.removeprefix("probe."): one
                for name, one in checkpoint.tensors.items()
                if name.startswith("probe.")
            }
            return cls(units, labels, LinearProbe.from_state(arrays) if arrays else None, checkpoint.config["modality"])
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{folder}: settings and arrays don't make an encoder of units ({error}).") from None
