"""Shapes of the networks of faces; saved with their weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from mmemo.document import Count, from_document
from mmemo.errors import ArgumentError, expected_one_of


@dataclass(frozen=True)
class FaceArchitecture:
    """The shape of a `FaceNetwork`; saved with its weights.

    Attributes:
        size: side in pixels of the images it was trained on and is used on.
        widths: channels of each stage; every stage after the first halves height and width.
        depths: residual blocks of each stage.
        classes: K.
        heads: H, linear classifiers on the same features: one for each way the training images were annotated.
        dropout: of the pooled features, in training.
    """

    size: Count = 64
    widths: Annotated[tuple[Count, ...], Meta(min_length=1)] = (32, 64, 128, 256)
    depths: tuple[Count, ...] = (2, 2, 2, 2)
    classes: Count = 7
    heads: Count = 1
    dropout: float = 0.2

    @property
    def dim(self) -> int:
        """D, the width of the features."""
        return self.widths[-1]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FaceArchitecture:
        """The inverse of `to_dict`.

        Raises:
            ArgumentError: if a value is missing or of another type.
        """
        return from_document(cls, values, closed=True)


KINDS = ("inflated", "lstm")


@dataclass(frozen=True)
class SequenceArchitecture:
    """Shape of a sequence network; saved with its weights.

    Attributes:
        image: shape of the image network inside it.
        kind: "inflated" or "lstm".
        kernel: frames of one temporal convolution of the inflated network, odd.
        hidden: width of the LSTM in each direction.

    Raises:
        ArgumentError: for another kind, or an even kernel.
    """

    image: FaceArchitecture = field(default_factory=FaceArchitecture)
    kind: Literal["inflated", "lstm"] = "inflated"
    kernel: int = 3
    hidden: Count = 64

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(expected_one_of("Kind of sequence network", KINDS, self.kind))
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ArgumentError(f"The temporal kernel must be odd, got {self.kernel}.")

    @property
    def dim(self) -> int:
        """D, the width of a token."""
        return self.image.dim if self.kind == "inflated" else 2 * self.hidden

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SequenceArchitecture:
        """The inverse of `to_dict`.

        Raises:
            ArgumentError: if a value is missing or of another type.
        """
        return from_document(cls, values, closed=True)
