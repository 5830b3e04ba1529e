"""ASED: 65 people say 27 Amharic sentences in five emotions.

Paper: E. A. Retta, E. Almekhlafi, R. Sutcliffe, M. Mhamed, H. Ali and J. Feng, "A New Amharic Speech Emotion Dataset
and Classification Benchmark", ACM TALLIP 22(1), 2023, doi:10.1145/3529759. Copy: https://github.com/wgwangang/ASED_V1.

The name ``a5-01-02-01-03`` gives emotion, sentence (of that emotion), repetition, gender (01 female, 02 male) and
speaker.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.labels import ASED5
from mmemo.media import AUDIO

_NAME = re.compile(r"(n1|f2|h3|s4|a5)-(\d\d)-(\d\d)-(0[12])-(\d\d)")
_LABELS = {"n1": "neutral", "f2": "fear", "h3": "happy", "s4": "sad", "a5": "angry"}


def read(folder: str | Path) -> Reading:
    """Read ASED.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    for path, match in gathering.matching(_NAME, AUDIO):
        emotion, sentence, repetition, gender, speaker = match.groups()
        gathering.add(
            id=path.stem,
            path=path,
            label=_LABELS[emotion],
            intended=_LABELS[emotion],
            speaker=f"ased-{speaker}",
            gender="female" if gender == "01" else "male",
            language="am",
            extra={"sentence": f"{emotion}-{sentence}", "repetition": repetition},
        )
    return gathering.reading()


CORPUS = Corpus(
    name="ased",
    title="ASED",
    paper="Retta et al., A New Amharic Speech Emotion Dataset and Classification Benchmark, ACM TALLIP 22(1), 2023",
    license="none stated: research",
    terms="No license is stated: research only. From https://github.com/wgwangang/ASED_V1",
    layout="a5-01-02-01-03.wav …, in one folder or in 01Neutral … 05Angry",
    labels=ASED5,
    read=read,
)
