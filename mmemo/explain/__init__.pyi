from .grad_cam import FaceExplanation as FaceExplanation
from .grad_cam import face as face
from .integrated_gradients import TextExplanation as TextExplanation
from .integrated_gradients import text as text
from .occlusion import VoiceExplanation as VoiceExplanation
from .occlusion import voice as voice
