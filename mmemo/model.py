"""An emotion model: encoders, their calibration, and a fusion head; saved as one folder without pickle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmemo.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, tensors_sha256
from mmemo.encoders.base import Encoder, Encoding, SavableEncoder, WindowsEncoder
from mmemo.encoders.modality import quality_of
from mmemo.encoders.registry import load_encoder
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError, LabelError, WeightsError, expected_one_of
from mmemo.evidence import Evidence
from mmemo.files import GRAPH, replacing
from mmemo.fusion.base import ExportedHead, FusionHead
from mmemo.fusion.registry import load_head
from mmemo.labels import LABEL_SETS, LabelSet
from mmemo.onnx_network import OnnxNetwork

KIND = "emotion-model"
Shares = Mapping[str, float]
"""Share of each label, from 0 to 1."""
Prior = Literal["balanced", "natural"] | Shares
"""Shares of the labels under which scores are given; see `EmotionModel.adjusted`."""
Correction = Callable[[Encoding], Encoding]
"""Changes the log scores of one modality, as a baseline does."""
FUSION = "fusion"
"""Subfolder of the fusion head and the model's settings; each encoder has one with its modality's name."""


class EmotionModel:
    """Encoders and a fusion head: windows of evidence in, class scores of each modality and fused scores out.

    Args:
        encoders: one for each modality; all with the labels of the fusion head.
        fusion: takes any subset of these modalities.
        temperatures: of each modality, from `mmemo.evaluation.calibration.fit_temperature`; 1 where none is given.
        name: of the model in results.
        priors: shares of the labels that encoders were trained under, by modality, where they are known. They are
            divided out of each encoder's scores, so that no corpus' habits are in them, nor thrice in fused ones.

    Attributes:
        prior: shares of the labels under which scores are given, (K,) float64; equal ones unless `adjusted` says else.
        weights: SHA-256 of the tensors that each part ("face", "fusion" …) was loaded from; empty for a built model.

    Raises:
        ArgumentError: if two encoders have the same modality, labels differ, or the head was trained on tokens of
            another width; or priors are no positive shares of the labels.

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
        priors: Mapping[str, Shares] | None = None,
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
        self.priors = {modality: shares(fusion.labels, one) for modality, one in (priors or {}).items()}
        self.prior = np.full(len(fusion.labels), 1 / len(fusion.labels))
        self.weights: dict[str, str] = {}
        self._corrections: tuple[Mapping[str, Correction], ...] = ()

    @property
    def labels(self) -> LabelSet:
        """The classes of all scores."""
        return self.fusion.labels

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the model has an encoder for."""
        return tuple(self.encoders)

    def adjusted(self, prior: Prior = "balanced", *corrections: Mapping[str, Correction]) -> EmotionModel:
        """The same model, with scores under another prior and corrected log scores.

        Args:
            prior: "balanced": every label is equally likely beforehand. "natural": as in the material that the encoders
                were trained on, counted once. Or the share of each label, as in `{"neutral": 0.6, …}`: those that are
                not named share the rest.
            corrections: of modalities, applied to their log scores one after the other, before they are fused.

        Raises:
            ArgumentError: for a prior that is none.
        """
        other = copy(self)
        other._corrections = corrections
        check_prior(prior)
        if isinstance(prior, Mapping):
            other.prior = shares(self.labels, prior)
        elif prior == "natural":
            logs = [np.log(one) for modality, one in self.priors.items() if modality in self.encoders]
            other.prior = softmax(np.mean(logs, axis=0)) if logs else other.prior
        else:
            other.prior = np.full(len(self.labels), 1 / len(self.labels))
        return other

    def with_encoder(self, encoder: Encoder) -> EmotionModel:
        """The same model with another encoder of one modality, for which everything else, as calibration, fits."""
        other = copy(self)
        other.encoders = {**self.encoders, encoder.modality: encoder}
        return other

    def check_made_with(self, what: str, labels: Sequence[str], weights: Mapping[str, str], name: str) -> None:
        """Refuse what was made with other labels or weights than these.

        Args:
            what: was made, as in "baseline".
            labels: that it has.
            weights: SHA-256 of the weights it was made with, by modality, as far as they are known.
            name: of the model it was made with.

        Raises:
            ArgumentError: see above.
        """
        if tuple(labels) != self.labels.labels or differ(weights, self.weights):
            raise ArgumentError(
                f"The {what} was made with the model {name!r} or other weights of it, and this is {self.name!r}: its "
                f"scores are others. Make the {what} again with this model."
            )

    def encode(self, modality: str, windows: Sequence[Evidence]) -> Encoding:
        """Encoding of B windows by one encoder, calibrated, without its prior, and corrected.

        A window without the modality is all masked.
        """
        encoder = self.encoders[modality]
        quality = np.array([quality_of(window, modality) for window in windows], np.float32)
        return self.calibrate(modality, replace(_encode(encoder, windows), quality=quality))

    def calibrate(self, modality: str, encoding: Encoding) -> Encoding:
        """What an encoder gave: calibrated, without its prior, and corrected."""
        encoding = replace(encoding, logits=self.calibrate_logits(modality, encoding.logits))
        for corrections in self._corrections:
            if modality in corrections:
                encoding = corrections[modality](encoding)
        return encoding

    def calibrate_logits(self, modality: str, logits: np.ndarray) -> np.ndarray:
        """Logits (…, K) of an encoder over its temperature, less the logarithm of its prior; float32."""
        calibrated = logits / self.temperatures[modality]
        if modality in self.priors:
            calibrated = calibrated - np.log(self.priors[modality])
        return np.asarray(calibrated, np.float32)

    def scores(self, encoding: Encoding) -> np.ndarray:
        """Scores (B, K) float64 of one modality, under the model's prior; rows where it is absent mean nothing."""
        return self._under_prior(log_softmax(encoding.logits.astype(float)))

    def fuse(self, encodings: Mapping[str, Encoding]) -> np.ndarray:
        """Fused scores (B, K) float64 of calibrated encodings, under the model's prior."""
        with np.errstate(divide="ignore"):  # a head may give 0
            return self._under_prior(np.log(self.fusion.fuse(encodings)))

    def _under_prior(self, log_scores: np.ndarray) -> np.ndarray:
        return softmax(log_scores + np.log(self.prior))

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
            "priors": {modality: self.labels.scores(one) for modality, one in self.priors.items()},
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
        priors = checkpoint.config.get("priors", {})
        try:
            model = cls(encoders, fusion, temperatures, name or str(folder), priors)
        except (AttributeError, TypeError, ValueError) as error:
            raise WeightsError(f"The priors of the model in {folder} are damaged: {error}.") from None
        model.weights = {part: tensors_sha256(Path(folder) / part) for part in (*model.modalities, FUSION)}
        return model


