"""Any folder whose subfolders are classes: ``happy/clip1.mp4``, or ``train/happy/clip1.mp4``.

The folder that holds a file is its class. A folder above named train, val (or dev, valid, validation) or test is the
split; folders between are kept as ``extra["folder"]``. Nothing is known of who speaks, so no split of it can be shown
to be disjoint by speaker: for that, write a table (see `mmemo.data.corpora.table`).
"""

from __future__ import annotations

from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import NAME, Gathering
from mmemo.data.manifest_file import infer_labels
from mmemo.labels import EKMAN7
from mmemo.media import AUDIO, IMAGE, VIDEO

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("val", "valid", "validation", "dev"), "val"
)


def read(folder: str | Path) -> Reading:
    """Read a folder of classes.

    Raises:
        ManifestError: if there is no media file in a subfolder, or only one class.
    """
    gathering = Gathering(CORPUS, folder)
    for path in gathering.files([*VIDEO, *AUDIO, *IMAGE]):
        place = path.relative_to(gathering.folder)
        *above, label = place.parts[:-1] or [""]
        if not label or label.lower() in _SPLITS:
            gathering.caveat(NAME, path)
            continue
        split = next((_SPLITS[part.lower()] for part in above if part.lower() in _SPLITS), None)
        between = "/".join(part for part in above if part.lower() not in _SPLITS)
        gathering.add(
            id=place.as_posix(), path=path, label=label, split=split, extra={"folder": between} if between else {}
        )
    gathering.labels = (
        infer_labels(gathering.clips, gathering.folder.resolve().name) if gathering.clips else gathering.labels
    )
    return gathering.reading()


CORPUS = Corpus(
    name="classes",
    title="folder of classes",
    paper="",
    license="",
    terms="",
    layout="media files in folders named by their class: happy/clip1.mp4, or train/happy/clip1.mp4",
    labels=EKMAN7,  # replaced by those of the copy
    read=read,
)
