"""SAVEE: four English men read 120 sentences each in seven emotions.

Paper: S. Haq and P. J. B. Jackson, "Multimodal Emotion Recognition", in Machine Audition, IGI Global, 2010.
Copy: http://kahlan.eps.surrey.ac.uk/savee (on request).

Reads ``DC/a01.wav`` in a speaker's folder, as in the original ``AudioData`` and ``AudioVisualClip``, and
``DC_a01.wav``, as copies have it. Most sentences are spoken in one emotion only, so their words give it away.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import NAME, Gathering
from mmemo.labels import SAVEE7
from mmemo.media import AUDIO, VIDEO

_NAME = re.compile(r"(?:(DC|JE|JK|KL)_)?(a|d|f|h|n|sa|su)(\d\d)")
_LABELS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
_SPEAKERS = ("DC", "JE", "JK", "KL")


def read(folder: str | Path) -> Reading:
    """Read SAVEE; of a take that is there as film and as sound, the film.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    suffixes = [*VIDEO, *AUDIO]
    for path in sorted(gathering.files(suffixes), key=lambda path: suffixes.index(path.suffix.lower())):
        match = _NAME.fullmatch(path.stem)
        speaker = match and (match.group(1) or next((part for part in path.parts[::-1] if part in _SPEAKERS), None))
        if match is None or speaker is None:
            gathering.caveat(NAME, path)
            continue
        gathering.add(
            id=f"{speaker}_{match.group(2)}{match.group(3)}",
            path=path,
            label=_LABELS[match.group(2)],
            intended=_LABELS[match.group(2)],
            speaker=f"savee-{speaker}",
            gender="male",
            language="en",
            extra={"sentence": f"{match.group(2)}{match.group(3)}"},
        )
    gathering.clips.sort(key=lambda clip: clip.id)
    return gathering.reading()


CORPUS = Corpus(
    name="savee",
    title="SAVEE",
    paper="Haq and Jackson, Multimodal Emotion Recognition, in Machine Audition, IGI Global, 2010",
    license="research",
    terms="Research, on request. From http://kahlan.eps.surrey.ac.uk/savee",
    layout="DC/a01.wav … in the folders DC, JE, JK and KL, or DC_a01.wav …",
    labels=SAVEE7,
    read=read,
)
