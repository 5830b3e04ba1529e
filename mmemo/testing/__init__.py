"""For tests, yours and ours: checks of encoders and fusion heads, and sequences with micro-expressions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
