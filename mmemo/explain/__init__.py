"""Why a model says what it says: `mmemo.explain.face` for the face (extra ``explain``)."""

from mmemo.explain.grad_cam import FaceExplanation, face

__all__ = ["FaceExplanation", "face"]
