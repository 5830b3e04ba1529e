"""Explanations of scores: `mmemo.explain.face`, `.voice` and `.text`.

Those of face and text need the extra ``explain``.
"""

from mmemo.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
