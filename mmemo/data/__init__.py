"""Corpora as manifests of clips: reading, splitting, encoding, caching and auditing them."""

from mmemo.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
