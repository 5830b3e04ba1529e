"""Evidence of one window of a clip, as extracted from its streams: plain data that the encoders take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from mmemo.document import rounded_to

Seconds = Annotated[float, rounded_to(3, description="Seconds.")]
SAMPLE_RATE = 16_000
"""Hz. Every waveform in mmemo is mono float32 at this rate."""
Channel = Literal["mix", "left", "right"]
"""Which channels of a sound are used: the mean of all, or one alone; of more than two the front ones."""


@dataclass(frozen=True, eq=False)
class FaceEvidence:
    """One person's face over one window; N is the number of frames in which it is detected, at least one.

    Attributes:
        person: stable id of the face track, from 0.
        times: (N,) float64, seconds from the start of the file, from presentation timestamps.
        crops: (N, S, S, 3) uint8 RGB face crops, aligned by `mmemo.faces.align.align`.
        quality: (N,) float32 in [0, 1]: image quality of each crop; 1 can be trusted fully.
        landmarks: (N, 478, 3) float32: x, y in pixels of the frame, z in the same scale.
        blendshapes: (N, 52) float32 in [0, 1], in the order of `mmemo.faces.BLENDSHAPES`.
        pose: (N, 3) float32: yaw, pitch, roll of the head in degrees.
        box: (N, 4) float32: left, top, right, bottom in pixels of the frame.
        frame_size: width and height of the frames in pixels.
        coverage: share of the window's frames in which this face is detected, 0 to 1.
    """

    person: int
    times: np.ndarray
    crops: np.ndarray
    quality: np.ndarray
    landmarks: np.ndarray
    blendshapes: np.ndarray
    pose: np.ndarray
    box: np.ndarray
    frame_size: tuple[int, int]
    coverage: float


@dataclass(frozen=True, eq=False)
class VoiceEvidence:
    """Audio of one window that contains a voice: speech, or a vocal burst (a laugh, a cry, a sigh).

    Attributes:
        waveform: (N,) float32 mono at 16 kHz, as decoded; encoders normalize its level with
            `mmemo.speech.level.normalize`.
        speech: (N,) bool voice activity: True where there is speech or a vocal burst.
        coverage: share of the window with voice activity, 0 to 1.
    """

    waveform: np.ndarray
    speech: np.ndarray
    coverage: float


@dataclass(frozen=True)
class Turn:
    """An earlier line of the dialogue; ``speaker`` is any name, None where it is not known."""

    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class TextEvidence:
    """Transcript of one window.

    Attributes:
        text: the transcript lines that overlap the window, whole, joined by blanks.
        language: ISO 639-1 code, or None where it is not known.
        confidence: 0 to 1: 1 for text given by the user, the recognizer's probability otherwise.
        coverage: share of the window that the lines cover, 0 to 1.
        speaker: name of the speaker, None where it is not known.
        context: the lines before, oldest first.
        by_speaker: the same of each speaker's own lines, where the window has lines of several that have names.
    """

    text: str
    language: str | None
    confidence: float
    coverage: float
    speaker: str | None = None
    context: tuple[Turn, ...] = ()
    by_speaker: tuple[TextEvidence, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence of all modalities in one window ``[start, end)`` of a clip.

    Attributes:
        start: seconds from the start of the file; ``end`` likewise.
        face: of one person, or None without a face. Of several persons each has a window of its own, with the same
            voice and text.
        voice: None where there is none.
        text: None without words.
        source: the file the window is of, for encoders that read features stored beside it; None for text alone and
            for media in memory.
    """

    start: Seconds
    end: Seconds
    face: FaceEvidence | None = None
    voice: VoiceEvidence | None = None
    text: TextEvidence | None = None
    source: Path | None = None
