"""Frozen encodings of a whole manifest, computed once: the training input of a fusion head."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

import mmemo
from mmemo.clip import Clip
from mmemo.data.cache import FeatureCache, cache_key
from mmemo.data.evidence import NO_LABEL, clip_windows, prepare_clip
from mmemo.data.manifest import Manifest
from mmemo.encoders.base import QUALITIES, Encoder, Encoding, SavableEncoder
from mmemo.errors import ArgumentError, ManifestError, MmemoError
from mmemo.evidence import Seconds
from mmemo.fusion.late import RuleFusion
from mmemo.model import EmotionModel
from mmemo.pipeline.score import batches, encode_windows
from mmemo.pipeline.windows import Grid
from mmemo.pretrained import fingerprint
from mmemo.speech.recognition import Transcriber

Arrays = dict[str, np.ndarray]
"""Tokens (T, D), logits (K,) and quality (2,) of one clip and modality; empty where it is absent."""
EVIDENCE_VERSION = 3
"""Version of the evidence that encoders get from media; to be increased by each change of it. A part of cache keys."""


@dataclass(frozen=True, eq=False)
class EncodedClips:
    """Encodings of the clips of a manifest, each as one window or as several.

    Attributes:
        manifest: the clips; those that could not be read are not among them.
        tokens: for each modality N arrays (T, D) float32, one a window, None where it is absent.
        logits: for each modality (N, K) float32; zeros where it is absent.
        quality: for each modality (N, 2) float32, see `Encoding.quality`.
        faults: one message for each clip that was left out.
        affect: for each modality whose encoder predicts it (N, 3) float32, valence, arousal and dominance from -1 to 1;
            NaN where it is absent.
        vocal_burst: for each modality whose encoder predicts it (N,) float32, see `Encoding.vocal_burst`; NaN where it
            is absent.
        windows: (N,) int64: the clip of each window, in order; None where each clip is one window.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, encode
        >>> from mmemo.labels import EKMAN7
        >>> from mmemo.testing import TinyEncoder
        >>> clips = [Clip(text="Great!", id="a", label="happiness"), Clip(text="Oh no.", id="b", label="sadness")]
        >>> encoded = encode(Manifest(clips, EKMAN7), [TinyEncoder()])
        >>> encoded.batch()["text"].logits.shape, encoded.target
        ((2, 7), array([1, 2]))
    """

    manifest: Manifest
    tokens: Mapping[str, Sequence[np.ndarray | None]]
    logits: Mapping[str, np.ndarray]
    dims: Mapping[str, int]
    faults: tuple[str, ...] = ()
    quality: Mapping[str, np.ndarray] = field(default_factory=dict)
    affect: Mapping[str, np.ndarray] = field(default_factory=dict)
    vocal_burst: Mapping[str, np.ndarray] = field(default_factory=dict)
    windows: np.ndarray | None = None

    @property
    def clip_of(self) -> np.ndarray:
        """(N,) int64: the clip of each window."""
        return np.arange(len(self.manifest)) if self.windows is None else self.windows

    @property
    def target(self) -> np.ndarray:
        """int64: the index of each clip's label; -1 without one."""
        index = {label: place for place, label in enumerate(self.manifest.labels)}
        return np.array([NO_LABEL if clip.label is None else index[clip.label] for clip in self.manifest], np.int64)

    def batch(self, rows: Sequence[int] | np.ndarray | None = None) -> dict[str, Encoding]:
        """The encodings of some windows, or of all, padded together: what a fusion head takes."""
        chosen = np.arange(len(self.clip_of)) if rows is None else np.asarray(rows)
        return {modality: self._padded(modality, chosen) for modality in self.tokens}

    def _padded(self, modality: str, rows: np.ndarray) -> Encoding:
        tokens = [self.tokens[modality][row] for row in rows]
        longest = max((len(part) for part in tokens if part is not None), default=1)
        values = np.zeros((len(rows), longest, self.dims[modality]), np.float32)
        mask = np.zeros((len(rows), longest), bool)
        for row, part in enumerate(tokens):
            if part is not None:
                values[row, : len(part)], mask[row, : len(part)] = part, True
        quality = self.quality[modality][rows] if modality in self.quality else None
        return Encoding(values, mask, self.logits[modality][rows], quality)


