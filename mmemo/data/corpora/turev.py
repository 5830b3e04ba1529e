"""TurEV-DB: six people say 82 Turkish words in four emotions.

Paper: S. F. Canpolat, Z. Ormanoğlu and D. Zeyrek, "Turkish Emotion Voice Database (TurEV-DB)", SLTU-CCURL 2020.
Copy: https://github.com/Xeonen/TurEV-DB.

The name ``1157_kz_acik`` gives speaker, emotion (kz angry, hl sad, mt happy, sk calm) and word.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.labels import TUREV4
from mmemo.media import AUDIO

_NAME = re.compile(r"(\d{4})_(kz|hl|mt|sk)_(\w+)")
_LABELS = {"kz": "angry", "hl": "sad", "mt": "happy", "sk": "calm"}


def read(folder: str | Path) -> Reading:
    """Read TurEV-DB.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    for path, match in gathering.matching(_NAME, AUDIO):
        speaker, emotion, word = match.groups()
        gathering.add(
            id=path.stem,
            path=path,
            text=word,
            label=_LABELS[emotion],
            intended=_LABELS[emotion],
            speaker=f"turev-{speaker}",
            language="tr",
        )
    return gathering.reading()


CORPUS = Corpus(
    name="turev",
    title="TurEV-DB",
    paper="Canpolat, Ormanoğlu and Zeyrek, Turkish Emotion Voice Database (TurEV-DB), SLTU-CCURL 2020",
    license="CC BY-NC-ND and GPL-3.0 both stated: research",
    terms="Two licenses are stated, CC BY-NC-ND and GPL-3.0: research only. From https://github.com/Xeonen/TurEV-DB",
    layout="1157_kz_acik.wav …, in one folder or in Angry, Calm, Happy, Sad",
    labels=TUREV4,
    read=read,
)
