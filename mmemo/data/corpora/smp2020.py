"""SMP2020-EWECT: Chinese microblogs of Weibo with six emotions, usual ones and ones about the epidemic.

Evaluation: "The Evaluation of Weibo Emotion Classification Technology", SMP 2020 (smp2020ewect.github.io).

Reads a table ``smp2020.tsv`` (columns split, label, lang, id, text). The splits of the usual microblogs are
``usual_dev`` and ``usual_test``; dev becomes "val", and the rest keeps its name.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError
from mmemo.labels import SMP6


def read(folder: str | Path) -> Reading:
    """Read SMP2020-EWECT.

    Raises:
        ManifestError: if the table is not there, or a row does not fit.
    """
    gathering = Gathering(CORPUS, folder)
    table = gathering.folder if gathering.folder.is_file() else gathering.folder / "smp2020.tsv"
    faults = []
    columns = ["split", "label", "lang", "id", "text"]
    for row in read_rows(table, columns, delimiter="\t", quoted=False) if table.is_file() else ():
        try:
            label = row.one_of("label", SMP6)
        except ValueError as error:
            faults.append(str(error))
            continue
        split = row["split"].replace("dev", "val")
        gathering.add(id=f"smp2020-{row['id']}", text=row["text"], label=label, language=row["lang"], split=split)
    if faults:
        raise ManifestError(table, faults)
    return gathering.reading()


CORPUS = Corpus(
    name="smp2020",
    title="SMP2020-EWECT",
    paper="The Evaluation of Weibo Emotion Classification Technology, SMP 2020",
    license="of the evaluation: research",
    terms="Research, by the rules of the evaluation. From https://smp2020ewect.github.io",
    layout="smp2020.tsv (split, label, lang, id, text)",
    labels=SMP6,
    read=read,
)
