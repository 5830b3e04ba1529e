"""Face encoder for movement: a network over the sequence of a window's crops, one token a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmemo.encoders.face.architecture import SequenceArchitecture
from mmemo.encoders.face.encoder import FaceEncoder, GrayCropEncoder

if TYPE_CHECKING:
    from mmemo.encoders.face.sequence_network import SequenceNetwork


class FaceSequenceEncoder(GrayCropEncoder["SequenceNetwork"]):
    """Encoder of the modality "face" (see `mmemo.encoders.base.Encoder`) around a sequence network.

    It encodes the same frames as `FaceEncoder`, in the order of time, and takes the same arguments. Windows of the same
    length go through the network together, since padding would be a frame like any other to it. They are not
    turned.

    >>> from mmemo.encoders.face.architecture import FaceArchitecture, SequenceArchitecture
    >>> from mmemo.encoders.face.encoder import FaceEncoder
    >>> from mmemo.encoders.face.network import FaceNetwork
    >>> from mmemo.encoders.face.sequence import FaceSequenceEncoder
    >>> from mmemo.labels import EKMAN7
    >>> image = FaceEncoder(FaceNetwork(FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1))), EKMAN7)
    >>> encoder = FaceSequenceEncoder.inflate(image, SequenceArchitecture(kind="lstm", hidden=6))
    >>> encoder.modality, encoder.dim
    ('face', 12)
    """

    kind = "face-sequence-encoder"

    @classmethod
    def inflate(cls, encoder: FaceEncoder, architecture: SequenceArchitecture) -> FaceSequenceEncoder:
        """A sequence encoder around a copy of an image encoder's network; until it is trained its scores are the same.

        Those of an encoder that turns its crops are the same but for that.

        Args:
            encoder: source of weights, frames, floor and labels.
            architecture: kind, kernel and hidden size; the shape of the image network is the encoder's.
        """
        from mmemo.encoders.face.sequence_network import build_network

        shape = encoder.network.architecture
        network = build_network(
            SequenceArchitecture(shape, architecture.kind, architecture.kernel, architecture.hidden)
        )
        network.image.load_state_dict(encoder.network.state_dict())
        settings: dict[str, Any] = {name: getattr(encoder, name) for name in ("frames", "floor", "mirror", "doubt")}
        return cls(network, encoder.labels, **settings)

    @staticmethod
    def _architecture(config: Mapping[str, Any]) -> SequenceArchitecture:
        return SequenceArchitecture.from_dict(config["architecture"])

    @classmethod
    def _build(cls, config: Mapping[str, Any]) -> SequenceNetwork:
        from mmemo.encoders.face.sequence_network import build_network

        return build_network(cls._architecture(config))

    def _score(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        by_row: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for length in {len(window) for window in windows}:
            rows = [row for row, window in enumerate(windows) if len(window) == length]
            features, scores = self._forward(np.stack([windows[row] for row in rows]))
            by_row |= dict(zip(rows, zip(features, scores, strict=True), strict=True))
        features, scores = (np.concatenate([by_row[row][part] for row in range(len(windows))]) for part in (0, 1))
        return features, scores
