"""The contract of an encoder: evidence of one window in, tokens and class scores out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence
from mmemo.labels import LabelSet

if TYPE_CHECKING:
    import torch

QUALITIES = ("coverage", "trust")
"""Columns of `Encoding.quality`."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """The output of an encoder for a batch of B windows: tokens, mask and class scores.

    Attributes:
        tokens: (B, T, D) float32. Rows beyond a window's own length are padding, and zero.
        mask: (B, T) bool, True = valid. A row that is all False is a window in which the modality is absent.
        logits: (B, K) float32, unnormalized log scores in the order of the encoder's labels.
        quality: (B, 2) float32 in [0, 1]: the share of the window with evidence, and how far that can be trusted
            (`mmemo.encoders.modality`). An encoder leaves it out; the model fills it in. None counts as all 1.
        affect: (B, 3) float32, valence, arousal and dominance from -1 to 1, of an encoder that predicts them; NaN for
            one that it doesn't predict; None where it predicts none.
        vocal_burst: (B,) float32 in [0, 1], the probability that a window's voice is a vocal burst (a laugh, a cry, a
            sigh) rather than speech, of an encoder that predicts it; else None.

    Raises:
        ArgumentError: if the shapes don't agree, or a valid value is not finite.

    >>> import numpy as np
    >>> from mmemo.encoders.base import Encoding
    >>> encoding = Encoding(
    ...     tokens=np.zeros((2, 3, 4), np.float32),
    ...     mask=np.array([[True, True, False], [False, False, False]]),
    ...     logits=np.zeros((2, 7), np.float32),
    ... )
    >>> encoding.present
    array([ True, False])
    """

    tokens: np.ndarray
    mask: np.ndarray
    logits: np.ndarray
    quality: np.ndarray | None = None
    affect: np.ndarray | None = None
    vocal_burst: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.tokens.ndim != 3 or self.mask.shape != self.tokens.shape[:2] or self.mask.dtype != bool:
            raise ArgumentError(
                "Encoding: expected tokens (B, T, D) and a bool mask (B, T), "
                f"got {self.tokens.shape} and {self.mask.dtype} {self.mask.shape}."
            )
        if self.logits.ndim != 2 or len(self.logits) != len(self.tokens):
            raise ArgumentError(
                f"Encoding: expected logits (B, K) with B = {len(self.tokens)}, got {self.logits.shape}."
            )
        present = self.present
        if not np.isfinite(self.logits[present]).all() or not np.isfinite(self.tokens[present]).all():
            raise ArgumentError("Encoding: tokens and logits must be finite; a valid row holds NaN or infinity.")
        if self.quality is not None and (
            self.quality.shape != (len(self.tokens), len(QUALITIES))
            or not ((self.quality[present] >= 0) & (self.quality[present] <= 1)).all()
        ):
            raise ArgumentError(
                f"Encoding: expected quality (B, {len(QUALITIES)}) within 0 to 1 for {QUALITIES}, "
                f"got {self.quality.shape}."
            )
        if self.affect is not None and (
            self.affect.shape != (len(self.tokens), 3)
            or np.isinf(self.affect[present]).any()
            or (np.isnan(self.affect[present]).any(0) & ~np.isnan(self.affect[present]).all(0)).any()
        ):
            raise ArgumentError(
                f"Encoding: expected affect (B, 3) of numbers, or NaN in a whole column, with B = {len(self.tokens)}, "
                f"got {self.affect.shape}."
            )
        if self.vocal_burst is not None and (
            self.vocal_burst.shape != (len(self.tokens),)
            or not ((self.vocal_burst[present] >= 0) & (self.vocal_burst[present] <= 1)).all()
        ):
            raise ArgumentError(
                f"Encoding: expected vocal_burst (B,) within 0 to 1 with B = {len(self.tokens)}, "
                f"got {self.vocal_burst.shape}."
            )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def present(self) -> np.ndarray:
        """(B,) bool: the windows in which the modality is there."""
        return np.asarray(self.mask.any(axis=1))

    def rows(self, chosen: np.ndarray) -> Encoding:
        """Some rows, by their indices or by a (B,) bool."""
        quality = None if self.quality is None else self.quality[chosen]
        affect = None if self.affect is None else self.affect[chosen]
        burst = None if self.vocal_burst is None else self.vocal_burst[chosen]
        return Encoding(self.tokens[chosen], self.mask[chosen], self.logits[chosen], quality, affect, burst)

    def only(self, kept: np.ndarray) -> Encoding:
        """A copy with the modality absent from all rows but those where ``kept`` (B,) bool is True."""
        return replace(self, mask=self.mask & kept[:, None])

    def calibrate(self, temperature: float) -> Encoding:
        """A copy with logits divided by a temperature; see `mmemo.evaluation.calibration.fit_temperature`."""
        return replace(self, logits=(self.logits / temperature).astype(np.float32))


@runtime_checkable
class Encoder(Protocol):
    """The encoder of one modality. A plain class of this shape is all that a new modality needs.

    A model with it can be analyzed with at once. To save such a model, and to send it to other processes, the class
    must be a `SavableEncoder` too; `mmemo.testing.check_encoder` checks both.

    Attributes:
        modality: "face", "voice", "text", or a new one: "gaze", "heart-rate".
        dim: D, the width of a token.
        labels: the classes of the logits.

    >>> from mmemo.encoders.base import Encoder
    >>> from mmemo.testing import TinyEncoder
    >>> isinstance(TinyEncoder(), Encoder)
    True
    """

    modality: str
    dim: int
    labels: LabelSet

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The model's input of one window, or None where the modality is absent."""
        ...

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows, which may differ in length."""
        ...


@runtime_checkable
class WindowsEncoder(Encoder, Protocol):
    """An encoder that encodes neighboring windows together, so that what they share is computed once.

    >>> from mmemo.encoders.base import WindowsEncoder
    >>> from mmemo.testing import TinyEncoder
    >>> isinstance(TinyEncoder(), WindowsEncoder)  # it encodes each window by itself
    False
    """

    def encode_windows(self, windows: Sequence[Evidence]) -> Encoding:
        """Encode B windows, overlapping ones one after another; one without the modality is all masked."""
        ...


@runtime_checkable
class LooksEncoder(Encoder, Protocol):
    """An encoder whose scores of a single frame are the mean over several looks at it, turned or mirrored.

    A live session, which averages over frames anyway, takes the looks by turns.

    >>> from mmemo.encoders.base import LooksEncoder
    >>> from mmemo.testing import TinyEncoder
    >>> isinstance(TinyEncoder(), LooksEncoder)  # it looks once
    False
    """

    def looks(self) -> Sequence[Encoder]:
        """Encoders of one look each: the mean of their tokens and log scores of a frame is what this one gives."""
        ...


class Gradients(NamedTuple):
    """The differentiable part of a text encoder, for explanations.

    Attributes:
        log_share: of token ids (B, T) int64: the logarithm (B,) of one label's score.
        embedding: the layer that embeds the ids.
        special: ids of the special tokens.
        padding: id of the padding token.
    """

    log_share: Callable[[torch.Tensor], torch.Tensor]
    embedding: torch.nn.Module
    special: set[int]
    padding: int


def pad_tokens(windows: Sequence[np.ndarray], dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and mask of an `Encoding` from the tokens (T, D) of each of B windows, which may differ in length.

    Returns:
        (B, T, D) float32 with T the longest length, zero beyond each length, and (B, T) bool, True = valid.
    """
    tokens = np.zeros((len(windows), max(map(len, windows), default=0), dim), np.float32)
    mask = np.zeros(tokens.shape[:2], bool)
    for row, window in enumerate(windows):
        tokens[row, : len(window)], mask[row, : len(window)] = window, True
    return tokens, mask


