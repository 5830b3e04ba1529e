"""The evidence of a whole clip as one window, and its form for encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mmemo.clip import Clip
from mmemo.encoders.base import Encoder
from mmemo.encoders.modality import quality_of
from mmemo.evidence import Evidence
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
    info = None if clip.path is None else probe(clip.path)
    length = 1.0 if info is None else max(info.duration, clip.end or 0.0, 1e-3)
    extraction = extract(clip, info, modalities, length, length, transcriber, alter=alter)
    try:
        (people,) = extraction.windows()
    finally:
        extraction.close()
    text = people[0].text
    if text is not None and clip.language is not None and text.language is None:
        text = replace(text, language=clip.language)
    return replace(people[0], text=text)
