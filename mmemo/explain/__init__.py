"""Why a model says what it says: `mmemo.explain.face` and `mmemo.explain.text` (extra ``explain``)."""

from mmemo.explain.grad_cam import FaceExplanation, face
from mmemo.explain.words import TextExplanation, text

__all__ = ["FaceExplanation", "TextExplanation", "face", "text"]
