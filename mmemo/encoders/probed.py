"""An encoder with other classes than it was trained for: a linear probe on its mean token gives the scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.probe import LinearProbe
from mmemo.encoders.saved import SavedEncoder, load_encoder
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence
from mmemo.files import replacing
from mmemo.labels import LabelSet

_PROBE, _SETTINGS = "probe.safetensors", "probe.json"


class ProbedEncoder:
    """Tokens of another encoder, which stays as it is, and log scores of labels of your own.

    Args:
        base: gives the tokens.
        probe: fitted on its mean tokens, see `mean_tokens`.
        labels: classes of the probe.

    Raises:
        ArgumentError: if the probe takes another number of features, or gives another number of classes.
    """

    def __init__(self, base: Encoder, probe: LinearProbe, labels: LabelSet) -> None:
        if probe.weights.shape != (base.dim, len(labels)):
            raise ArgumentError(
                f"ProbedEncoder: the {base.modality} encoder gives {base.dim} features and there are {len(labels)} "
                f"labels, the probe is {probe.weights.shape}."
            )
        self.base, self.probe, self.labels = base, probe, labels
        self.modality, self.dim = base.modality, base.dim

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """What the encoder beneath takes in."""
        return self.base.prepare(evidence)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Its tokens, with the probe's log scores."""
        found = self.base.encode(batch)
        logits = self.probe.logits(mean_tokens(found)).astype(np.float32)
        return Encoding(found.tokens, found.mask, logits, found.quality, found.affect)

    def save(self, folder: str | Path) -> Path:
        """Write the encoder beneath, and the probe beside its files.

        Raises:
            ArgumentError: if the encoder beneath can't be saved.
        """
        if not isinstance(self.base, SavedEncoder):
            raise ArgumentError(f"The {self.modality} encoder can't be saved: it has no method save(folder).")
        with replacing(folder) as partial:
            inner = self.base.save(partial / "inner")
            for file in inner.iterdir():
                file.rename(partial / file.name)
            inner.rmdir()
            (partial / _PROBE).write_bytes(save(self.probe.state()))
            settings = {"base": type(self.base).__name__, "name": self.labels.name, "labels": list(self.labels)}
            (partial / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote.

        Raises:
            UnknownModelError, WeightsError: if the folder holds none, or it is damaged.
        """
        folder = Path(folder)
        if not (folder / _SETTINGS).is_file():
            raise UnknownModelError(f"No probe in {folder}: expected {_SETTINGS} and {_PROBE} there.")
        try:
            settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
            probe = LinearProbe.from_state(load((folder / _PROBE).read_bytes()))
            labels = LabelSet(settings["name"], tuple(settings["labels"]))
            base = load_encoder(settings["base"], folder, device)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise WeightsError(f"{folder}: the probe is damaged ({error}). Train it again.") from None
        return cls(base, probe, labels)


def mean_tokens(encoding: Encoding) -> np.ndarray:
    """(B, D) float64: the mean valid token of each window; zeros where the modality is absent."""
    valid = np.where(encoding.mask[:, :, None], encoding.tokens, 0).astype(np.float64)
    return np.asarray(valid.sum(axis=1) / np.maximum(encoding.mask.sum(axis=1), 1)[:, None])
