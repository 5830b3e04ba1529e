"""Controlled corruptions (noise in the sound, blur of the picture, errors in the words), and robustness curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import cv2
import numpy as np

from mmemo import media
from mmemo.clip import Clip
from mmemo.comparison.missing_modality import RobustnessCurve, curve_of
from mmemo.comparison.predict import calibrate, predict_subsets
from mmemo.comparison.predictions import predicted_classes
from mmemo.data.cache import FeatureCache
from mmemo.data.encoding import Arrays, EncodedClips, cache_keys, encode_prepared, encoder_fingerprint, gather
from mmemo.data.evidence import clip_evidence
from mmemo.encoders.base import Encoder
from mmemo.encoders.modality import quality_of
from mmemo.evaluation.bootstrap import Resamples
from mmemo.evaluation.metrics import sample_confusions
from mmemo.evidence import SAMPLE_RATE, Evidence, TextEvidence
from mmemo.in_memory import Sound
from mmemo.model import EmotionModel
from mmemo.pipeline.words import track_of
from mmemo.speech.recognition import Transcriber

_COMMON_WORDS = (
    *("the", "of", "and", "a", "to", "in", "is", "you", "that"),
    *("it", "he", "was", "for", "on", "are", "as", "with"),
)
"""Words that errors insert and substitute: the most frequent ones of English."""
_FACE_HEIGHT = 112.0


@dataclass(frozen=True)
class Corruption:
    """One way to make a clip worse, at several levels. Faces, speech and words are detected in what is left.

    Attributes:
        modality: the one that it is aimed at.
        affected: the modalities whose evidence it changes.
        name: for people; it also seeds the random generator.
        unit: of the levels.
        levels: from mild to severe.
        clean: the level at which nothing is changed.
        apply: returns the evidence of the corrupted clip, given the clip, its evidence as it is, the level, a random
            generator, and what recognizes speech.
    """

    modality: str
    affected: tuple[str, ...]
    name: str
    unit: str
    levels: tuple[float, ...]
    clean: float
    apply: Callable[[Clip, Evidence, float, np.random.Generator, Transcriber | None], Evidence]


def add_noise(
    clip: Clip, clean: Evidence, decibels: float, rng: np.random.Generator, transcriber: Transcriber | None
) -> Evidence:
    """White noise in the whole sound, at a signal-to-noise ratio of ``decibels`` over the speech of the clean sound.

    Speech is detected, and words that are not given are recognized, in the noise.
    """
    voice, source = clean.voice, clip.audio or clip.path
    if voice is None or source is None:
        return clean
    speech = voice.waveform[voice.speech] if voice.speech.any() else voice.waveform
    power = float(np.mean(np.square(np.nan_to_num(speech.astype(np.float64)))))
    how = {"channel": clip.channel, "track": track_of(clip, media.probe(source))}
    sound = np.concatenate(list(media.waveform_blocks(source, clip.start, clip.end, **how)))  # type: ignore[arg-type]
    noisy = sound + rng.normal(0, np.sqrt(power / 10 ** (decibels / 10)), len(sound))
    noisy /= max(1.0, float(np.abs(noisy).max(initial=0)))  # attenuated, not clipped
    before = np.zeros(round(clip.start * SAMPLE_RATE))  # times stay those of the file
    noise = Sound(np.concatenate([before, noisy]).astype(np.float32), SAMPLE_RATE)
    return clip_evidence(replace(clip, audio=noise, channel="mix", audio_track=None), NOISE.affected, transcriber)


def blur(
    clip: Clip, clean: Evidence, sigma: float, rng: np.random.Generator, transcriber: Transcriber | None
) -> Evidence:
    """Gaussian blur of the whole pictures, of ``sigma`` pixels where the clip's face is 112 pixels high.

    The face is looked for in the blurred pictures, so it may be lost.
    """
    del rng, transcriber
    if clean.face is None:
        return clean
    height = float(np.median(clean.face.box[:, 3] - clean.face.box[:, 1]))
    pixels = max(sigma * height / _FACE_HEIGHT, 0.1)
    return clip_evidence(clip, BLUR.affected, alter=lambda image: cv2.GaussianBlur(image, (0, 0), pixels))


def corrupt_words(
    clip: Clip, clean: Evidence, rate: float, rng: np.random.Generator, transcriber: Transcriber | None
) -> Evidence:
    """Word errors at a rate per word: deletions, insertions and substitutions equally often."""
    del clip, transcriber
    text = clean.text
    if text is None:
        return clean
    words: list[str] = []
    for word in text.text.split():
        if rng.random() >= rate:
            words.append(word)
            continue
        error = int(rng.integers(3))  # 0 inserts a word, 1 substitutes one, 2 deletes it
        words += [word] * (error == 0) + [str(rng.choice(_COMMON_WORDS))] * (error < 2)
    corrupted: TextEvidence = replace(text, text=" ".join(words))
    return replace(clean, text=corrupted if words else None)


NOISE = Corruption(
    "voice",
    ("voice", "text"),
    "noise in the sound",
    "dB signal to noise",
    (20.0, 15.0, 10.0, 5.0, 0.0),
    np.inf,
    add_noise,
)
BLUR = Corruption(
    "face", ("face",), "blur of the picture", "px sigma of a face of 112 px", (1.0, 2.0, 4.0, 8.0), 0.0, blur
)
WORD_ERRORS = Corruption(
    "text", ("text",), "errors in the words", "errors a word", (0.1, 0.2, 0.3, 0.4, 0.5), 0.0, corrupt_words
)
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

    Noise and blur go into the media, and are read again for each level; what is in the cache is not computed again.

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
    encoders = {
        corruption.name: [model.encoders[modality] for modality in corruption.affected if modality in clips.tokens]
        for corruption in corruptions
    }
    fingerprints = {
        _key(one, level, encoder): f"{encoder_fingerprint(encoder)} {one.name} {level} in the media"
        for one, level in steps
        for encoder in encoders[one.name]
        if cache is not None
    }
    keys, _ = cache_keys(clips.manifest, fingerprints, transcriber)
    encodings: dict[tuple[str, float], dict[int, dict[str, Arrays]]] = {(one.name, level): {} for one, level in steps}
    for row, clip in enumerate(clips.manifest):
        clean: Evidence | None = None
        for corruption, level in steps:
            known = {
                encoder.modality: cache.get(keys[row][_key(corruption, level, encoder)])
                for encoder in encoders[corruption.name]
                if cache is not None
            }
            arrays = {modality: one for modality, one in known.items() if one is not None}
            if len(arrays) < len(encoders[corruption.name]):
                clean = clean or clip_evidence(clip, sorted(clips.tokens), transcriber)
                rng = np.random.default_rng([crc32(clip.id.encode()), crc32(corruption.name.encode())])
                corrupted = corruption.apply(clip, clean, level, rng, transcriber)
                for encoder in encoders[corruption.name]:
                    quality = np.array(quality_of(corrupted, encoder.modality), np.float32)
                    one = encode_prepared(encoder, encoder.prepare(corrupted), quality)
                    arrays[encoder.modality] = one
                    if cache is not None:
                        key = _key(corruption, level, encoder)
                        cache.put(keys[row][key], fingerprints[key], one)
            encodings[corruption.name, level][row] = arrays
        if progress:
            progress((row + 1) / len(clips.manifest))
    variants = {}
    for corruption, level in steps:
        part = gather(clips.manifest, encoders[corruption.name], encodings[corruption.name, level], ())
        variants[corruption.name, level] = replace(
            clips,
            tokens={**clips.tokens, **part.tokens},
            logits={**clips.logits, **part.logits},
            quality={**clips.quality, **part.quality},
        )
    return variants


def _key(corruption: Corruption, level: float, encoder: Encoder) -> str:
    return f"{corruption.name} {level} {encoder.modality}"