def encode(
    manifest: Manifest,
    encoders: Sequence[Encoder],
    cache: FeatureCache | None = None,
    *,
    transcriber: Transcriber | None = None,
    on_error: Literal["raise", "leave out"] = "raise",
    workers: int = 0,
    window: Seconds | None = None,
    hop: Seconds = 1.0,
    progress: Callable[[float], None] | None = None,
) -> EncodedClips:
    """Encode every clip, as one window or window by window; encodings in the cache are not computed again.

    One window has the face of the clip's most prominent person; windows of a given length are those of `mmemo.analyze`,
    with the mean of the faces in view.

    Args:
        encoders: one for each modality.
        cache: where encodings are kept. Stopped midway, the next call goes on from there.
        transcriber: recognizes speech of clips without a transcript; None uses given transcripts only.
        on_error: a clip that can't be read or encoded stops the work at the end, with all such clips named (the
            others are in the cache by then), or is left out.
        workers: processes that read media beside this one, and encode them where there is a ``window``.
        window: length of a window in seconds; None for the whole clip as one.
        hop: seconds from one window's start to the next one's.
        progress: called with the share of clips done, 0 to 1, after each clip that had to be encoded.

    Raises:
        ManifestError: naming every clip that can't be read, or whose encoding is none (NaN, another shape).
        ArgumentError: if an encoder can neither be saved nor names its ``fingerprint``, so that nothing can be cached,
            or ``window`` and ``hop`` are not positive, or ``hop`` is the longer one.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, encode
        >>> from mmemo.labels import EKMAN7
        >>> from mmemo.testing import TinyEncoder
        >>> clips = [Clip(text="Great!", id="a", label="happiness"), Clip(text="Oh no.", id="b", label="sadness")]
        >>> encode(Manifest(clips, EKMAN7), [TinyEncoder()], progress=print).logits["text"].shape
        0.5
        1.0
        (2, 7)
    """
    windows = None if window is None else (window, hop)
    fingerprints = {e.modality: encoder_fingerprint(e) if cache is not None else e.modality for e in encoders}
    if windows is not None:
        Grid(0.0, *windows)  # refuses lengths that are none, once and not for each clip
        fingerprints = {modality: f"{one} windows {windows}" for modality, one in fingerprints.items()}
    keys, faults = cache_keys(manifest, fingerprints, transcriber)
    arrays_of = {row: _cached(cache, key) for row, key in keys.items()}
    todo = [row for row, arrays in arrays_of.items() if len(arrays) < len(encoders)]
    done = len(manifest) - len(todo)
    prepared = _Preparation(tuple(encoders), transcriber, windows).each([manifest[row] for row in todo], workers)
    for row, item in zip(todo, prepared, strict=True):
        if isinstance(item, str):
            faults[row] = item
        else:
            for encoder in encoders:
                try:
                    arrays = _arrays(encoder, item, windows is not None)
                except ArgumentError as error:  # what it gave is no encoding: NaN, another shape
                    faults[row] = f"the {encoder.modality} encoder failed. {error}"
                    continue
                arrays_of[row][encoder.modality] = arrays
                if cache is not None:
                    cache.put(keys[row][encoder.modality], fingerprints[encoder.modality], arrays)
        done += 1
        if progress:
            progress(done / len(manifest))
    messages = tuple(f"clip {manifest[row].id!r}: {faults[row]}" for row in sorted(faults))
    if messages and on_error == "raise":
        raise ManifestError("The manifest", messages)
    whole = {row: arrays_of[row] for row in sorted(arrays_of) if row not in faults}
    return gather(manifest, encoders, whole, messages)


def encoder_fingerprint(encoder: Encoder) -> str:
    """Identity of an encoder's weights and settings: its ``fingerprint``, or the hash of its saved files.

    Raises:
        ArgumentError: if it has neither ``fingerprint`` nor ``save``.
    """
    own = getattr(encoder, "fingerprint", None)
    if isinstance(own, str):
        return f"{encoder.modality} {own}"
    if not isinstance(encoder, SavableEncoder):
        raise ArgumentError(
            f"The {encoder.modality} encoder can't be cached: give it a text attribute fingerprint, which changes with "
            "its weights, or methods save(folder) and load(folder, device=…)."
        )
    with tempfile.TemporaryDirectory() as folder:
        return f"{encoder.modality} {type(encoder).__name__} {fingerprint(encoder.save(Path(folder) / 'encoder'))[:16]}"


