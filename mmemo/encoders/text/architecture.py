"""Shape of the network of words; saved with its weights."""

from __future__ import annotations

from dataclasses import dataclass

from mmemo.document import Count
from mmemo.labels import EKMAN7


@dataclass(frozen=True)
class TextArchitecture:
    """Sizes of a `TextNetwork`; the defaults are those of all-MiniLM-L6-v2 with a vocabulary of its own.

    Attributes:
        vocabulary: V, the number of word pieces.
        dim: D, the width of a token.
        layers: number of transformer layers.
        heads: attention heads of each layer.
        inner: width of the feed-forward blocks.
        positions: highest number of tokens of a text, with the two special ones; longer texts are cut.
        classes: K.
        dropout: in training.
        affect: outputs of a second head: 3 for valence, arousal and dominance, 0 for none.
    """

    vocabulary: int
    dim: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1536
    positions: Count = 128
    classes: int = len(EKMAN7)
    dropout: float = 0.1
    affect: int = 0
