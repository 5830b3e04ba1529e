"""Evidence made worse on purpose: noise in the voice, blur of the face, wrong words; and what systems say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import cv2
import numpy as np

from mmemo.comparison.missing_modality import Curve
from mmemo.comparison.predict import calibrated, subsets
from mmemo.comparison.resampling import Draws, interval
from mmemo.comparison.tables import accuracies, cells, said, uars
from mmemo.data.cache import FeatureCache
from mmemo.data.dataset import clip_evidence
from mmemo.data.encoding import Arrays, EncodedClips, cache_keys, encode_prepared, encoder_fingerprint, gather
from mmemo.encoders.quality import quality_of
from mmemo.evidence import Evidence, FaceEvidence, TextEvidence, VoiceEvidence
from mmemo.faces.quality import after_blur
from mmemo.model import EmotionModel
from mmemo.speech.recognition import Transcriber

Worsen = Callable[[Evidence, float, np.random.Generator], Evidence]
_COMMON = (
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
)
"""Words a recogniser puts where it heard none: the most frequent ones of English."""


@dataclass(frozen=True)
class Decline:
    """One way in which evidence gets worse.

    Attributes:
        modality: whose evidence.
        what: name for people.
        unit: of the levels.
        levels: from mild to severe.
        clean: the level at which nothing is changed.
        worsen: gives the evidence of one window at a level; draws from the generator, which is seeded by the clip.
    """

    modality: str
    what: str
    unit: str
    levels: tuple[float, ...]
    clean: float
    worsen: Worsen


def noisy(evidence: Evidence, decibels: float, rng: np.random.Generator) -> Evidence:
    """White noise that is ``decibels`` below the mean power of the speech. Where speech is was found without it."""
    voice = evidence.voice
    if voice is None:
        return evidence
    spoken = voice.waveform[voice.speech] if voice.speech.any() else voice.waveform
    power = float(np.mean(np.square(np.nan_to_num(spoken.astype(np.float64)))))
    noise = rng.normal(0, np.sqrt(power / 10 ** (decibels / 10)), len(voice.waveform))
    mixed = voice.waveform + noise
    mixed /= max(1.0, float(np.abs(mixed).max(initial=0)))  # turned down, not clipped
    return replace(evidence, voice=VoiceEvidence(mixed.astype(np.float32), voice.speech, voice.coverage))


def blurred(evidence: Evidence, sigma: float, rng: np.random.Generator) -> Evidence:
    """Crops under a Gaussian blur of ``sigma`` pixels; their trust falls with their sharpness.

    The face was found in the clear picture: landmarks and blendshapes stay as they are.
    """
    del rng
    face = evidence.face
    if face is None:
        return evidence
    crops = np.stack([cv2.GaussianBlur(crop, (0, 0), sigma) for crop in face.crops])
    trust = [after_blur(float(q), a, b) for q, a, b in zip(face.quality, face.crops, crops, strict=True)]
    worse: FaceEvidence = replace(face, crops=crops, quality=np.array(trust, np.float32))
    return replace(evidence, face=worse)


def misheard(evidence: Evidence, rate: float, rng: np.random.Generator) -> Evidence:
    """Words with that many errors a word: left out, put in and put for another equally often."""
    text = evidence.text
    if text is None:
        return evidence
    heard: list[str] = []
    for word in text.text.split():
        if rng.random() >= rate:
            heard.append(word)
            continue
        error = int(rng.integers(3))  # 0 puts one in, 1 another for it, 2 leaves it out
        heard += [word] * (error == 0) + [str(rng.choice(_COMMON))] * (error < 2)
    worse: TextEvidence = replace(text, text=" ".join(heard))
    return replace(evidence, text=worse if heard else None)


NOISE = Decline("voice", "noise in the voice", "dB signal to noise", (20.0, 15.0, 10.0, 5.0, 0.0), np.inf, noisy)
BLUR = Decline("face", "blur of the face", "px sigma of a 112 px crop", (1.0, 2.0, 4.0, 8.0), 0.0, blurred)
ERRORS = Decline("text", "errors in the words", "errors a word", (0.1, 0.2, 0.3, 0.4, 0.5), 0.0, misheard)
DECLINES = (NOISE, BLUR, ERRORS)


def sweep(
    model: EmotionModel,
    clips: EncodedClips,
    draws: Draws,
    *,
    declines: Sequence[Decline] = DECLINES,
    cache: FeatureCache | None = None,
    transcriber: Transcriber | None = None,
    tick: Callable[[int], None] | None = None,
) -> tuple[Curve, ...]:
    """What every subset of a model's modalities loses as one of them gets worse.

    Media are read once for all levels; what is in the cache is not computed again.

    Args:
        clips: encoded as they are.
        draws: of the clips that have a label.
        tick: is called with the number of clips done.
    """
    wanted = [one for one in declines if one.modality in clips.tokens]
    variants = _variants(model, clips, wanted, cache, transcriber, tick)
    rows = np.flatnonzero(clips.target >= 0)
    target, classes = clips.target[rows], len(model.labels)
    seen = {modality for modality, one in clips.batch(rows).items() if one.present.any()}
    curves: list[Curve] = []
    for decline in wanted:
        found: dict[str, list[np.ndarray]] = {}
        for level in (decline.clean, *decline.levels):
            here = clips if level == decline.clean else variants[decline.what, level]
            encodings = {m: one for m, one in calibrated(model, here, rows).items() if m in seen}
            for name, scores in subsets(model, encodings)[0].items():
                found.setdefault(name, []).append(cells(target, said(scores), classes))
        for name, own in found.items() if decline.modality in seen else ():
            drawn = [(one.sum(axis=0), draws.totals(one)) for one in own]
            curves.append(
                Curve(
                    name,
                    decline.what,
                    decline.unit,
                    (decline.clean, *decline.levels),
                    tuple(interval(float(accuracies(table)), accuracies(many)) for table, many in drawn),
                    tuple(interval(float(uars(table)), uars(many)) for table, many in drawn),
                )
            )
    return tuple(curves)


def _variants(
    model: EmotionModel,
    clips: EncodedClips,
    declines: Sequence[Decline],
    cache: FeatureCache | None,
    transcriber: Transcriber | None,
    tick: Callable[[int], None] | None,
) -> dict[tuple[str, float], EncodedClips]:
    """The clips with one modality encoded from worse evidence, for each way and level."""
    steps = [(decline, level) for decline in declines for level in decline.levels]
    prints = {
        f"{decline.what} {level}": f"{encoder_fingerprint(model.encoders[decline.modality])} {decline.what} {level}"
        for decline, level in steps
        if cache is not None
    }
    keys, _ = cache_keys(clips.manifest, prints, transcriber)
    found: dict[tuple[str, float], dict[int, Mapping[str, Arrays]]] = {(d.what, level): {} for d, level in steps}
    for row, clip in enumerate(clips.manifest):
        todo = []
        for decline, level in steps:
            known = cache.get(keys[row][f"{decline.what} {level}"]) if cache is not None else None
            if known is None:
                todo.append((decline, level))
            else:
                found[decline.what, level][row] = {decline.modality: known}
        if todo:
            evidence = clip_evidence(clip, sorted({decline.modality for decline, _ in todo}), transcriber)
            for decline, level in todo:
                rng = np.random.default_rng([crc32(clip.id.encode()), crc32(decline.what.encode())])
                worse, encoder = decline.worsen(evidence, level, rng), model.encoders[decline.modality]
                quality = np.array(quality_of(worse, decline.modality), np.float32)
                arrays = encode_prepared(encoder, encoder.prepare(worse), quality)
                found[decline.what, level][row] = {decline.modality: arrays}
                if cache is not None:
                    cache.put(keys[row][f"{decline.what} {level}"], prints[f"{decline.what} {level}"], arrays)
        if tick:
            tick(row + 1)
    variants = {}
    for decline, level in steps:
        part = gather(clips.manifest, [model.encoders[decline.modality]], found[decline.what, level], ())
        variants[decline.what, level] = replace(
            clips,
            tokens={**clips.tokens, **part.tokens},
            logits={**clips.logits, **part.logits},
            quality={**clips.quality, **part.quality},
        )
    return variants
