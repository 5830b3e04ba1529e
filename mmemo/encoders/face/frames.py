"""Shared base of the encoders that score single frames of a face: choice of frames, and pooling over a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from mmemo.encoders.base import Encoding, pad_tokens
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.labels import LabelSet


@dataclass(frozen=True)
class Doubt:
    """Temperature that rises as quality falls: log scores of a window are multiplied by ``confidence(quality)``.

    Scores become flatter, and the label with the highest score stays.

    Attributes:
        amount: by how much the temperature rises, down to quality zero; 0 for not at all.
        trusted: quality from which on scores are taken as they are.

    >>> from mmemo.encoders.face.frames import Doubt
    >>> Doubt(amount=1.0, trusted=0.5).confidence(0.0)
    0.5
    """

    amount: Annotated[float, Meta(ge=0)] = 0.0
    trusted: Annotated[float, Meta(gt=0)] = 1.0

    def confidence(self, quality: float) -> float:
        """1 from ``trusted`` on, down to ``1 / (1 + amount)`` at quality 0."""
        return 1 / (1 + self.amount * max(0.0, 1 - quality / self.trusted))


NO_DOUBT = Doubt()


class FaceFrameEncoder:
    """Base of the encoders of single frames; a subclass says how a frame becomes the input of its model, and runs it.

    Args:
        labels: classes, in the order of the logits.
        dim: D, the width of a token.
        shape: (C, …) of one prepared frame without its quality.
        frames: highest number of frames of one window that are encoded.
        floor: frames of a lower quality are not encoded.
        doubt: flattening of the scores where the quality is low; none by default.
        modality: name of the modality.
    """

    modality: str = "face"

    def __init__(
        self,
        labels: LabelSet,
        dim: int,
        shape: tuple[int, ...],
        *,
        frames: int,
        floor: float,
        doubt: Doubt = NO_DOUBT,
        modality: str = "face",
    ) -> None:
        self.labels, self.dim, self.modality = labels, dim, modality
        self.frames, self.floor, self.doubt = frames, floor, doubt
        self._shape = (shape[0] + 1, *shape[1:])

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """Model input of one window: the best frames, each with its quality.

        Returns:
            (T, C + 1, …) float32 with T at most ``frames``: C channels of model input, and in the last one the frame's
            quality in [0, 1]. None if the window has no face, or none of at least the quality ``floor``.
        """
        face = evidence.face
        if face is None:
            return None
        chosen = choose_frames(face.times, face.quality, self.frames, self.floor)
        if not len(chosen):
            return None
        inputs = self._inputs(face, chosen)
        quality = face.quality[chosen].reshape(-1, *[1] * (inputs.ndim - 1))
        plane = np.broadcast_to(quality, (len(inputs), 1, *inputs.shape[2:]))
        return np.concatenate([inputs, plane], axis=1, dtype=np.float32)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows of any lengths.

        A token is the feature vector of one frame. The logits of a window are the mean of its frames' log scores,
        weighted by quality (`pool_frames`).

        Raises:
            ArgumentError: if the batch is empty, or a window does not have the shape that `prepare` returns.
        """
        name = type(self).__name__
        if not len(batch):
            raise ArgumentError(f"{name}.encode: expected at least one window, got an empty batch.")
        for window in batch:
            if window.shape[1:] != self._shape or not len(window):
                expected = ", ".join(map(str, ("T", *self._shape)))
                raise ArgumentError(f"{name}.encode: expected windows ({expected}), got {window.shape}.")
        features, scores = self._score([window[:, :-1] for window in batch])
        quality = [window[:, -1].reshape(len(window), -1)[:, 0] for window in batch]
        return pool_frames(features, scores, quality, self.doubt)

    def _inputs(self, face: FaceEvidence, chosen: np.ndarray) -> np.ndarray:
        """Model input (T, C, …) of the frames with the indices ``chosen`` (T,)."""
        raise NotImplementedError

    def _score(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Features (M, D) and log scores (M, K), float32, of the M frames of all windows, one window after another."""
        raise NotImplementedError


def choose_frames(times: np.ndarray, quality: np.ndarray, count: int, floor: float) -> np.ndarray:
    """Indices of the frames of a window that are encoded: the best one of each of ``count`` equal slots of time.

    Spread over time, because neighboring frames are nearly the same; the best of a slot, because blinks and blurs pass.

    Args:
        times: (N,) seconds, rising.
        quality: (N,) in [0, 1].
        count: highest number of frames.
        floor: frames of a lower quality are never chosen.

    Returns:
        (T,) indices, rising, T at most ``count``; empty if no frame is good enough.
    """
    usable = np.flatnonzero(quality >= floor)
    if len(usable) <= count:
        return usable
    start, span = times[usable[0]], max(float(times[usable[-1]] - times[usable[0]]), 1e-9)
    slots = np.minimum((times[usable] - start) / span * count, count - 1).astype(int)
    return np.array([max(usable[slots == slot], key=lambda i: quality[i]) for slot in np.unique(slots)])


def pool_frames(
    features: np.ndarray, scores: np.ndarray, quality: Sequence[np.ndarray], doubt: Doubt | None = None
) -> Encoding:
    """Encoding of B windows from the features and scores of their M frames, one window after another.

    Args:
        features: (M, D) float32, which become the tokens.
        scores: (M, K) float32 log scores. Those of a window are the mean over its frames, weighted by quality: a
            product of experts that a few blurred or turned-away frames can't outvote.
        quality: (T,) in [0, 1] for each window; the T sum to M.
        doubt: flattening of the log scores of a window of low quality; None for none.
    """
    ends = np.cumsum([len(part) for part in quality])[:-1]
    tokens, mask = pad_tokens(np.split(features, ends), features.shape[1])
    logits = np.empty((len(quality), scores.shape[1]), np.float32)
    for row, (own, part) in enumerate(zip(np.split(scores, ends), quality, strict=True)):
        weights = part + 1e-6
        logits[row] = np.average(own, axis=0, weights=weights)
        if doubt is not None:
            logits[row] *= doubt.confidence(float(np.average(part, weights=weights)))
    return Encoding(tokens, mask, logits)
