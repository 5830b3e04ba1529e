"""Why a model says what it says: `mmemo.explain.face` (extra ``explain``) and `mmemo.explain.voice`."""

from mmemo.explain.grad_cam import FaceExplanation, face
from mmemo.explain.occlusion import VoiceExplanation, voice

__all__ = ["FaceExplanation", "VoiceExplanation", "face", "voice"]
