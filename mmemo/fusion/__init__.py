"""Fusion heads: calibrated encodings of any subset of modalities in, fused scores out."""

from mmemo.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
