"""CK+, the extended Cohn-Kanade set: posed expressions of 123 people, filmed from the neutral face to the peak.

Paper: P. Lucey, J. F. Cohn, T. Kanade, J. Saragih, Z. Ambadar and I. Matthews, "The Extended Cohn-Kanade Dataset
(CK+)", CVPR Workshops 2010. Copy: http://www.jeffcohn.net/Resources (on request).

Reads ``Emotion/S005/001/S005_001_00000011_emotion.txt`` and the frames
``cohn-kanade-images/S005/001/S005_001_00000001.png`` …. A clip is the last frame of a sequence, the peak; the names of
its first and its peak frame are in ``extra``. Of 593 sequences 327 have a label. For CK+48 see
`mmemo.data.corpora.ck48`.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.labels import CK8
from mmemo.media import IMAGE

_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})")


def read(folder: str | Path) -> Reading:
    """Read CK+.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    sequences: dict[str, list[Path]] = {}
    for path, match in gathering.matching(_FRAME, IMAGE):
        sequences.setdefault(f"{match.group(1)}_{match.group(2)}", []).append(path)
    labels = {}
    for file in gathering.files(["_emotion.txt"]):
        name = "_".join(file.stem.split("_")[:2])
        try:
            labels[name] = CK8[int(float(file.read_text()))]
        except (ValueError, IndexError, OverflowError):
            gathering.caveat("labels that are no number from 0 to 7, left out", file)
        if name not in sequences:
            gathering.caveat(MISSING, f"frames of {name}")
    for name, frames in sequences.items():
        if name not in labels:
            gathering.caveat("sequences without a label, left out", name)
            continue
        gathering.add(
            id=name,
            path=frames[-1],
            label=labels[name],
            intended=labels[name],
            speaker=f"ck-{name.partition('_')[0]}",
            extra={"sequence": name, "onset_frame": frames[0].name, "apex_frame": frames[-1].name},
        )
    return gathering.reading()


CORPUS = Corpus(
    name="ck_plus",
    title="CK+",
    paper="Lucey et al., The Extended Cohn-Kanade Dataset (CK+), CVPR Workshops 2010",
    license="signed agreement: research",
    terms="Signed agreement, research only. From http://www.jeffcohn.net/Resources",
    layout="Emotion/S005/001/S005_001_00000011_emotion.txt … and cohn-kanade-images/S005/001/S005_001_00000001.png …",
    labels=CK8,
    read=read,
)