def concatenate(encodings: Sequence[Encoding]) -> Encoding:
    """The windows of several encodings of one encoder, one after another; at least one, and none with `quality`."""
    tokens, mask = pad_tokens([row for one in encodings for row in one.tokens], encodings[0].tokens.shape[2])
    for row, valid in enumerate(valid for one in encodings for valid in one.mask):
        mask[row, : len(valid)] = valid
    affect = [one.affect for one in encodings if one.affect is not None]
    bursts = [one.vocal_burst for one in encodings if one.vocal_burst is not None]
    return Encoding(
        tokens,
        mask,
        np.concatenate([one.logits for one in encodings]),
        affect=np.concatenate(affect) if affect else None,
        vocal_burst=np.concatenate(bursts) if bursts else None,
    )


@runtime_checkable
class SavableEncoder(Encoder, Protocol):
    """An encoder that a model can save, and load back.

    A saved model names it by the name of its class. A class that is not mmemo's own is given when the model is loaded
    (``load_model(…, classes=[MyEncoder])``), or offered by an installed package as the entry point ``MyEncoder`` of the
    group ``mmemo.encoders``.

    >>> from mmemo.encoders import SavableEncoder
    >>> from mmemo.testing import TinyEncoder
    >>> isinstance(TinyEncoder(), SavableEncoder)  # it has no weights to save
    False
    """

    def save(self, folder: str | Path) -> Path:
        """Write weights and settings, its labels among them (`LabelSet.to_config`), into the new ``folder``.

        `mmemo.checkpoint.save_checkpoint` does so for settings in JSON and NumPy arrays.
        """
        ...

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote, and give the same encoder.

        An encoder that holds another one takes ``classes: Sequence[type] = ()`` too, and hands them on to
        `mmemo.encoders.registry.load_encoder`.

        Args:
            device: one of `mmemo.onnx_network.DEVICES`, "auto" among them (`mmemo.encoders.torch_network.torch_device`
                makes one of torch of it); what runs on the CPU only may leave it unused.
        """
        ...
