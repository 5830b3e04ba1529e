"""The evidence of a whole clip as one window, and its form for encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mmemo.clip import Clip
from mmemo.encoders.base import Encoder
from mmemo.encoders.modality import quality_of
from mmemo.evidence import Evidence, Seconds
from mmemo.media import probe
from mmemo.pipeline.extract import extract
from mmemo.speech.recognition import Transcriber

NO_LABEL = -1
"""The target of a clip without a label."""


def prepare_clip(
    clip: Clip, encoders: Sequence[Encoder], transcriber: Transcriber | None = None
) -> dict[str, np.ndarray | None]:
    """The prepared input of each encoder by its modality, and under ``"quality_face"`` and so on coverage and trust.

    Raises:
        MediaError: if the clip's file can't be read.
        TranscriptError: if its subtitles can't be read.
    """
    evidence = clip_evidence(clip, [encoder.modality for encoder in encoders], transcriber)
    prepared = {encoder.modality: encoder.prepare(evidence) for encoder in encoders}
    quality = {f"quality_{one}": np.array(quality_of(evidence, one), np.float32) for one in prepared}
    return {**prepared, **quality}


def clip_evidence(
    clip: Clip,
    modalities: Sequence[str],
    transcriber: Transcriber | None = None,
    alter: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Evidence:
    """Evidence of a whole clip as one window, with the face of its most prominent person.

    Args:
        alter: changes each picture before faces are looked for, see `mmemo.pipeline.extract.extract`.

    Raises:
        MediaError: if the clip's file can't be read.
        TranscriptError: if its subtitles can't be read.
    """
    ((evidence, *_),) = clip_windows(clip, modalities, transcriber, alter=alter)
    return evidence


def clip_windows(
    clip: Clip,
    modalities: Sequence[str],
    transcriber: Transcriber | None = None,
    window: Seconds | None = None,
    hop: Seconds | None = None,
    alter: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Iterator[tuple[Evidence, ...]]:
    """Evidence of a clip window by window, one a person in each; see `mmemo.pipeline.windows`.

    Args:
        window: length in seconds; None for the whole clip as one.
        hop: seconds from one window's start to the next one's.

    The other arguments and errors are those of `clip_evidence`.
    """
    info = None if clip.path is None else probe(clip.path)
    length = window or (1.0 if info is None else max(info.duration, clip.end or 0.0, 1e-3))
    extraction = extract(clip, info, modalities, length, hop or length, transcriber, alter=alter)
    try:
        for people in extraction.windows():
            text = people[0].text
            if text is not None and clip.language is not None and text.language is None:
                text = replace(text, language=clip.language)
            yield tuple(replace(person, text=text) for person in people)
    finally:
        extraction.close()
