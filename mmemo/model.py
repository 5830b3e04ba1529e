"""An emotion model: encoders, their calibration, and a fusion head; saved as one folder without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, tensors_sha256
from mmemo.encoders.base import Encoder, Encoding, SavableEncoder, WindowsEncoder
from mmemo.encoders.modality import quality_of
from mmemo.encoders.registry import load_encoder
from mmemo.encoders.softmax import softmax
from mmemo.errors import ArgumentError, LabelError, WeightsError, expected_one_of
from mmemo.evidence import Evidence
from mmemo.files import GRAPH, replacing
from mmemo.fusion.base import ExportedHead, FusionHead
from mmemo.fusion.registry import load_head
from mmemo.labels import LABEL_SETS, LabelSet
from mmemo.onnx_network import OnnxNetwork

KIND = "emotion-model"
FUSION = "fusion"
"""Subfolder of the fusion head and the model's settings; each encoder has one with its modality's name."""


class EmotionModel:
    """Encoders and a fusion head: windows of evidence in, class scores of each modality and fused scores out.

    Args:
        encoders: one for each modality; all with the labels of the fusion head.
        fusion: takes any subset of these modalities.
        temperatures: of each modality, from `mmemo.evaluation.calibration.fit_temperature`; 1 where none is given.
        name: of the model in results.

    Attributes:
        weights: SHA-256 of the tensors that each part ("face", "fusion" …) was loaded from; empty for a built model.

    Raises:
        ArgumentError: if two encoders have the same modality, labels differ, or the head was trained on tokens of
            another width.

    >>> import mmemo
    >>> from mmemo.fusion.late import LateFusion
    >>> from mmemo.testing import TinyEncoder
    >>> encoder = TinyEncoder(modality="text")
    >>> model = mmemo.EmotionModel([encoder], LateFusion(encoder.labels, {"text": 1.0}))
    >>> model.modalities
    ('text',)
    >>> mmemo.analyze(text="Good morning!", model=model).label in model.labels
    True
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
        self.weights: dict[str, str] = {}

    @property
    def labels(self) -> LabelSet:
        """The classes of all scores."""
        return self.fusion.labels

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the model has an encoder for."""
        return tuple(self.encoders)

    def encode(self, modality: str, windows: Sequence[Evidence]) -> Encoding:
        """Calibrated encoding of B windows by one encoder; a window without the modality is all masked."""
        encoder = self.encoders[modality]
        quality = np.array([quality_of(window, modality) for window in windows], np.float32)
        if isinstance(encoder, WindowsEncoder):
            together = encoder.encode_windows(windows)
            return replace(together, logits=together.logits / self.temperatures[modality], quality=quality)
        prepared = [encoder.prepare(window) for window in windows]
        rows = [row for row, item in enumerate(prepared) if item is not None]
        if not rows:
            return absent(len(windows), encoder.dim, len(self.labels))
        part = encoder.encode([item for item in prepared if item is not None])
        if len(rows) == len(windows):
            return Encoding(part.tokens, part.mask, part.logits / self.temperatures[modality], quality, part.affect)
        tokens = np.zeros((len(windows), *part.tokens.shape[1:]), np.float32)
        mask = np.zeros(tokens.shape[:2], bool)
        logits = np.zeros((len(windows), len(self.labels)), np.float32)
        tokens[rows], mask[rows], logits[rows] = part.tokens, part.mask, part.logits
        affect = None
        if part.affect is not None:
            affect = np.zeros((len(windows), 3), np.float32)
            affect[rows] = part.affect
        return Encoding(tokens, mask, logits / self.temperatures[modality], quality, affect)

    def scores(self, encoding: Encoding) -> np.ndarray:
        """Calibrated scores (B, K) float64 of one modality; rows where it is absent mean nothing."""
        return softmax(encoding.logits.astype(float))

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64 of calibrated encodings."""
        return self.fusion.fuse(encodings)

    def save(self, folder: str | Path, *, card: Mapping[str, Any] | None = None) -> Path:
        """Write the whole model into ``folder``: all of it or nothing.

        A folder that is there is replaced if it holds what mmemo wrote and nothing else; see `mmemo.files`.

        Each encoder writes its own subfolder; ``fusion`` holds the head's arrays and the model's settings. No file
        names a module or holds code. `load` finds the classes by their names; those that are not mmemo's own must be
        given to it, or be offered by an installed package (`mmemo.encoders.base.SavableEncoder`,
        `mmemo.fusion.base.SavableHead`).

        Args:
            card: what a user must know of the model (corpora, split, scores …), as JSON; it goes into the settings.

        Raises:
            ArgumentError: if an encoder or the head has not what it takes to be saved and loaded, or the
                folder may not be replaced.
        """
        if FUSION in self.encoders:
            raise ArgumentError(f"A modality named {FUSION!r} can't be saved: the fusion head's folder has that name.")
        if not hasattr(self.fusion, "from_state"):
            raise ArgumentError(f"{type(self.fusion).__name__} can't be saved: it has no class method from_state(…).")
        for encoder in self.encoders.values():
            if not isinstance(encoder, SavableEncoder):
                raise ArgumentError(
                    f"The {encoder.modality} encoder can't be saved: {type(encoder).__name__} has no save(folder) or "
                    "no load(folder, device=…)."
                )
        settings, arrays = self.fusion.state()
        config = {
            **(card or {}),
            "kind": KIND,
            "labels": self.labels.to_config(),
            "encoders": {modality: type(encoder).__name__ for modality, encoder in self.encoders.items()},
            "temperatures": self.temperatures,
            "fusion": settings,
        }
        with replacing(folder) as partial:
            graphs = self.fusion.graphs() if isinstance(self.fusion, ExportedHead) else {}
            save_checkpoint(partial / FUSION, config, arrays, graphs)
            for modality, encoder in self.encoders.items():
                assert isinstance(encoder, SavableEncoder)
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
        classes: Sequence[type] = (),
    ) -> EmotionModel:
        """Read a model saved by `save`.

        Args:
            modalities: load these encoders only; all of them otherwise.
            device: "auto", "cpu", "cuda" …, see `mmemo.load_model`.
            name: of the model in results; the folder by default.
            classes: of encoders and fusion heads that are not mmemo's own.

        Raises:
            UnknownModelError: if the folder holds no model.
            WeightsError: if it is damaged, or needs a class that is neither given, nor mmemo's, nor installed.
            ArgumentError: for a modality the model does not have, or a device that is not there.
            MissingExtraError: if an encoder runs in torch, and torch is not installed.
        """
        checkpoint = load_settings(folder)
        known: dict[str, str] = checkpoint.config["encoders"]
        for modality in modalities or ():
            if modality not in known:
                raise ArgumentError(expected_one_of(f"Modality of the model in {folder}", known, modality))
        encoders = []
        for modality in [one for one in known if not modalities or one in modalities]:
            encoder = load_encoder(known[modality], Path(folder) / modality, device, classes)
            if encoder.modality != modality:
                raise WeightsError(f"{Path(folder) / modality} holds an encoder of the modality {encoder.modality!r}.")
            encoders.append(encoder)
        graph = checkpoint.graph(GRAPH)
        fusion = load_head(
            _labels(checkpoint, encoders[0].labels),
            checkpoint.config["fusion"],
            checkpoint.tensors,
            classes,
            None if graph is None else OnnxNetwork(graph),
        )
        temperatures = {one.modality: checkpoint.config["temperatures"].get(one.modality, 1.0) for one in encoders}
        model = cls(encoders, fusion, temperatures, name or str(folder))
        model.weights = {part: tensors_sha256(Path(folder) / part) for part in (*model.modalities, FUSION)}
        return model


