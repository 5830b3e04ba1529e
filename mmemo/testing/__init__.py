"""For tests, yours and ours: checks of encoders and fusion heads, and sequences with micro-expressions."""

from mmemo.testing.checks import TinyEncoder, check_encoder, check_fusion
from mmemo.testing.micro import MadeSequence, Movement, Unrest, brow_raise, corpus_flow, smile_corner

__all__ = [
    "MadeSequence",
    "Movement",
    "TinyEncoder",
    "Unrest",
    "brow_raise",
    "check_encoder",
    "check_fusion",
    "corpus_flow",
    "smile_corner",
]
