"""The fusion heads that a saved model may name; see `mmemo.encoders.registry`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmemo.encoders.registry import Registry
from mmemo.errors import WeightsError
from mmemo.fusion.base import FusionHead
from mmemo.labels import LabelSet
from mmemo.onnx_network import OnnxNetwork

HEADS = Registry(
    what="fusion head",
    attribute="kind",
    group="mmemo.fusion",
    builtin={
        "late": "mmemo.fusion.late:LateFusion",
        "mean": "mmemo.fusion.late:RuleFusion",
        "max": "mmemo.fusion.late:RuleFusion",
        "gated": "mmemo.fusion.gated:GatedFusion",
        "stacked": "mmemo.fusion.stacked:StackedFusion",
        "boosting": "mmemo.fusion.boosting:BoostingFusion",
        "concat": "mmemo.fusion.concat:ConcatFusion",
        "cross-attention": "mmemo.fusion.cross_attention:CrossAttentionFusion",
    },
)


def load_head(
    labels: LabelSet,
    settings: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    classes: Sequence[type] = (),
    network: OnnxNetwork | None = None,
) -> FusionHead:
    """Rebuild a head from what `FusionHead.state` gave.

    Args:
        classes: of heads that are not mmemo's own.
        network: of a head that was exported.

    Raises:
        WeightsError: if its class is not known, or settings and arrays don't fit it.
    """
    kind = settings.get("kind")
    if kind == "stacked" and settings.get("learner") == "boosting":
        kind = "boosting"  # the first version kept both under one name
    head_class = HEADS.find(str(kind), classes)
    if not hasattr(head_class, "from_state"):
        raise WeightsError(f"The fusion head {head_class.__name__} can't be read: it has no from_state(…).")
    try:
        head: FusionHead = (
            head_class.from_graph(labels, settings, arrays, network)
            if network is not None and hasattr(head_class, "from_graph")
            else head_class.from_state(labels, settings, arrays)
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"The settings and arrays of the fusion head {kind!r} don't fit this version of it ({error}). "
            "Train it again."
        ) from error
    return head
