"""Encoders: evidence of one window in, tokens and class scores out.

Names are imported when they are first used; some need an extra.
"""

from mmemo.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
