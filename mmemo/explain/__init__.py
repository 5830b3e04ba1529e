"""Explanations of scores: `mmemo.explain.face`, `.voice` and `.text`.

Those of face and text need the extra ``explain``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
