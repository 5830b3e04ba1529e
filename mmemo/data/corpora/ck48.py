"""CK+48: the last three frames of the 327 labeled sequences of CK+, cut to faces of 48x48 pixels, in class folders.

Paper: as `mmemo.data.corpora.ck_plus`. Reads ``happy/S010_006_00000013.png``. The three frames of a sequence are nearly
the same picture: they share ``extra["sequence"]`` and must be in the same split, as must all of a person.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import NAME, Gathering
from mmemo.labels import CK8
from mmemo.media import IMAGE

_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})")


def read(folder: str | Path) -> Reading:
    """Read CK+48.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    for path, match in gathering.matching(_FRAME, IMAGE):
        label = path.parent.name.lower()
        if label not in CK8.labels:
            gathering.caveat(NAME, path)
            continue
        gathering.add(
            id=path.stem,
            path=path,
            label=label,
            intended=label,
            speaker=f"ck-{match.group(1)}",
            extra={"sequence": f"{match.group(1)}_{match.group(2)}"},
        )
    return gathering.reading()


CORPUS = Corpus(
    name="ck48",
    title="CK+48",
    paper="Lucey et al., The Extended Cohn-Kanade Dataset (CK+), CVPR Workshops 2010",
    license="signed agreement: research",
    terms="Signed agreement of CK+, research only. From http://www.jeffcohn.net/Resources",
    layout="happy/S010_006_00000013.png … in the folders anger, contempt, disgust, fear, happy, sadness, surprise",
    labels=CK8,
    read=read,
)
