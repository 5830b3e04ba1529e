"""MEGC2019: the composite of CASME II, SMIC and SAMM, micro-expressions of 68 people in three classes.

Paper: J. See, M. H. Yap, J. Li, X. Hong and S.-J. Wang, "MEGC 2019 - The Second Facial Micro-Expressions Grand
Challenge", FG 2019. Copy of the images: https://github.com/wangzhifengharrison/HTNet; the corpora on signed request.

Reads ``combined_3_class2_for_optical_flow.csv`` (columns dataset, sub, filename_o, label, imagename), with the apex
faces in ``datasets/combined_datasets_whole`` and, as ``extra["optical_flow"]``, the images of the optical flow (two
components and the strain) in ``datasets/STSNet_whole_norm_u_v_os``. Evaluate leaving one subject out:
``manifest.leave_one_out("speaker")``.
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError
from mmemo.labels import MEGC3

_TABLE = "combined_3_class2_for_optical_flow.csv"
_APEX = "datasets/combined_datasets_whole"
_FLOW = "datasets/STSNet_whole_norm_u_v_os"
_DATASETS = ("casme2", "smic", "samm")


def read(folder: str | Path) -> Reading:
    """Read the composite.

    Raises:
        ManifestError: if its table is not there, or a row does not fit.
    """
    gathering = Gathering(CORPUS, folder)
    table = gathering.folder / _TABLE
    flows = {path.stem.strip(): path for path in (gathering.folder / _FLOW).glob("*.png")}  # some names end in a space
    faults = []
    columns = ["dataset", "sub", "filename_o", "label", "imagename"]
    for row in read_rows(table, columns, delimiter=",") if table.is_file() else ():
        if row["label"] not in ("0", "1", "2") or row["dataset"] not in _DATASETS:
            faults.append(f"line {row.line}: expected a label from 0 to 2 and one of {list(_DATASETS)}")
            continue
        apex = gathering.folder / _APEX / row["imagename"]
        flow = flows.get(f"{row['sub']}_{row['filename_o']}")
        if flow is None:
            gathering.caveat("images of optical flow missing", row["imagename"])
        if not apex.is_file() or apex.stat().st_size == 0:
            gathering.caveat(MISSING, apex)
        else:
            extra = {"dataset": row["dataset"], "file": row["filename_o"]}
            extra |= {"optical_flow": flow.relative_to(gathering.folder).as_posix()} if flow else {}
            gathering.add(
                id=f"{row['dataset']}-{Path(row['imagename']).stem}",
                path=apex,
                label=MEGC3[int(row["label"])],
                speaker=f"{row['dataset']}-{row['sub']}",
                extra=extra,
            )
    if faults:
        raise ManifestError(table, faults)
    return gathering.reading()


CORPUS = Corpus(
    name="megc2019",
    title="MEGC2019",
    paper="See et al., MEGC 2019 - The Second Facial Micro-Expressions Grand Challenge, FG 2019",
    license="signed licenses of CASME II, SMIC and SAMM: research",
    terms="Research, each of the three corpora on a signed license of its own",
    layout=f"{_TABLE}, {_APEX}/*.jpg and {_FLOW}/*.png",
    labels=MEGC3,
    read=read,
)
