"""Corpora as manifests of clips: reading, splitting, caching and auditing them."""

from mmemo.data.manifest import Manifest

__all__ = ["Manifest"]