def load_settings(folder: str | Path) -> Checkpoint:
    """The settings of a saved model, and the arrays of its fusion head.

    Raises:
        UnknownModelError: if the folder holds no model.
        WeightsError: if it is damaged.
    """
    checkpoint = load_checkpoint(Path(folder) / FUSION, KIND)
    config = checkpoint.config
    for part in ("labels", "encoders", "temperatures", "fusion"):
        whole = isinstance(config.get(part), dict) or (part == "labels" and isinstance(config.get(part), str))
        if not whole or not config[part]:
            raise WeightsError(f"The settings of the model in {folder} lack its {part}. Fetch or train it again.")
    named = all(isinstance(name, str) for name in config["encoders"].values())
    positive = all(isinstance(one, int | float) and 0 < one < 1e9 for one in config["temperatures"].values())
    if not named or not positive or not isinstance(config["fusion"].get("kind"), str):
        raise WeightsError(f"The settings of the model in {folder} are damaged. Fetch or train it again.")
    return checkpoint


def absent(windows: int, dim: int, classes: int) -> Encoding:
    """The encoding of a modality that is in none of the windows."""
    return Encoding(
        np.zeros((windows, 1, dim), np.float32), np.zeros((windows, 1), bool), np.zeros((windows, classes), np.float32)
    )


def _labels(checkpoint: Checkpoint, of_encoders: LabelSet) -> LabelSet:
    """The labels of a saved model; the first version kept the bare name of a set of one's own."""
    saved = checkpoint.config["labels"]
    if isinstance(saved, str) and saved not in LABEL_SETS:
        return of_encoders
    try:
        return LabelSet.from_config(saved)
    except LabelError as error:
        raise WeightsError(f"The settings of the model in {checkpoint.folder} are damaged: {error}") from None
