"""nEMO: nine actors read 90 Polish sentences in six emotions.

Paper: I. Christop, "nEMO: Dataset of Emotional Speech in Polish", LREC-COLING 2024.
Copy: https://github.com/amu-cai/nEMO (``samples/*.wav`` and ``data.tsv``).

The name ``SPK_anger_1`` gives speaker, emotion and a number. Words, gender and age come from ``data.tsv`` (columns
file_id, raw_text, gender, age), or from a ``manifest.csv`` (columns id, transcript, gender), beside the files or above.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.labels import NEMO6
from mmemo.media import AUDIO

_NAME = re.compile(r"([A-Z]{2}\d)_(anger|fear|happiness|neutral|sadness|surprised?)_(\d+)")
_GENDERS = {"m": "male", "male": "male", "f": "female", "female": "female"}


def read(folder: str | Path) -> Reading:
    """Read nEMO.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    words = _words(gathering)
    for path, match in gathering.matching(_NAME, AUDIO):
        speaker, emotion, _ = match.groups()
        text, gender, age = words.get(path.stem, ("", "", ""))
        label = emotion.removesuffix("d") if emotion == "surprised" else emotion
        gathering.add(
            id=path.stem,
            path=path,
            text=text or None,
            label=label,
            intended=label,
            speaker=f"nemo-{speaker}",
            gender=_GENDERS.get(gender.lower()),
            language="pl",
            extra={"age": age} if age else {},
        )
    return gathering.reading()


def _words(gathering: Gathering) -> dict[str, tuple[str, str, str]]:
    for folder in (gathering.folder, gathering.folder.parent):
        if (folder / "data.tsv").is_file():
            rows = read_rows(folder / "data.tsv", ["file_id", "raw_text", "gender", "age"], quoted=False)
            return {Path(row["file_id"]).stem: (row["raw_text"], row["gender"], row["age"]) for row in rows}
        if (folder / "manifest.csv").is_file():
            rows = read_rows(folder / "manifest.csv", ["id", "transcript", "gender"])
            return {row["id"]: (row["transcript"], row["gender"], "") for row in rows}
    gathering.caveat(MISSING, "data.tsv, with the words")
    return {}


CORPUS = Corpus(
    name="nemo",
    title="nEMO",
    paper="Christop, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024",
    license="CC BY-NC-SA 4.0",
    terms="CC BY-NC-SA 4.0: not for commercial use. From https://github.com/amu-cai/nEMO",
    layout="samples/AB0_anger_1.wav … and data.tsv",
    labels=NEMO6,
    read=read,
)
