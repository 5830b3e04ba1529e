"""An emotion model: encoders, their calibration, and a fusion head; saved as one folder without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.quality import quality_of
from mmemo.encoders.saved import SavedEncoder, load_encoder
from mmemo.errors import ArgumentError, WeightsError, expected_one_of
from mmemo.evidence import Evidence
from mmemo.files import replacing
from mmemo.fusion.base import FusionHead
from mmemo.labels import LABEL_SETS, LabelSet
from mmemo.probability import softmax

KIND = "emotion-model"
FUSION = "fusion"
"""Subfolder of the fusion head and the model's settings; each encoder has one with its modality's name."""


class EmotionModel:
    """Scores windows of evidence.

    Args:
        encoders: one for each modality; all with the labels of the fusion head.
        fusion: takes any subset of these modalities.
        temperatures: of each modality, from `mmemo.evaluation.calibration.fit_temperature`; 1 where none is given.
        name: what results call this model.

    Raises:
        ArgumentError: if two encoders have the same modality, or labels differ.
    """

    def __init__(
        self,
        encoders: Sequence[Encoder],
        fusion: FusionHead,
        temperatures: Mapping[str, float] | None = None,
        name: str = "own",
    ) -> None:
        self.encoders = {encoder.modality: encoder for encoder in encoders}
        if len(self.encoders) < len(encoders) or not encoders:
            raise ArgumentError(
                f"EmotionModel needs one encoder a modality, got {[encoder.modality for encoder in encoders]}."
            )
        for encoder in encoders:
            if encoder.labels != fusion.labels:
                raise ArgumentError(
                    f"The {encoder.modality} encoder gives {list(encoder.labels)}, the fusion head takes "
                    f"{list(fusion.labels)}. Map the encoder's labels first (mmemo.labels.LabelMapping)."
                )
        dims: Mapping[str, int] = getattr(fusion, "dims", {})
        for modality, encoder in self.encoders.items():
            if dims.get(modality, encoder.dim) != encoder.dim:
                raise ArgumentError(
                    f"The fusion head was trained on {modality} tokens of width {dims[modality]}, this encoder gives "
                    f"{encoder.dim}. Train the head again with it."
                )
        self.fusion = fusion
        self.temperatures = dict.fromkeys(self.encoders, 1.0) | dict(temperatures or {})
        self.name = name

    @property
    def labels(self) -> LabelSet:
        """The classes of all scores."""
        return self.fusion.labels

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the model can look at."""
        return tuple(self.encoders)

    def encode(self, modality: str, windows: Sequence[Evidence]) -> Encoding:
        """Calibrated encoding of B windows by one encoder; a window without the modality is all masked."""
        encoder = self.encoders[modality]
        prepared = [encoder.prepare(window) for window in windows]
        rows = [row for row, item in enumerate(prepared) if item is not None]
        if not rows:
            return absent(len(windows), encoder.dim, len(self.labels))
        found = encoder.encode([item for item in prepared if item is not None])
        quality = np.array([quality_of(window, modality) for window in windows], np.float32)
        if len(rows) == len(windows):
            return Encoding(found.tokens, found.mask, found.logits / self.temperatures[modality], quality, found.affect)
        tokens = np.zeros((len(windows), *found.tokens.shape[1:]), np.float32)
        mask = np.zeros(tokens.shape[:2], bool)
        logits = np.zeros((len(windows), len(self.labels)), np.float32)
        tokens[rows], mask[rows], logits[rows] = found.tokens, found.mask, found.logits
        affect = None
        if found.affect is not None:
            affect = np.zeros((len(windows), 3), np.float32)
            affect[rows] = found.affect
        return Encoding(tokens, mask, logits / self.temperatures[modality], quality, affect)

    def scores(self, encoding: Encoding) -> np.ndarray:
        """Calibrated scores (B, K) of one modality; rows where it is absent mean nothing."""
        return softmax(encoding.logits.astype(float))

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) of calibrated encodings."""
        return self.fusion.fuse(encodings)

    def save(self, folder: str | Path, info: Mapping[str, Any] | None = None) -> Path:
        """Write the whole model into ``folder``. ``info`` goes into its ``config.json``.

        A folder that is there is replaced if it holds what mmemo wrote and nothing else; see `mmemo.files`.

        Raises:
            ArgumentError: if an encoder has no ``save(folder)``, or the folder may not be replaced.
        """
        settings, arrays = self.fusion.state()
        config = {
            "kind": KIND,
            "labels": self.labels.name,
            "encoders": {modality: type(encoder).__name__ for modality, encoder in self.encoders.items()},
            "temperatures": self.temperatures,
            "fusion": settings,
            **(info or {}),
        }
        with replacing(folder) as partial:
            save_checkpoint(partial / FUSION, config, arrays)
            for modality, encoder in self.encoders.items():
                if not isinstance(encoder, SavedEncoder):
                    raise ArgumentError(f"The {modality} encoder can't be saved: it has no method save(folder).")
                encoder.save(partial / modality)
        return Path(folder)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        modalities: Sequence[str] | None = None,
        device: str = "cpu",
        name: str | None = None,
    ) -> EmotionModel:
        """Read a model saved by `save`.

        Args:
            modalities: load these encoders only; all of them otherwise.
            device: of torch: "cpu", "cuda", "mps".

        Raises:
            UnknownModelError: if the folder holds no model.
            WeightsError: if it is damaged, or needs a class that mmemo does not know.
            ArgumentError: for a modality the model does not have.
        """
        checkpoint = load_checkpoint(Path(folder) / FUSION, KIND)
        known: dict[str, str] = checkpoint.config["encoders"]
        for modality in modalities or ():
            if modality not in known:
                raise ArgumentError(expected_one_of(f"Modality of the model in {folder}", known, modality))
        encoders = [
            load_encoder(kind, Path(folder) / modality, device)
            for modality, kind in known.items()
            if modalities is None or modality in modalities
        ]
        labels = LABEL_SETS.get(checkpoint.config["labels"], encoders[0].labels)
        try:
            fusion = _load_fusion(checkpoint.config["fusion"], checkpoint.tensors, labels)
        except (KeyError, TypeError, RuntimeError) as error:
            raise WeightsError(
                f"The fusion head in {folder} does not fit this version of mmemo ({error}). Train it again."
            ) from None
        return cls(
            encoders,
            fusion,
            {encoder.modality: checkpoint.config["temperatures"][encoder.modality] for encoder in encoders},
            name or str(folder),
        )


def absent(windows: int, dim: int, classes: int) -> Encoding:
    """The encoding of a modality that is in none of the windows."""
    return Encoding(
        np.zeros((windows, 1, dim), np.float32), np.zeros((windows, 1), bool), np.zeros((windows, classes), np.float32)
    )


def _load_fusion(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], labels: LabelSet) -> FusionHead:
    """The class comes from this table, never from the file; imported when needed, as torch takes a second."""
    kind = settings["kind"]
    if kind == "late":
        from mmemo.fusion.late import LateFusion

        return LateFusion.from_state(labels, settings, arrays)
    if kind in ("mean", "max"):
        from mmemo.fusion.late import RuleFusion

        return RuleFusion.from_state(labels, settings, arrays)
    if kind == "stacked":
        from mmemo.fusion.stacked import StackedFusion

        return StackedFusion.from_state(labels, settings, arrays)
    if kind == "gated":
        from mmemo.fusion.gated import GatedFusion

        return GatedFusion.from_state(labels, settings, arrays)
    if kind == "concat":
        from mmemo.fusion.concat import ConcatFusion

        return ConcatFusion.from_state(labels, settings, arrays)
    if kind == "cross-attention":
        from mmemo.fusion.cross_attention import CrossAttentionFusion

        return CrossAttentionFusion.from_state(labels, settings, arrays)
    raise WeightsError(f"This version of mmemo does not know the fusion head {kind!r}.")
