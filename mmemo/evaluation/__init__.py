"""Measures of predictions, each with its source, and what surrounds them: intervals, calibration, reliance."""

from mmemo.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
