"""Explanations of scores: `mmemo.explain.face`, `.voice` and `.text` (extra ``explain`` for face and text)."""

from mmemo.explain.grad_cam import FaceExplanation, face
from mmemo.explain.integrated_gradients import TextExplanation, text
from mmemo.explain.occlusion import VoiceExplanation, voice

__all__ = ["FaceExplanation", "TextExplanation", "VoiceExplanation", "face", "text", "voice"]
