"""Encoder with labels of your own: the tokens of another encoder, scored by a linear probe on their mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mmemo.encoders.base import Encoder, Encoding, SavableEncoder
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.registry import load_encoder
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence
from mmemo.files import replacing
from mmemo.labels import LabelSet
from mmemo.reading import parse_json, read_bytes

_PROBE, _SETTINGS = "probe.safetensors", "probe.json"


class ProbeEncoder:
    """Encoder with the tokens of a frozen one and log scores of labels of your own.

    Args:
        base: the frozen encoder.
        probe: fitted on its mean tokens, see `mean_tokens`.
        labels: classes of the probe.

    Raises:
        ArgumentError: if the probe has another number of features or classes.

    >>> import numpy as np
    >>> from mmemo.encoders.linear_probe import LinearProbe
    >>> from mmemo.encoders.probe_encoder import ProbeEncoder
    >>> from mmemo.evidence import Evidence, TextEvidence
    >>> from mmemo.labels import LabelSet
    >>> from mmemo.testing import TinyEncoder
    >>> probe = LinearProbe(np.zeros(4), np.ones(4), np.ones((4, 2)), np.zeros(2))
    >>> encoder = ProbeEncoder(TinyEncoder(), probe, LabelSet("mine", ("calm", "tense")))
    >>> window = Evidence(0.0, 1.0, text=TextEvidence("Good.", "en", 1.0, 1.0))
    >>> encoder.encode([encoder.prepare(window)]).logits.shape
    (1, 2)
    """

    def __init__(self, base: Encoder, probe: LinearProbe, labels: LabelSet) -> None:
        if probe.weights.shape != (base.dim, len(labels)):
            raise ArgumentError(
                f"ProbeEncoder: the {base.modality} encoder has {base.dim} features and there are {len(labels)} "
                f"labels, the probe is {probe.weights.shape}."
            )
        self.base, self.probe, self.labels = base, probe, labels
        self.modality, self.dim = base.modality, base.dim

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """Input of the frozen encoder."""
        return self.base.prepare(evidence)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Tokens of the frozen encoder, with the logits of the probe."""
        encoding = self.base.encode(batch)
        return replace(encoding, logits=self.probe.logits(mean_tokens(encoding)).astype(np.float32))

    def save(self, folder: str | Path) -> Path:
        """Write the frozen encoder into ``folder``, and the probe beside its files.

        Raises:
            ArgumentError: if the frozen encoder can't be saved.
        """
        if not isinstance(self.base, SavableEncoder):
            raise ArgumentError(f"The {self.modality} encoder can't be saved: it has no method save(folder).")
        with replacing(folder) as partial:
            inner = self.base.save(partial / "inner")
            for file in inner.iterdir():
                file.rename(partial / file.name)
            inner.rmdir()
            (partial / _PROBE).write_bytes(save(self.probe.state()))
            settings = {"base": type(self.base).__name__, "labels": self.labels.to_config()}
            (partial / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", classes: Sequence[type] = ()) -> Self:
        """Read what `save` wrote.

        Raises:
            UnknownModelError, WeightsError: if the folder holds none, or it is damaged.
        """
        folder = Path(folder)
        if not (folder / _SETTINGS).is_file():
            raise UnknownModelError(f"No probe in {folder}: expected {_SETTINGS} and {_PROBE} there.")
        try:
            settings = parse_json(read_bytes(folder / _SETTINGS))
            probe = LinearProbe.from_state(load((folder / _PROBE).read_bytes()))
            labels = _read_labels(settings)
            base = load_encoder(settings["base"], folder, device, classes)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise WeightsError(f"{folder}: the probe is damaged ({error}). Train it again.") from None
        return cls(base, probe, labels)


def _read_labels(settings: dict[str, Any]) -> LabelSet:
    """The labels of a probe; the first version had their name beside them."""
    labels = settings["labels"]
    return LabelSet.from_config({"name": settings["name"], "labels": labels} if "name" in settings else labels)


def mean_tokens(encoding: Encoding) -> np.ndarray:
    """Mean valid token (B, D) float64 of each window; zeros where the modality is absent.

    >>> import numpy as np
    >>> from mmemo.encoders.base import Encoding
    >>> from mmemo.encoders.probe_encoder import mean_tokens
    >>> tokens, mask = np.array([[[1.0], [3.0], [0.0]]], np.float32), np.array([[True, True, False]])
    >>> mean_tokens(Encoding(tokens, mask, np.zeros((1, 2), np.float32)))
    array([[2.]])
    """
    valid = np.where(encoding.mask[:, :, None], encoding.tokens, 0).astype(np.float64)
    return np.asarray(valid.sum(axis=1) / np.maximum(encoding.mask.sum(axis=1), 1)[:, None])