def differ(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two models' weights, SHA-256 by part, are known to differ in a part that both have."""
    return any(other.get(part, sha256) != sha256 for part, sha256 in one.items())


def check_prior(prior: Prior) -> None:
    """Refuse what is no prior; that its labels are the model's is checked by `EmotionModel.adjusted`.

    Raises:
        ArgumentError: see above.
    """
    named = isinstance(prior, str) and prior in ("balanced", "natural")
    numbers = isinstance(prior, Mapping) and all(isinstance(one, int | float | np.number) for one in prior.values())
    if not named and not numbers:
        raise ArgumentError(f'prior: expected "balanced", "natural" or the share of each label, got {prior!r}.')


def shares(labels: LabelSet, given: Shares) -> np.ndarray:
    """(K,) float64: the share of each label, summing to 1. Labels that are not named share what the others leave.

    Raises:
        ArgumentError: for a label that is none of these, or shares that are not positive or don't sum to 1.
    """
    for label in given:
        if label not in labels:
            raise ArgumentError(expected_one_of("Label of a prior", labels, label))
    if all(0 < share <= 1 for share in given.values()):
        unnamed = [label for label in labels if label not in given]
        left = 1 - sum(given.values())
        values = np.array([given.get(label, left / max(1, len(unnamed))) for label in labels], float)
        if (values > 0).all() and abs(values.sum() - 1) < 0.01:
            return np.asarray(values / values.sum())
    raise ArgumentError(
        f"A prior is the share of each label, all above 0 and 1 together, got {dict(given)}. "
        "A label that hardly occurs has a small share, such as 0.001."
    )


def _encode(encoder: Encoder, windows: Sequence[Evidence]) -> Encoding:
    """The encoder's own output, with all-masked rows where the modality is absent."""
    if isinstance(encoder, WindowsEncoder):
        return encoder.encode_windows(windows)
    prepared = [encoder.prepare(window) for window in windows]
    rows = [row for row, item in enumerate(prepared) if item is not None]
    if not rows:
        return absent(len(windows), encoder.dim, len(encoder.labels))
    part = encoder.encode([item for item in prepared if item is not None])
    if len(rows) == len(windows):
        return part
    tokens = np.zeros((len(windows), *part.tokens.shape[1:]), np.float32)
    mask = np.zeros(tokens.shape[:2], bool)
    logits = np.zeros((len(windows), len(encoder.labels)), np.float32)
    tokens[rows], mask[rows], logits[rows] = part.tokens, part.mask, part.logits
    affect = None
    if part.affect is not None:
        affect = np.zeros((len(windows), 3), np.float32)
        affect[rows] = part.affect
    vocal_burst = None
    if part.vocal_burst is not None:
        vocal_burst = np.zeros(len(windows), np.float32)
        vocal_burst[rows] = part.vocal_burst
    return Encoding(tokens, mask, logits, affect=affect, vocal_burst=vocal_burst)


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
