"""Encoders: evidence of one window in, tokens and class scores out.

Names are imported when they are first used, as torch takes a second.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