Prepared = dict[str, Any]
"""Of one clip: the input of each encoder and its quality (`prepare_clip`), or the arrays of its windows by modality."""


@dataclass(frozen=True)
class _Preparation:
    """Prepares clips for encoders, here or in other processes; encodes them where there are windows."""

    encoders: tuple[Encoder, ...]
    transcriber: Transcriber | None
    windows: tuple[Seconds, Seconds] | None = None

    def __call__(self, clip: Clip) -> Prepared | str:
        """The input of each encoder; a message where a clip can't be read, so that it does not end the work."""
        try:
            if self.windows is None:
                return dict(prepare_clip(clip, self.encoders, self.transcriber))
            return encode_clip(clip, self.encoders, self.transcriber, *self.windows)
        except MmemoError as error:
            return str(error)

    def each(self, clips: Sequence[Clip], workers: int) -> Iterator[Prepared | str]:
        """What each clip gives, in order; only a few are ahead of their use."""
        if not workers:
            yield from map(self, clips)
            return
        with ProcessPoolExecutor(workers, initializer=_adopt, initargs=(self,)) as pool:
            ahead: deque[Future[Prepared | str]] = deque()
            try:
                for clip in clips:
                    ahead.append(pool.submit(_prepare, clip))
                    if len(ahead) > 2 * workers:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


_preparation: _Preparation
"""That of a process of a pool: encoders are sent to it once."""


def _adopt(preparation: _Preparation) -> None:
    global _preparation
    _preparation = preparation


def _prepare(clip: Clip) -> Prepared | str:
    return _preparation(clip)


def cache_keys(
    manifest: Manifest, fingerprints: Mapping[str, str], transcriber: Transcriber | None
) -> tuple[dict[int, dict[str, str]], dict[int, str]]:
    """Cache keys by row and modality, and error messages by row of clips whose files can't be read.

    Args:
        fingerprints: by modality the identity of the encoder and of what was done to its evidence.
    """
    surroundings = f"{mmemo.__version__} {EVIDENCE_VERSION} {transcriber!r}"
    keys: dict[int, dict[str, str]] = {}
    faults: dict[int, str] = {}
    for row, clip in enumerate(manifest):
        try:
            known = json.dumps([surroundings, *cache_key(clip)])
        except OSError as error:
            faults[row] = f"{error.filename} can't be read: {error.strerror}."
            continue
        keys[row] = {
            modality: hashlib.sha256(f"{known} {one}".encode()).hexdigest() for modality, one in fingerprints.items()
        }
    return keys, faults


def _cached(cache: FeatureCache | None, keys: Mapping[str, str]) -> dict[str, Arrays]:
    """The cached arrays of a clip, by modality."""
    if cache is None:
        return {}
    cached = {modality: cache.get(key) for modality, key in keys.items()}
    return {modality: arrays for modality, arrays in cached.items() if arrays is not None}


def _arrays(encoder: Encoder, item: Prepared, windowed: bool) -> Arrays:
    """The arrays to cache of one clip and modality."""
    if windowed:
        return dict(item[encoder.modality])
    return encode_prepared(encoder, item[encoder.modality], item[f"quality_{encoder.modality}"])


def encode_clip(
    clip: Clip, encoders: Sequence[Encoder], transcriber: Transcriber | None, window: Seconds, hop: Seconds
) -> dict[str, Arrays]:
    """The arrays to cache of each modality of a clip, window by window: `Arrays` with a first axis of W windows.

    The tokens of the windows are one after another, and "lengths" (W,) has how many each has; 0 where it is absent.
    """
    models = {one.modality: EmotionModel([one], RuleFusion(one.labels, [one.modality])) for one in encoders}
    parts: dict[str, list[Encoding]] = {modality: [] for modality in models}
    for batch in batches(clip_windows(clip, list(parts), transcriber, window, hop)):
        for modality, model in models.items():
            try:
                parts[modality].append(encode_windows(model, batch)[modality])
            except ArgumentError as error:  # what it gave is no encoding: NaN, another shape
                raise ArgumentError(f"the {modality} encoder failed. {error}") from None
    return {modality: _window_arrays(of) for modality, of in parts.items()}


