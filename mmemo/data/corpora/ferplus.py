"""FER+: the images of FER2013 seen again by ten people each.

Paper: E. Barsoum, C. Zhang, C. Canton Ferrer and Z. Zhang, "Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution", ICMI 2016. Copy of the votes: https://github.com/microsoft/FERPlus.

Reads FER2013 as `mmemo.data.corpora.fer2013` does, with ``fer2013new.csv``, whose rows are in the order of
``fer2013.csv``. Folders of images have lost that order: they need ``fer_map.csv`` (columns png, jpg), which joins names
of FER+ to the files. ``perceived`` are the votes for the eight emotions; ``label`` is the emotion with most votes, if
it is one alone and has more than "unknown" and "not a face" have. The label of FER2013 is in ``extra``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.fer2013 import Picture, pictures
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError
from mmemo.labels import FER8

_VOTES = "fer2013new.csv"
_MAP = "fer_map.csv"
_REST = ("unknown", "NF")


def read(folder: str | Path, pixels: str | Path | None = None) -> Reading:
    """Read FER2013 with the votes of FER+.

    Args:
        folder: the folder with the images (or ``fer2013.csv``) and ``fer2013new.csv``.
        pixels: where to write the images of ``fer2013.csv``, as PNG.

    Raises:
        ManifestError: if images or votes are not there, or cannot be joined.
        ArgumentError: if the images are in the table and ``pixels`` names no folder.
    """
    gathering = Gathering(CORPUS, folder)
    root = gathering.folder if gathering.folder.is_dir() else gathering.folder.parent
    votes = [*_votes(root / _VOTES)]
    images = [*pictures(gathering, pixels)]
    by_row = {picture.row: picture for picture in images}
    joined = _by_map(gathering, root, images, votes) if None in by_row else _by_order(by_row, votes)
    for picture, counts in joined:
        emotions = {label: counts[label] for label in FER8 if counts[label]}
        total = sum(emotions.values())
        most = [label for label, count in counts.items() if count == max(counts.values())]
        decided = len(most) == 1 and most[0] in FER8.labels
        if not decided:
            gathering.caveat("images without a label: no emotion alone has most votes", picture.id)
        gathering.add(
            id=picture.id,
            path=picture.path,
            label=most[0] if decided else None,
            perceived={label: count / total for label, count in emotions.items()},
            split=picture.split,
            extra={"usage": picture.usage, "fer2013": picture.label} | {name: str(counts[name]) for name in _REST},
        )
    return gathering.reading()


def _votes(path: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Name of the image in FER+ (empty for what it dropped) and its votes, row by row."""
    if not path.is_file():
        raise ManifestError(path, ["the votes of FER+ are not there: https://github.com/microsoft/FERPlus"])
    faults = []
    for row in read_rows(path, ["Usage", "Image name", *FER8, *_REST]):
        try:
            yield row["Image name"], {label: row.integer(label) for label in (*FER8, *_REST)}
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ManifestError(path, faults)


def _by_order(
    images: dict[int | None, Picture], votes: list[tuple[str, dict[str, int]]]
) -> Iterator[tuple[Picture, dict[str, int]]]:
    if len(images) != len(votes):
        raise ManifestError(_VOTES, [f"it has {len(votes)} rows, fer2013.csv has {len(images)}: they must be the same"])
    for row, (name, counts) in enumerate(votes):
        if name:
            yield images[row], counts


def _by_map(
    gathering: Gathering, root: Path, images: list[Picture], votes: list[tuple[str, dict[str, int]]]
) -> Iterator[tuple[Picture, dict[str, int]]]:
    if not (root / _MAP).is_file():
        raise ManifestError(root, [f"folders of images need {_MAP} (columns png, jpg) to be joined to {_VOTES}"])
    names = {row["jpg"]: row["png"] for row in read_rows(root / _MAP, ["png", "jpg"])}
    by_name = dict(votes)
    for picture in images:
        name = names.get(picture.path.relative_to(root).as_posix())
        if name is None or name not in by_name:
            gathering.caveat("images that FER+ has dropped or the map does not name, left out", picture.path)
        else:
            yield picture, by_name[name]
    seen = {picture.path for picture in images}
    for jpg in names:
        if root / jpg not in seen:
            gathering.caveat(MISSING, jpg)


CORPUS = Corpus(
    name="ferplus",
    title="FER+",
    paper="Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label "
    "Distribution, ICMI 2016",
    license="votes MIT; images from the web: research",
    terms="Votes MIT, from https://github.com/microsoft/FERPlus; images as FER2013",
    layout="FER2013 with fer2013new.csv beside it, and fer_map.csv if it is folders of images",
    labels=FER8,
    read=read,
    options=("pixels",),
)
