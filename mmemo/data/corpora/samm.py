"""SAMM: 159 micro-movements of 29 people at 200 pictures a second.

Paper: A. K. Davison, C. Lansley, N. Costen, K. Tan and M. H. Yap, "SAMM: A Spontaneous Micro-Facial Movement Dataset",
IEEE Transactions on Affective Computing 9(1), 2018, doi:10.1109/TAFFC.2016.2573832.
Copy: https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php (on signed request).

Reads ``SAMM_Micro_FACS_Codes_v2.xlsx`` (or the same as CSV; columns Subject, Filename, Onset Frame, Apex Frame, Offset
Frame, Action Units, Estimated Emotion) with the pictures ``006/006_1_2/006_05562.jpg``. The clip is the apex; the
frames' numbers are in ``extra``. For the three classes of MEGC2019 use ``manifest.map_labels(SAMM8_TO_MEGC3)``.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.corpora.micro import Coding, add_coded, find_coding, find_media
from mmemo.labels import SAMM8

_COLUMNS = Coding(
    "Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units", "Estimated Emotion"
)


def read(folder: str | Path) -> Reading:
    """Read SAMM.

    Raises:
        ManifestError: if its coding is not there, or none of its pictures.
    """
    gathering = Gathering(CORPUS, folder)
    media = find_media(gathering)
    for row in find_coding(gathering, _COLUMNS):
        add_coded(gathering, _COLUMNS, row, media, row["Subject"].zfill(3), row["Filename"])
    return gathering.reading()


CORPUS = Corpus(
    name="samm",
    title="SAMM",
    paper="Davison et al., SAMM: A Spontaneous Micro-Facial Movement Dataset, IEEE TAFFC 9(1), 2018",
    license="signed agreement: research",
    terms="Signed agreement, research only. From https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php",
    layout="SAMM_Micro_FACS_Codes_v2.xlsx, and 006/006_1_2/006_05562.jpg …",
    labels=SAMM8,
    read=read,
)
