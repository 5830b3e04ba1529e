"""Cross-attention fusion: the tokens of all modalities meet in a few bottleneck tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmemo.errors import ArgumentError
from mmemo.fusion.network_fusion import NetworkFusion, Training
from mmemo.labels import LabelSet
from mmemo.onnx_network import OnnxNetwork

if TYPE_CHECKING:
    from mmemo.fusion.network import FusionNetwork

MOST_PARAMETERS = 3_000_000
"""A larger network overfits the few thousand clips that corpora have."""


class CrossAttentionFusion(NetworkFusion):
    """Token-level fusion by attention bottlenecks.

    In every layer the tokens of each modality, and one made of its expert's log scores, attend to each other and to a
    few bottleneck tokens that all modalities share; the bottlenecks take the mean of the updates by those present. So
    each modality attends to the others through a narrow place, which costs little and overfits less than attention of
    all to all. Each modality then has logits of its own, weighted by a gate. Source: Nagrani et al., "Attention
    bottlenecks for multimodal fusion", NeurIPS 2021.

    Args:
        labels: classes of every expert, and of the fused scores.
        dims: token width of each modality.
        width: of the tokens inside.
        layers: number of layers.
        heads: of attention, in each layer.
        bottlenecks: number of tokens through which the modalities exchange information.
        exported: the network in ONNX Runtime; without it one is built in torch.

    Raises:
        ArgumentError: if that makes more than 3 million parameters, or ``width`` is no multiple of ``heads``.

    >>> import numpy as np
    >>> from mmemo.fusion.cross_attention import CrossAttentionFusion
    >>> from mmemo.fusion.late import scores_only
    >>> from mmemo.labels import LabelSet
    >>> head = CrossAttentionFusion(LabelSet("two", ("calm", "tense")), {"face": 1, "voice": 1}, width=16, layers=1)
    >>> head.fuse({"face": scores_only(np.zeros((3, 2)))}).shape
    (3, 2)
    """

    kind = "cross-attention"
    settings = ("width", "layers", "heads", "bottlenecks")
    training = Training(epochs=40, patience=6)

    def __init__(
        self,
        labels: LabelSet,
        dims: Mapping[str, int],
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        bottlenecks: int = 4,
        *,
        exported: OnnxNetwork | None = None,
    ) -> None:
        if width % heads:
            raise ArgumentError(f"CrossAttentionFusion: width {width} must be a multiple of {heads} heads.")
        shape = {"width": width, "layers": layers, "heads": heads, "bottlenecks": bottlenecks}
        super().__init__(labels, dims, shape, exported)

    def _build(self) -> FusionNetwork:
        from mmemo.fusion.cross_attention_network import CrossAttentionNetwork

        network = CrossAttentionNetwork(tuple(self.dims.values()), len(self.labels), **self.shape)
        size = sum(parameter.numel() for parameter in network.parameters())
        if size > MOST_PARAMETERS:
            raise ArgumentError(
                f"CrossAttentionFusion would have {size:,} parameters, more than {MOST_PARAMETERS:,}: "
                "choose a smaller width or fewer layers."
            )
        return network
