"""A torch dataset over a manifest: the prepared input of encoders, clip by clip and in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mmemo.data.evidence import NO_LABEL, prepare_clip
from mmemo.data.manifest import Manifest
from mmemo.encoders.base import Encoder
from mmemo.errors import ArgumentError
from mmemo.speech.recognition import Transcriber


class ClipDataset(Dataset[dict[str, Any]]):
    """Torch dataset of a manifest's clips, prepared for encoders; each clip is one window.

    An item is ``{modality: array | None, …, "target": int, "id": str}``: for each encoder the array that its
    ``prepare`` gives, None where the clip has no such evidence; the index of the clip's label in the manifest's label
    set, `NO_LABEL` without one; the clip's id; under ``"quality_face"`` and so on, (2,) float32, what
    `mmemo.encoders.modality.quality_of` gives. A modality that was labeled on its own (`Clip.labels`) has its own
    target under ``"target_face"`` and so on.

    A batch, as `collate` makes it, is::

        face          (B, T, …) in the arrays' dtype, padded with zeros along their first axis; None if all are absent
        face_mask     (B, T) bool, True = valid; a row that is all False has no face; None if all are absent
        quality_face  (B, 2) float32: coverage and trust, see `Encoding.quality`
        … the same for every other modality …
        target        (B,) int64
        target_face   (B,) int64, where a clip of the batch has it; NO_LABEL for the others
        id            list of B strings

    Use it with ``torch.utils.data.DataLoader(dataset, batch_size=…, collate_fn=collate, num_workers=…)``; `accelerate`
    takes that loader as it is.

    Args:
        manifest: the clips.
        encoders: one for each modality; only their ``prepare`` is used.
        transcriber: recognizes speech of clips without a transcript; None uses given transcripts only.

    Examples:
        >>> from torch.utils.data import DataLoader
        >>> from mmemo import Clip
        >>> from mmemo.data import ClipDataset, Manifest, collate
        >>> from mmemo.labels import EKMAN7
        >>> from mmemo.testing import TinyEncoder
        >>> manifest = Manifest([Clip(text="Great!", id="a", label="happiness"), Clip(text="Oh no.", id="b")], EKMAN7)
        >>> dataset = ClipDataset(manifest, [TinyEncoder()])
        >>> batch = next(iter(DataLoader(dataset, batch_size=2, collate_fn=collate)))
        >>> batch["text"].shape, batch["target"]
        (torch.Size([2, 6]), tensor([ 1, -1]))
    """

    def __init__(
        self, manifest: Manifest, encoders: Sequence[Encoder], *, transcriber: Transcriber | None = None
    ) -> None:
        self.manifest = manifest
        self.encoders = {encoder.modality: encoder for encoder in encoders}
        self.transcriber = transcriber
        if len(self.encoders) < len(encoders) or not encoders:
            raise ArgumentError(f"One encoder a modality is needed, got {[encoder.modality for encoder in encoders]}.")

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Item ``index``; see the class.

        Raises:
            MediaError: if the clip's file can't be read.
            TranscriptError: if its subtitles can't be read.
        """
        clip = self.manifest[index]
        labels = self.manifest.labels
        return {
            **prepare_clip(clip, tuple(self.encoders.values()), self.transcriber),
            **{f"target_{modality}": labels.index(label) for modality, label in clip.labels.items()},
            "target": NO_LABEL if clip.label is None else labels.index(clip.label),
            "id": clip.id,
        }


def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pad and stack items of a `ClipDataset` into a batch; its docstring has the schema.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import ClipDataset, Manifest, collate
        >>> from mmemo.labels import EKMAN7
        >>> from mmemo.testing import TinyEncoder
        >>> manifest = Manifest([Clip(text="Great!", id="a"), Clip(text="No.", id="b")], EKMAN7)
        >>> dataset = ClipDataset(manifest, [TinyEncoder()])
        >>> batch = collate([dataset[0], dataset[1]])
        >>> batch["text_mask"].sum(dim=1)  # characters of each clip
        tensor([6, 3])
    """
    targets = {name for item in items for name in item if name.startswith("target")}
    batch: dict[str, Any] = {
        name: torch.tensor([item.get(name, NO_LABEL) for item in items], dtype=torch.int64) for name in targets
    }
    batch["id"] = [item["id"] for item in items]
    for modality in items[0]:
        if modality.startswith("quality_"):
            batch[modality] = torch.from_numpy(np.stack([item[modality] for item in items]))
        elif not modality.startswith("target") and modality != "id":
            batch[modality], batch[f"{modality}_mask"] = _pad([item[modality] for item in items])
    return batch


def _pad(arrays: Sequence[np.ndarray | None]) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
    present = [array for array in arrays if array is not None]
    if not present:
        return None, None
    longest = max(len(array) for array in present)
    values = np.zeros((len(arrays), longest, *present[0].shape[1:]), present[0].dtype)
    mask = np.zeros((len(arrays), longest), bool)
    for row, array in enumerate(arrays):
        if array is not None:
            values[row, : len(array)], mask[row, : len(array)] = array, True
    return torch.from_numpy(values), torch.from_numpy(mask)
