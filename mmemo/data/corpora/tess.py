"""TESS: two women say 200 words in the carrier sentence "Say the word …", in seven emotions.

Paper: M. K. Pichora-Fuller and K. Dupuis, "Toronto emotional speech set (TESS)", University of Toronto, 2010,
doi:10.5683/SP2/E8H2MF. Copy: https://tspace.library.utoronto.ca/handle/1807/24487.

The name ``OAF_back_angry`` gives speaker, word and emotion; ``ps`` is pleasant surprise. With two speakers no split
can be disjoint and balanced: as a test for other training only.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.labels import TESS7
from mmemo.media import AUDIO

_NAME = re.compile(r"(OAF?|YAF?)_([a-zA-Z]+)_(angry|disgust|fear|happy|neutral|ps|sad)")
_AGES = {"O": "64", "Y": "26"}


def read(folder: str | Path) -> Reading:
    """Read TESS.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    for path, match in gathering.matching(_NAME, AUDIO):
        speaker, word, emotion = match.groups()
        label = "pleasant surprise" if emotion == "ps" else emotion
        gathering.add(
            id=path.stem,
            path=path,
            text=f"Say the word {word}",
            label=label,
            intended=label,
            speaker=f"tess-{speaker[0]}AF",  # one file is named OA_
            gender="female",
            language="en",
            extra={"word": word, "age": _AGES[speaker[0]]},
        )
    return gathering.reading()


CORPUS = Corpus(
    name="tess",
    title="TESS",
    paper="Pichora-Fuller and Dupuis, Toronto emotional speech set (TESS), University of Toronto, 2010",
    license="CC BY-NC-ND 4.0",
    terms="CC BY-NC-ND 4.0. From https://tspace.library.utoronto.ca/handle/1807/24487",
    layout="OAF_back_angry.wav …, in one folder or in OAF_angry … YAF_sad",
    labels=TESS7,
    read=read,
)
