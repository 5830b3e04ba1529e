"""Corpora as manifests of clips: reading, splitting, caching and auditing them.

Names are imported when they are first used: a manifest needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmemo.data.cache import FeatureCache
    from mmemo.data.checks.audit import audit
    from mmemo.data.dataset import ClipDataset, collate
    from mmemo.data.encoding import EncodedClips, encode
    from mmemo.data.manifest import Manifest

_HOMES = {
    "ClipDataset": "mmemo.data.dataset",
    "EncodedClips": "mmemo.data.encoding",
    "FeatureCache": "mmemo.data.cache",
    "Manifest": "mmemo.data.manifest",
    "audit": "mmemo.data.checks.audit",
    "collate": "mmemo.data.dataset",
    "encode": "mmemo.data.encoding",
}
__all__ = ["ClipDataset", "EncodedClips", "FeatureCache", "Manifest", "audit", "collate", "encode"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mmemo.data' has no attribute {name!r}")
