"""What perception found in one window of a clip: plain data between the streams and the encoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

Seconds = float
SAMPLE_RATE = 16_000
"""Hz. Every waveform in mmemo is mono float32 at this rate."""


@dataclass(frozen=True, eq=False)
class FaceEvidence:
    """One person's face over one window; N is the number of frames in which it was found, at least one.

    Attributes:
        person: stable id of the face track, from 0.
        times: (N,) float64, seconds from the start of the file, from presentation timestamps.
        crops: (N, S, S, 3) uint8 RGB, aligned by `mmemo.faces.align.align`.
        quality: (N,) float32 in [0, 1]: how far a crop can be trusted.
        landmarks: (N, 478, 3) float32: x, y in pixels of the frame, z in the same scale.
        blendshapes: (N, 52) float32 in [0, 1], in the order of `mmemo.faces.landmarker.BLENDSHAPES`.
        pose: (N, 3) float32: yaw, pitch, roll of the head in degrees.
        box: (N, 4) float32: left, top, right, bottom in pixels of the frame.
        frame_size: width and height of the frames in pixels.
        coverage: share of the window's frames in which this face was found, 0 to 1.
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
    """The sound of one window in which somebody speaks.

    Attributes:
        waveform: (N,) float32 mono at 16 kHz, as decoded; encoders bring it to level with
            `mmemo.speech.level.normalize`.
        speech: (N,) bool: True where somebody speaks.
        coverage: share of the window in which somebody speaks, 0 to 1.
    """

    waveform: np.ndarray
    speech: np.ndarray
    coverage: float


@dataclass(frozen=True)
class Turn:
    """A line that was said before; ``speaker`` is any name, None where it is not known."""

    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class TextEvidence:
    """The words said in one window.

    Attributes:
        text: the lines that touch the window, whole, joined by blanks.
        language: ISO 639-1 code, or None where it is not known.
        confidence: how sure the words are, 0 to 1: 1 for given text, the recogniser's probability otherwise.
        coverage: share of the window in which these words were said, 0 to 1.
        speaker: who says them, None where it is not known.
        context: the lines before them, oldest first.
    """

    text: str
    language: str | None
    confidence: float
    coverage: float
    speaker: str | None = None
    context: tuple[Turn, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that was found in one window ``[start, end)``; a modality that is absent there is None.

    ``face`` is the most prominent person's; the others get a window of their own, with the same voice and words.
    ``source`` is the file that the window is of, for encoders of what was measured beforehand and lies beside it; None
    for text alone.
    """

    start: Seconds
    end: Seconds
    face: FaceEvidence | None = None
    voice: VoiceEvidence | None = None
    text: TextEvidence | None = None
    source: Path | None = None
