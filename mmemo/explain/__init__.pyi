from .grad_cam import FaceExplanation as FaceExplanation, face as face
from .integrated_gradients import TextExplanation as TextExplanation, text as text
from .occlusion import VoiceExplanation as VoiceExplanation, voice as voice
