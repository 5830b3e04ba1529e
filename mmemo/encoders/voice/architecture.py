"""Shape of the network of voices; saved with its weights."""

from __future__ import annotations

from dataclasses import dataclass

from mmemo.document import Count

HOP = 320
"""Samples between two frames: 50 a second at 16 kHz. Frame t is centered on sample 320 t."""


@dataclass(frozen=True)
class VoiceArchitecture:
    """Shape of a `VoiceNetwork`, with the names of ``transformers.WhisperConfig``; the defaults are Whisper tiny's.

    Attributes:
        frames_per_token: frames of 20 ms that are averaged into one token of the encoder.
    """

    num_mel_bins: int = 80
    d_model: Count = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    frames_per_token: Count = 5
