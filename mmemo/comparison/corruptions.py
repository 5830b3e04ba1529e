"""Controlled corruptions of the evidence (noise in the voice, blur of the face, word errors), and robustness curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import cv2
import numpy as np

from mmemo.comparison.missing_modality import RobustnessCurve, curve_of
from mmemo.comparison.predict import calibrate, predict_subsets
from mmemo.comparison.predictions import predicted_classes
from mmemo.data.cache import FeatureCache
from mmemo.data.encoding import Arrays, EncodedClips, cache_keys, encode_prepared, encoder_fingerprint, gather
from mmemo.data.evidence import clip_evidence
from mmemo.encoders.modality import quality_of
from mmemo.evaluation.bootstrap import Resamples
from mmemo.evaluation.metrics import sample_confusions
from mmemo.evidence import Evidence, FaceEvidence, TextEvidence, VoiceEvidence
from mmemo.faces.quality import after_blur
from mmemo.model import EmotionModel
from mmemo.speech.recognition import Transcriber

_COMMON_WORDS = (
    *("the", "of", "and", "a", "to", "in", "is", "you", "that"),
    *("it", "he", "was", "for", "on", "are", "as", "with"),
)
"""Words that errors insert and substitute: the most frequent ones of English."""


@dataclass(frozen=True)
class Corruption:
    """One way to corrupt the evidence of a modality, at several levels.

    Attributes:
        modality: the corrupted one.
        name: for people; it also seeds the random generator.
        unit: of the levels.
        levels: from mild to severe.
        clean: the level at which nothing is changed.
        apply: returns the corrupted evidence of one window at a level; draws from the generator.
    """

    modality: str
    name: str
    unit: str
    levels: tuple[float, ...]
    clean: float
    apply: Callable[[Evidence, float, np.random.Generator], Evidence]


def add_noise(evidence: Evidence, decibels: float, rng: np.random.Generator) -> Evidence:
    """White noise at a signal-to-noise ratio of ``decibels`` over the speech, which is detected in the clean sound."""
    voice = evidence.voice
    if voice is None:
        return evidence
    speech = voice.waveform[voice.speech] if voice.speech.any() else voice.waveform
    power = float(np.mean(np.square(np.nan_to_num(speech.astype(np.float64)))))
    noise = rng.normal(0, np.sqrt(power / 10 ** (decibels / 10)), len(voice.waveform))
    mixed = voice.waveform + noise
    mixed /= max(1.0, float(np.abs(mixed).max(initial=0)))  # attenuated, not clipped
    return replace(evidence, voice=VoiceEvidence(mixed.astype(np.float32), voice.speech, voice.coverage))


def blur(evidence: Evidence, sigma: float, rng: np.random.Generator) -> Evidence:
    """Gaussian blur of the crops, ``sigma`` pixels; their quality falls with their sharpness.

    The face is detected in the clear picture: landmarks and blendshapes stay as they are.
    """
    del rng
    face = evidence.face
    if face is None:
        return evidence
    crops = np.stack([cv2.GaussianBlur(crop, (0, 0), sigma) for crop in face.crops])
    quality = [after_blur(float(q), a, b) for q, a, b in zip(face.quality, face.crops, crops, strict=True)]
    corrupted: FaceEvidence = replace(face, crops=crops, quality=np.array(quality, np.float32))
    return replace(evidence, face=corrupted)


def corrupt_words(evidence: Evidence, rate: float, rng: np.random.Generator) -> Evidence:
    """Word errors at a rate per word: deletions, insertions and substitutions equally often."""
    text = evidence.text
    if text is None:
        return evidence
    words: list[str] = []
    for word in text.text.split():
        if rng.random() >= rate:
            words.append(word)
            continue
        error = int(rng.integers(3))  # 0 inserts a word, 1 substitutes one, 2 deletes it
        words += [word] * (error == 0) + [str(rng.choice(_COMMON_WORDS))] * (error < 2)
    corrupted: TextEvidence = replace(text, text=" ".join(words))
    return replace(evidence, text=corrupted if words else None)


NOISE = Corruption("voice", "noise in the voice", "dB signal to noise", (20.0, 15.0, 10.0, 5.0, 0.0), np.inf, add_noise)
BLUR = Corruption("face", "blur of the face", "px sigma of a 112 px crop", (1.0, 2.0, 4.0, 8.0), 0.0, blur)
WORD_ERRORS = Corruption("text", "errors in the words", "errors a word", (0.1, 0.2, 0.3, 0.4, 0.5), 0.0, corrupt_words)
CORRUPTIONS = (NOISE, BLUR, WORD_ERRORS)


def corruption_curves(
    model: EmotionModel,
    clips: EncodedClips,
    resamples: Resamples,
    *,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    cache: FeatureCache | None = None,
    transcriber: Transcriber | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[RobustnessCurve, ...]:
    """Curves of every subset of a model's modalities under each corruption.

    Media are read once for all levels; what is in the cache is not computed again.

    Args:
        model: the model.
        clips: encoded as they are.
        resamples: of the clips that have a label.
        corruptions: those of modalities that the clips don't have are left out.
        cache: of encodings.
        transcriber: of clips without words.
        progress: called with the share done, 0 to 1.
    """
    wanted = [one for one in corruptions if one.modality in clips.tokens]
    variants = _variants(model, clips, wanted, cache, transcriber, progress)
    rows = np.flatnonzero(clips.target >= 0)
    target, classes = clips.target[rows], len(model.labels)
    present = {modality for modality, one in clips.batch(rows).items() if one.present.any()}
    curves: list[RobustnessCurve] = []
    for corruption in wanted:
        if corruption.modality not in present:
            continue
        levels = (corruption.clean, *corruption.levels)
        confusions: dict[str, list[np.ndarray]] = {}
        for level in levels:
            variant = clips if level == corruption.clean else variants[corruption.name, level]
            encodings = {m: one for m, one in calibrate(model, variant, rows).items() if m in present}
            for system, scores in predict_subsets(model, encodings)[0].items():
                single = sample_confusions(target, predicted_classes(scores), classes)
                confusions.setdefault(system, []).append(single)
        curves += [
            curve_of(system, corruption.name, corruption.unit, levels, single, resamples)
            for system, single in confusions.items()
        ]
    return tuple(curves)


def _variants(
    model: EmotionModel,
    clips: EncodedClips,
    corruptions: Sequence[Corruption],
    cache: FeatureCache | None,
    transcriber: Transcriber | None,
    progress: Callable[[float], None] | None,
) -> dict[tuple[str, float], EncodedClips]:
    """The clips with one modality encoded from corrupted evidence, for each corruption and level."""
    steps = [(corruption, level) for corruption in corruptions for level in corruption.levels]
    fingerprints = {
        f"{one.name} {level}": f"{encoder_fingerprint(model.encoders[one.modality])} {one.name} {level}"
        for one, level in steps
        if cache is not None
    }
    keys, _ = cache_keys(clips.manifest, fingerprints, transcriber)
    encodings: dict[tuple[str, float], dict[int, Mapping[str, Arrays]]] = {
        (one.name, level): {} for one, level in steps
    }
    for row, clip in enumerate(clips.manifest):
        todo = []
        for corruption, level in steps:
            cached = cache.get(keys[row][f"{corruption.name} {level}"]) if cache is not None else None
            if cached is None:
                todo.append((corruption, level))
            else:
                encodings[corruption.name, level][row] = {corruption.modality: cached}
        if todo:
            evidence = clip_evidence(clip, sorted({corruption.modality for corruption, _ in todo}), transcriber)
            for corruption, level in todo:
                rng = np.random.default_rng([crc32(clip.id.encode()), crc32(corruption.name.encode())])
                corrupted, encoder = corruption.apply(evidence, level, rng), model.encoders[corruption.modality]
                quality = np.array(quality_of(corrupted, corruption.modality), np.float32)
                arrays = encode_prepared(encoder, encoder.prepare(corrupted), quality)
                encodings[corruption.name, level][row] = {corruption.modality: arrays}
                if cache is not None:
                    step = f"{corruption.name} {level}"
                    cache.put(keys[row][step], fingerprints[step], arrays)
        if progress:
            progress((row + 1) / len(clips.manifest))
    variants = {}
    for corruption, level in steps:
        part = gather(clips.manifest, [model.encoders[corruption.modality]], encodings[corruption.name, level], ())
        variants[corruption.name, level] = replace(
            clips,
            tokens={**clips.tokens, **part.tokens},
            logits={**clips.logits, **part.logits},
            quality={**clips.quality, **part.quality},
        )
    return variants