def _window_arrays(parts: Sequence[Encoding]) -> Arrays:
    """The windows of several encodings of one clip, one after another."""
    dim = parts[0].tokens.shape[2]
    present = np.concatenate([one.present for one in parts])
    arrays = {
        "tokens": np.concatenate([one.tokens[one.mask] for one in parts]).reshape(-1, dim),
        "lengths": np.concatenate([one.mask.sum(axis=1) for one in parts]).astype(np.int64),
        "logits": np.concatenate([one.logits for one in parts]),
        "quality": np.concatenate([_quality(one) for one in parts]),
    }
    for name in ("affect", "vocal_burst"):
        values = [getattr(one, name) for one in parts]
        shape = next((value.shape[1:] for value in values if value is not None), None)
        if shape is not None:  # a batch of windows without the modality has none
            filled = [np.full((len(o), *shape), np.nan) if v is None else v for o, v in zip(parts, values, strict=True)]
            arrays[name] = np.where(present.reshape(-1, *[1] * len(shape)), np.concatenate(filled), np.nan)
    return {name: array if name == "lengths" else array.astype(np.float32) for name, array in arrays.items()}


def _quality(encoding: Encoding) -> np.ndarray:
    return np.ones((len(encoding), len(QUALITIES)), np.float32) if encoding.quality is None else encoding.quality


def encode_prepared(encoder: Encoder, prepared: np.ndarray | None, quality: np.ndarray) -> Arrays:
    """The arrays to cache of one clip and modality; empty if it is absent."""
    if prepared is None:
        return {}
    encoding = encoder.encode([prepared])
    predicted = {"affect": encoding.affect, "vocal_burst": encoding.vocal_burst}
    more = {name: values[0] for name, values in predicted.items() if values is not None}
    return {"tokens": encoding.tokens[0][encoding.mask[0]], "logits": encoding.logits[0], "quality": quality, **more}


def gather(
    manifest: Manifest, encoders: Sequence[Encoder], rows: Mapping[int, Mapping[str, Arrays]], faults: tuple[str, ...]
) -> EncodedClips:
    """Encodings of the clips in ``rows``, by row and modality; ``faults`` are messages of the others."""
    tokens: dict[str, list[np.ndarray | None]] = {}
    logits: dict[str, np.ndarray] = {}
    quality: dict[str, np.ndarray] = {}
    affect: dict[str, np.ndarray] = {}
    vocal_burst: dict[str, np.ndarray] = {}
    windows: np.ndarray | None = None
    for encoder in encoders:
        arrays = [clip[encoder.modality] for clip in rows.values()]
        if any("lengths" in one for one in arrays):
            windows = np.repeat(np.arange(len(arrays)), [len(one["lengths"]) for one in arrays])
            arrays = [window for one in arrays for window in _window_by_window(one)]
        tokens[encoder.modality] = [one.get("tokens") for one in arrays]
        nothing = np.zeros(len(encoder.labels), np.float32)
        logits[encoder.modality] = np.stack([one.get("logits", nothing) for one in arrays] or [nothing])[: len(arrays)]
        unseen = np.ones(len(QUALITIES), np.float32)
        quality[encoder.modality] = np.stack([one.get("quality", unseen) for one in arrays] or [unseen])[: len(arrays)]
        if any("affect" in one for one in arrays):
            unknown = np.full(3, np.nan, np.float32)
            affect[encoder.modality] = np.stack([one.get("affect", unknown) for one in arrays])
        if any("vocal_burst" in one for one in arrays):
            bursts = [one.get("vocal_burst", np.nan) for one in arrays]
            vocal_burst[encoder.modality] = np.array(bursts, np.float32)
    clips = tuple(manifest[row] for row in rows)
    dims = {encoder.modality: encoder.dim for encoder in encoders}
    kept = Manifest(clips, manifest.labels)
    return EncodedClips(kept, tokens, logits, dims, faults, quality, affect, vocal_burst, windows)


def _window_by_window(arrays: Arrays) -> Iterator[Arrays]:
    """The arrays of each window of a clip; empty where the modality is absent."""
    tokens = np.split(arrays["tokens"], np.cumsum(arrays["lengths"])[:-1])
    rest = {name: array for name, array in arrays.items() if name not in ("tokens", "lengths")}
    for row, own in enumerate(tokens):
        yield {"tokens": own, **{name: array[row] for name, array in rest.items()}} if len(own) else {}
