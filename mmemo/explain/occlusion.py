"""Explanation of a voice's scores: occlusion of each short stretch of the sound, as a curve over time.

Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, over time instead of over
a picture. It needs only the scores, so it explains checkpoints of other projects as well as mmemo's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmemo import media
from mmemo.encoders.base import Encoder
from mmemo.encoders.softmax import log_softmax, softmax
from mmemo.errors import ArgumentError, MissingStreamError, expected_one_of, require_extra
from mmemo.evidence import SAMPLE_RATE, Channel, Evidence, Seconds, VoiceEvidence
from mmemo.files import check_file
from mmemo.in_memory import Media, MediaInput, as_media, readable
from mmemo.model import EmotionModel
from mmemo.pretrained import load_model
from mmemo.result import EmotionResult, Scores
from mmemo.speech.activity import speech_mask, speech_spans

STEP: Seconds = 0.05
"""Time between two values of a curve."""
_HIDDEN: Seconds = 0.15
_FADE: Seconds = 0.01
"""A stretch is faded out and in, since a click is a sound of its own."""
_LONGEST: Seconds = 30.0
_CHUNK = 16


@dataclass(frozen=True, eq=False)
class VoiceExplanation:
    """Evidence for one label in one stretch of sound.

    Attributes:
        label: that is explained.
        score: of the label, 0 to 1.
        scores: of all labels, from the voice alone.
        start: seconds in the file at which ``waveform`` begins.
        waveform: (N,) float32 mono at 16 kHz.
        times: (T,) seconds in the file.
        curve: (T,) float32: by how much the label's log odds fall, in nats, if the 0.15 s around each time are silent.
            Above zero the sound there is evidence for the label, below zero against it.
        source: the file it is from, which `save` does not overwrite; None for a waveform.

    >>> import numpy as np
    >>> from mmemo.explain import VoiceExplanation
    >>> scores, times = {"anger": 0.7, "neutral": 0.3}, np.array([0.5, 1.0, 1.5])
    >>> explanation = VoiceExplanation("anger", 0.7, scores, 0.0, np.zeros(32_000), times, np.array([0.1, 2.0, -0.3]))
    >>> float(explanation.times[explanation.curve.argmax()])
    1.0
    """

    label: str
    score: float
    scores: Scores
    start: Seconds
    waveform: np.ndarray
    times: np.ndarray
    curve: np.ndarray
    source: Path | None = None

    def save(self, path: str | Path) -> Path:
        """Draw the curve over the waveform, as ``.png``, ``.svg`` or ``.pdf`` (extra ``report``).

        Raises:
            MissingExtraError: if matplotlib is not installed.
            ArgumentError: for another suffix, or if it can't be written, or is the file it is from.
        """
        require_extra("A picture", "report", "matplotlib")
        from mmemo.report.plots.attribution import save_attribution

        path = Path(path)
        check_file(path, [self.source])
        return save_attribution(self.label, self.score, self.start, self.waveform, self.times, self.curve, path)


def voice(
    source: EmotionResult | MediaInput,
    *,
    label: str | None = None,
    at: Seconds | None = None,
    length: Seconds = 4.0,
    model: str | Path | EmotionModel = "default",
) -> VoiceExplanation:
    """Curve over time of the evidence for a label in a sound.

    Args:
        source: a result of `mmemo.analyze`, whose file is read again; an audio or video file, or `mmemo.Sound`, as
            `mmemo.analyze` takes them; or a waveform (N,) float32 mono at 16 kHz.
        label: to explain; by default the one with the highest score of the voice.
        at: seconds at which the stretch begins; by default the window of a result in which the voice has its highest
            score, or the beginning of anything else.
        length: seconds that are explained, 0.5 to 30.
        model: that owns the voice encoder.

    Raises:
        MissingStreamError: if nobody speaks there.
        MediaError: if the file can't be read.
        ArgumentError: for an unknown label, a model without a voice, or an impossible length.

    >>> import mmemo.explain
    >>> explanation = mmemo.explain.voice("clip.mp4", length=1.0)
    >>> explanation.times.shape == explanation.curve.shape
    True
    """
    if not 0.5 <= length <= _LONGEST:
        raise ArgumentError(f"length: expected 0.5 to {_LONGEST:.0f} s, got {length}.")
    loaded = model if isinstance(model, EmotionModel) else load_model(model, modalities=("voice",), device="cpu")
    encoder = loaded.encoders.get("voice")
    if encoder is None:
        raise ArgumentError(f"The model has no voice encoder to explain; its modalities are {list(loaded.modalities)}.")
    if label is not None and label not in encoder.labels.labels:
        raise ArgumentError(expected_one_of("Label", encoder.labels, label))
    given = source if isinstance(source, np.ndarray) else _media(source)
    result = source if isinstance(source, EmotionResult) else None
    start, sound = _locate(result, given, at, length)
    mask = speech_mask(speech_spans([sound]).voice, 0.0, len(sound))
    evidence = VoiceEvidence(sound, mask, float(mask.mean()) if len(mask) else 0.0)
    whole = _logits(loaded, encoder, [evidence])[0]
    if whole is None:
        raise MissingStreamError(
            f"Nobody speaks within {length:g} s of {start:.1f} s, so there is no voice to explain."
        )
    scores = encoder.labels.scores(softmax(whole.astype(float)))
    label = label or max(scores, key=lambda name: scores[name])
    times = np.arange(STEP / 2, len(sound) / SAMPLE_RATE, STEP)
    curve = np.zeros(len(times), np.float32)
    odds = _odds(whole, encoder.labels.index(label))
    # A stretch without speech is not hidden: the speech elsewhere would only be leveled louder.
    spoken = [i for i, time in enumerate(times) if mask[_around(time, len(mask))].any()]
    for first in range(0, len(spoken), _CHUNK):
        chosen = spoken[first : first + _CHUNK]
        hidden = [replace(evidence, waveform=_without(sound, float(times[i]))) for i in chosen]
        for i, logits in zip(chosen, _logits(loaded, encoder, hidden), strict=True):
            curve[i] = 0 if logits is None else odds - _odds(logits, encoder.labels.index(label))
    path = given if isinstance(given, Path) else None
    return VoiceExplanation(label, scores[label], scores, start, sound, start + times, curve, path)


def _logits(model: EmotionModel, encoder: Encoder, voices: list[VoiceEvidence]) -> list[np.ndarray | None]:
    """Calibrated logits (K,) of each voice; None without speech."""
    prepared = [encoder.prepare(Evidence(0.0, len(one.waveform) / SAMPLE_RATE, voice=one)) for one in voices]
    present = [item for item in prepared if item is not None]
    logits = iter(model.calibrate_logits("voice", encoder.encode(present).logits) if present else ())
    return [None if item is None else next(logits) for item in prepared]


def _odds(logits: np.ndarray, index: int) -> float:
    """Log odds of one class against all others."""
    log_scores = log_softmax(logits.astype(np.float64)[None])[0]
    return float(log_scores[index] - np.logaddexp.reduce(np.delete(log_scores, index)))


def _around(time: Seconds, samples: int) -> slice:
    return slice(
        max(0, round((time - _HIDDEN / 2) * SAMPLE_RATE)), min(samples, round((time + _HIDDEN / 2) * SAMPLE_RATE))
    )


def _without(sound: np.ndarray, time: Seconds) -> np.ndarray:
    """The sound with the stretch around a time silent."""
    place = _around(time, len(sound))
    size = place.stop - place.start
    fade = min(int(_FADE * SAMPLE_RATE), size // 2)
    gain = np.zeros(size, np.float32)
    gain[:fade], gain[size - fade :] = np.linspace(1, 0, fade), np.linspace(0, 1, fade)
    quieter = sound.copy()
    quieter[place] *= gain
    return quieter


def _media(source: EmotionResult | MediaInput) -> Media:
    if not isinstance(source, EmotionResult):
        return as_media(source)
    if source.source is None:
        raise MissingStreamError("This result is of text alone: it has no voice to explain.")
    return Path(readable(source.source))


def _locate(
    result: EmotionResult | None, source: np.ndarray | Media, at: Seconds | None, length: Seconds
) -> tuple[Seconds, np.ndarray]:
    """Start of the stretch to explain, and its sound."""
    if isinstance(source, np.ndarray):
        if source.ndim != 1:
            raise ArgumentError(f"voice: expected a mono waveform of shape (N,) at 16 kHz, got {source.shape}.")
        start = at or 0.0
        first = round(start * SAMPLE_RATE)
        return start, np.asarray(source[first : first + round(length * SAMPLE_RATE)], np.float32)
    if media.probe(source).audio is None:
        raise MissingStreamError(f"{source} has no sound, so there is no voice to explain.")
    start = at if at is not None else _clearest(result) if result is not None else 0.0
    settings = None if result is None else result.settings
    channel: Channel = "mix" if settings is None else settings.channel
    track = None if settings is None else settings.audio_track
    blocks = list(media.waveform_blocks(source, start, start + length, channel=channel, track=track))
    return start, np.nan_to_num(np.concatenate(blocks)) if blocks else np.zeros(0, np.float32)


def _clearest(result: EmotionResult) -> Seconds:
    """Start of the window in which the voice has its highest score."""
    spoken = [s for s in result.segments if "voice" in s.modalities]
    if not spoken:
        raise MissingStreamError("This result has no voice to explain.")
    return max(spoken, key=lambda s: (max(s.modalities["voice"].scores.values()), s.start)).start
