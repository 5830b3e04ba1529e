from .base import Encoder as Encoder
from .base import Encoding as Encoding
from .base import SavableEncoder as SavableEncoder
from .face.action_units import ActionUnitEncoder as ActionUnitEncoder
from .face.backbone import ImageBackboneEncoder as ImageBackboneEncoder
from .face.backbone import load_image_backbone as load_image_backbone
from .face.blendshapes import BlendshapeEncoder as BlendshapeEncoder
from .face.encoder import FaceEncoder as FaceEncoder
from .face.sequence import FaceSequenceEncoder as FaceSequenceEncoder
from .linear_probe import LinearProbe as LinearProbe
from .probe_encoder import ProbeEncoder as ProbeEncoder
from .text.backbone import TextBackboneEncoder as TextBackboneEncoder
from .text.backbone import load_text_backbone as load_text_backbone
from .text.encoder import TextEncoder as TextEncoder
from .voice.backbone import (
    SpeechBackboneEncoder as SpeechBackboneEncoder,
)
from .voice.backbone import (
    load_speech_backbone as load_speech_backbone,
)
from .voice.encoder import VoiceEncoder as VoiceEncoder
from .voice.whisper_layers import WhisperLayersEncoder as WhisperLayersEncoder
