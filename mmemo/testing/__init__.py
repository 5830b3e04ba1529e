"""For tests, yours and ours: checks of encoders and fusion heads, and sequences with micro-expressions."""

from mmemo.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
