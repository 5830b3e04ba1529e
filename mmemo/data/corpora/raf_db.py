"""RAF-DB: 15,339 faces from the web with one basic emotion each, voted by about forty people an image.

Paper: S. Li, W. Deng and J. Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild", CVPR 2017. Copy: http://www.whdeng.cn/raf/model1.html (on request).

Reads ``basic/EmoLabel/list_patition_label.txt`` (lines ``train_00001.jpg 5``) with ``basic/Image/aligned`` or
``original``, gender and age from ``basic/Annotation/manual`` if it is there, and the copies that have class folders
``train/5/train_00001_aligned.jpg``.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, NAME, Gathering
from mmemo.data.spreadsheets import read_document
from mmemo.labels import RAFDB7
from mmemo.media import IMAGE

_NAME = re.compile(r"((train|test)_\d{5})(?:_aligned)?")
_LIST = "list_patition_label.txt"  # spelled so by the corpus
_GENDERS = {"0": "male", "1": "female"}
_AGES = {"0": "0-3", "1": "4-19", "2": "20-39", "3": "40-69", "4": "70+"}


def read(folder: str | Path) -> Reading:
    """Read RAF-DB; of an image that is there aligned and original, the aligned one.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    images: dict[str, Path] = {}
    for path in sorted(gathering.files(IMAGE), key=lambda path: "_aligned" not in path.stem):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            gathering.caveat(NAME, path)
        else:
            images.setdefault(match.group(1), path)
    labels = _labels(gathering, images)
    people = {path.stem.removesuffix("_manu_attri"): path for path in gathering.files(["_manu_attri.txt"])}
    for name, number in labels.items():
        if name not in images:
            gathering.caveat(MISSING, f"{name}.jpg")
            continue
        # five lines of landmarks, then gender, race, age
        about = (read_document(people[name]) if name in people else "").split()[-3:]
        gathering.add(
            id=name,
            path=images[name],
            label=RAFDB7[number - 1],
            gender=_GENDERS.get(about[0]) if about else None,
            split=name.partition("_")[0],
            extra={"age": _AGES[about[2]]} if len(about) == 3 and about[2] in _AGES else {},
        )
    return gathering.reading()


def _labels(gathering: Gathering, images: dict[str, Path]) -> dict[str, int]:
    """The number of every image's label, from 1: from the list, or from folders named by the number."""
    path = next(iter(sorted(gathering.folder.rglob(_LIST))), None)
    labels = {}
    if path is None:
        for name, image in images.items():
            if image.parent.name in tuple("1234567"):
                labels[name] = int(image.parent.name)
            else:
                gathering.caveat(NAME, image)
        return labels
    for number, line in enumerate(read_document(path).splitlines(), 1):
        match = re.fullmatch(r"((?:train|test)_\d{5})\.jpg ([1-7])", line.strip())
        if match is None:
            gathering.caveat(f"lines of {_LIST} that don't fit", f"line {number}: {line.strip()}")
        else:
            labels[match.group(1)] = int(match.group(2))
    return labels


CORPUS = Corpus(
    name="raf_db",
    title="RAF-DB",
    paper="Li, Deng and Du, Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in "
    "the Wild, CVPR 2017",
    license="on request: research",
    terms="On request, research only. From http://www.whdeng.cn/raf/model1.html",
    layout="basic/EmoLabel/list_patition_label.txt and basic/Image/aligned/train_00001_aligned.jpg …, or train/1 … "
    "test/7",
    labels=RAFDB7,
    read=read,
)
