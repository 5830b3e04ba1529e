"""Concatenation fusion: the pooled tokens of all modalities side by side, and a small network over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmemo.fusion.network_fusion import NetworkFusion, Training
from mmemo.labels import LabelSet
from mmemo.onnx_network import OnnxNetwork

if TYPE_CHECKING:
    from mmemo.fusion.network import FusionNetwork


class ConcatFusion(NetworkFusion):
    """Early fusion: each modality's mean token and its expert's log scores, side by side, through one hidden layer.

    Tokens are standardized with the mean and deviation of the training samples. An absent modality is zeros and an
    indicator; modality dropout in training makes the network used to that. A modality's share is how far its part of
    the input moves the hidden layer, against all parts.

    Args:
        labels: classes of every expert, and of the fused scores.
        dims: token width of each modality.
        hidden: width of the hidden layer.
        exported: the network in ONNX Runtime; without it one is built in torch.

    >>> import numpy as np
    >>> from mmemo.fusion.concat import ConcatFusion
    >>> from mmemo.fusion.late import scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = ConcatFusion(LabelSet("two", ("calm", "tense")), {"face": 1, "voice": 1}, hidden=8)
    >>> head.fuse({"face": scores_only(np.zeros((3, 2)))}).shape
    (3, 2)
    """

    kind = "concat"
    settings = ("hidden",)
    training = Training(epochs=60, patience=8)

    def __init__(
        self, labels: LabelSet, dims: Mapping[str, int], hidden: int = 128, *, exported: OnnxNetwork | None = None
    ) -> None:
        super().__init__(labels, dims, {"hidden": hidden}, exported)

    def _build(self) -> FusionNetwork:
        from mmemo.fusion.concat_network import ConcatNetwork

        return ConcatNetwork(tuple(self.dims.values()), len(self.labels), **self.shape)
