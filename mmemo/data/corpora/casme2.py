"""CASME II: 255 micro-expressions of 26 people at 200 pictures a second.

Paper: W.-J. Yan, X. Li, S.-J. Wang, G. Zhao, Y.-J. Liu, Y.-H. Chen and X. Fu, "CASME II: An Improved Spontaneous
Micro-Expression Database and the Baseline Evaluation", PLoS ONE 9(1), 2014, doi:10.1371/journal.pone.0086041.
Copy: http://casme.psych.ac.cn/casme/e2 (on signed request).

Reads ``CASME2-coding-20140508.xlsx`` (or the same as CSV; columns Subject, Filename, OnsetFrame, ApexFrame,
OffsetFrame, Action Units, Estimated Emotion) with the films ``sub01/EP02_01f.avi`` or the pictures
``sub01/EP02_01f/img46.jpg`` (``reg_img46.jpg`` when cropped). With a film, onset, apex and offset are its seconds;
with pictures the clip is the apex and the frames' numbers are in ``extra``. Where the coding gives no apex, it is the
picture in the middle. For the three classes of MEGC2019 use ``manifest.map_labels(CASME7_TO_MEGC3)``.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.corpora.micro import Coding, add_coded, find_coding, find_media
from mmemo.labels import CASME7

_COLUMNS = Coding("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion")


def read(folder: str | Path) -> Reading:
    """Read CASME II.

    Raises:
        ManifestError: if its coding is not there, or none of its media.
    """
    gathering = Gathering(CORPUS, folder)
    media = find_media(gathering)
    for row in find_coding(gathering, _COLUMNS):
        subject = f"sub{int(row['Subject']):02}" if re.fullmatch("[0-9]{1,9}", row["Subject"]) else row["Subject"]
        add_coded(gathering, _COLUMNS, row, media, subject, f"{subject}_{row['Filename']}")
    return gathering.reading()


CORPUS = Corpus(
    name="casme2",
    title="CASME II",
    paper="Yan et al., CASME II: An Improved Spontaneous Micro-Expression Database, PLoS ONE 9(1), 2014",
    license="signed agreement: research",
    terms="Signed agreement, research only. From http://casme.psych.ac.cn/casme/e2",
    layout="CASME2-coding-20140508.xlsx, and sub01/EP02_01f.avi … or sub01/EP02_01f/img46.jpg …",
    labels=CASME7,
    read=read,
)
