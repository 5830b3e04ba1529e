"""Labeled clips of a manifest as samples to fit on: labels a model has, encodings, and who is in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmemo.comparison.predict import group_columns
from mmemo.data.encoding import EncodedClips
from mmemo.data.manifest import Manifest
from mmemo.encoders.base import Encoding
from mmemo.errors import ManifestError
from mmemo.labels import LabelSet, find_mapping


@dataclass(frozen=True, eq=False)
class Samples:
    """N labeled clips that have any modality.

    Attributes:
        ids: (N,) of the clips.
        encodings: of N rows, by modality.
        target: (N,) int64 class indices.
        groups: (N,) text for each column such as "speaker"; see `mmemo.comparison.predictions.Predictions`.
    """

    ids: np.ndarray
    encodings: dict[str, Encoding]
    target: np.ndarray
    groups: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def speakers(self) -> np.ndarray:
        """(N,) speaker of each clip; the clip's own id where it is not known."""
        known = self.groups.get("speaker", np.full(len(self.ids), ""))
        return np.where(known == "", self.ids, known)

    def rows(self, rows: np.ndarray) -> Samples:
        """Some of the clips."""
        encodings = {modality: one.rows(rows) for modality, one in self.encodings.items()}
        groups = {name: one[rows] for name, one in self.groups.items()}
        return Samples(self.ids[rows], encodings, self.target[rows], groups)

    def select(self, modalities: list[str]) -> Samples:
        """Some modalities, and the clips that have any of them."""
        chosen = replace(self, encodings={modality: self.encodings[modality] for modality in modalities})
        return chosen.rows(np.flatnonzero(np.any([one.present for one in chosen.encodings.values()], axis=0)))


def read_labeled(given: str | Path | Manifest) -> Manifest:
    """The clips of a manifest that have a label.

    Raises:
        ManifestError: if there are none, or all have the same.
    """
    manifest = given if isinstance(given, Manifest) else Manifest.read(given)
    name = "The manifest" if isinstance(given, Manifest) else given
    clips = manifest.filter(lambda clip: clip.label is not None)
    if not clips:
        raise ManifestError(name, ["no clip has a label to learn from: fill in the column label"])
    labels = sorted({str(clip.label) for clip in clips})
    if len(labels) == 1:
        raise ManifestError(name, [f"all {len(clips)} labeled clips are {labels[0]!r}: two labels at least are needed"])
    return clips


def with_labels(clips: Manifest, labels: LabelSet) -> tuple[Manifest | None, list[str]]:
    """The clips with labels of a model, and a note on what became of them; None if nothing maps their labels to it."""
    if clips.labels == labels:
        return clips, []
    if all(clip.label in labels.labels for clip in clips):
        return Manifest(clips.clips, labels), []
    mapping = find_mapping(clips.labels, labels)
    if mapping is None:
        return None, []
    note = f"Labels of {mapping.source.name} are mapped to {mapping.target.name}. {mapping.loses}".strip()
    return clips.map_labels(mapping), [note]


def samples_of(clips: EncodedClips) -> tuple[Samples, list[str]]:
    """The clips that have any modality, and notes on those that were left out.

    Raises:
        ManifestError: if none has any.
    """
    notes = [f"Left out: {fault}" for fault in clips.faults]
    encodings = clips.batch()
    kept = np.flatnonzero(np.any([one.present for one in encodings.values()], axis=0))
    if not len(kept):
        raise ManifestError("The manifest", [*clips.faults] or ["no clip has any of the modalities"])
    if missing := len(clips.manifest) - len(kept):
        notes.append(f"{missing} of {len(clips.manifest)} clips have no modality at all and are left out.")
    ids = np.array([clip.id for clip in clips.manifest])
    columns = group_columns(clips, np.arange(len(ids)))
    return Samples(ids, encodings, clips.target, columns).rows(kept), notes
