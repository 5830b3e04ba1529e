"""SMIC: 164 micro-expressions of 16 people at 100 pictures a second (HS), and of 8 at 25 (VIS, NIR).

Paper: X. Li, T. Pfister, X. Huang, G. Zhao and M. Pietikäinen, "A Spontaneous Micro-expression Database: Inducement,
collection and baseline", FG 2013, doi:10.1109/FG.2013.6553717. Copy: University of Oulu (on signed request).

Reads ``HS/s01/micro/negative/s01_ne_01/image000001.bmp``, of ``SMIC_all_raw`` and ``SMIC_all_cropped``. SMIC gives no
apex: the clip is the picture in the middle of a sequence; the names of its first and last pictures are in ``extra``.
The three cameras saw the same people, so a person is one speaker in all of them.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import NAME, Gathering
from mmemo.data.corpora.micro import frame_number
from mmemo.labels import MEGC3
from mmemo.media import IMAGE

_SEQUENCE = re.compile(r"s(\d+)_(ne|po|sur)_(\d+)")
_LABELS = {"ne": "negative", "po": "positive", "sur": "surprise"}
_CAMERAS = ("HS", "VIS", "NIR")


def read(folder: str | Path) -> Reading:
    """Read SMIC.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    sequences: dict[Path, list[Path]] = {}
    for path in gathering.files(IMAGE):
        if _SEQUENCE.fullmatch(path.parent.name):
            sequences.setdefault(path.parent, []).append(path)
        else:
            gathering.caveat(NAME, path)
    for place, frames in sequences.items():
        frames.sort(key=frame_number)
        subject, emotion, number = re.split(r"\D+", place.name)[1], place.name.split("_")[1], place.name.split("_")[2]
        camera = next((name for name in _CAMERAS if name in place.parts), "HS")
        gathering.add(
            id=f"{camera}-s{int(subject):02}_{emotion}_{number}",
            path=frames[len(frames) // 2],
            label=_LABELS[emotion],
            speaker=f"smic-s{int(subject):02}",
            extra={"onset_frame": frames[0].name, "offset_frame": frames[-1].name, "camera": camera},
        )
    return gathering.reading()


CORPUS = Corpus(
    name="smic",
    title="SMIC",
    paper="Li et al., A Spontaneous Micro-expression Database: Inducement, collection and baseline, FG 2013",
    license="signed agreement: research",
    terms="Signed agreement with the University of Oulu, research only",
    layout="HS/s01/micro/negative/s01_ne_01/image000001.bmp … (HS, VIS, NIR)",
    labels=MEGC3,
    read=read,
)
