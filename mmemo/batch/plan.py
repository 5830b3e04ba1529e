"""The clips of a batch: files, folders, patterns, manifests and data frames as one list without repetitions."""

from __future__ import annotations

import glob
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mmemo.batch.sources import MANIFESTS, is_many
from mmemo.clip import Clip, TrackChoice
from mmemo.data.columns import from_record, to_record
from mmemo.data.corpora.gathering import walk
from mmemo.data.interchange.frames import from_frame
from mmemo.data.manifest import Manifest
from mmemo.errors import ArgumentError
from mmemo.evidence import Channel
from mmemo.in_memory import Media, described
from mmemo.media import AUDIO, IMAGE, VIDEO
from mmemo.speech.transcript import SIDECARS

if TYPE_CHECKING:
    import pandas
MEDIA = (*VIDEO, *AUDIO, *IMAGE)
"""Suffixes of the files that are taken from folders and patterns."""
Source: TypeAlias = "str | Path | Clip | Manifest | pandas.DataFrame"
_ROOT = Path(os.path.abspath(os.sep))
_ONE_BY_ONE = "call one mmemo.Analyzer with each."


@dataclass(frozen=True)
class Task:
    """A clip to be analyzed.

    Attributes:
        clip: its paths are absolute, so that another process finds them.
        path: as the user named it; None for text alone.
    """

    clip: Clip
    path: str | None

    @property
    def identity(self) -> str:
        """Stays the same when the content of the files changes."""
        one = self.clip
        values = [str(one.path), str(one.audio), str(one.subtitles), one.start, one.end, one.channel, one.text, one.id]
        values += [one.audio_track, one.subtitle_track]
        return sha256(json.dumps(values).encode()).hexdigest()


@dataclass(frozen=True)
class Plan:
    """What a batch analyzes.

    Attributes:
        tasks: every clip once, in order.
        passed_over: how many files in the folders and patterns are neither media nor subtitles by their names, by
            suffix, in lower case; hidden ones don't count.
    """

    tasks: tuple[Task, ...]
    passed_over: Mapping[str, int]


def plan(
    sources: Iterable[Source] | Source,
    leave_out: Iterable[Path] = (),
    channel: Channel = "mix",
    audio_track: TrackChoice | None = None,
    subtitle_track: TrackChoice | None = None,
) -> Plan:
    """Every clip once, in order: as the sources are given, and by path within each.

    Args:
        sources: media files, folders (with all below them), patterns such as ``"clips/**/*.mp4"``, clips, manifests,
            their ``.jsonl`` and ``.csv`` files, or pandas data frames as `mmemo.data.from_frame` reads them. From
            folders and patterns, files with a suffix of `MEDIA` are taken. A file that is missing is a clip too, whose
            row has an error.
        leave_out: files that are no clips, such as those to be written.
        channel: of the sound of those clips that name none of their own; ``audio_track`` likewise.
        subtitle_track: of those clips that name none, and have no words given.

    Raises:
        ArgumentError: if a folder or pattern has no media, nothing is given, or a source is of another type.
        ManifestError: if a manifest or a data frame can't be read.
    """
    excluded = {file.absolute() for file in leave_out}
    tasks: dict[str, Task] = {}
    others: set[Path] = set()
    for source in listed(sources):
        for clip in _clips(source, others):
            given = clip.text is not None or clip.subtitles is not None
            chosen = replace(
                clip,
                channel=channel if clip.channel == "mix" else clip.channel,
                audio_track=audio_track if clip.audio_track is None else clip.audio_track,
                subtitle_track=subtitle_track if clip.subtitle_track is None and not given else clip.subtitle_track,
            )
            task = Task(_absolute(chosen), None if clip.path is None else str(clip.path))
            if task.clip.path not in excluded:
                tasks.setdefault(task.identity, task)
    if not tasks:
        raise ArgumentError("Nothing to analyze: give media files, folders, patterns or manifests.")
    left = (file for file in others if file.absolute() not in excluded)
    passed_over = Counter(sorted(file.suffix.lower() for file in left))
    return Plan(tuple(tasks.values()), dict(passed_over.most_common()))


def pack(clip: Clip) -> dict[str, Any]:
    """A clip with absolute paths as values for JSON, for another process."""
    return to_record(clip, _ROOT)


def unpack(record: dict[str, Any]) -> Clip:
    """The inverse of `pack`."""
    clip, faults = from_record(record, _ROOT)
    if clip is None:
        raise ArgumentError(" ".join(faults))
    return clip


def listed(sources: Iterable[Source] | Source) -> list[Source]:
    """Several sources, or one, as a list; bytes, mappings and open files are iterable too, and no source at all."""
    single = isinstance(sources, str | Path | Clip | Manifest | bytes | Mapping) or _is_frame(sources)
    single = single or hasattr(sources, "read")  # an open file gives its lines
    several: list[Source] = [sources] if single or not isinstance(sources, Iterable) else list(sources)  # type: ignore[arg-type,list-item]
    return several


def _is_frame(source: object) -> bool:
    """Whether this is a pandas data frame; pandas is not imported, as nobody has a frame without it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _clips(source: object, others: set[Path]) -> Iterator[Clip]:
    """The clips of a source; files of a folder or pattern that are none go into ``others``."""
    if isinstance(source, Clip):
        if not all(one is None or isinstance(one, Path) for one in (source.path, source.audio)):
            raise ArgumentError(f"{source.path} is in memory, and other processes analyze files: {_ONE_BY_ONE}")
        yield source
        return
    if isinstance(source, Manifest):
        yield from source
        return
    if _is_frame(source):
        yield from from_frame(source)  # type: ignore[arg-type]
        return
    if not isinstance(source, str | Path):
        raise ArgumentError(
            f"Can't analyze {described(source)}; expected a path, a pattern, a Clip, a Manifest or a pandas DataFrame. "
            f"Media in memory: {_ONE_BY_ONE}"
        )
    path = Path(source)
    if path.suffix.lower() in MANIFESTS and not path.is_dir():
        yield from Manifest.read(path, check_media=False)
        return
    if not is_many(source):
        yield Clip(path)
        return
    names = (name for name, _ in walk(path)) if path.is_dir() else iter(glob.glob(str(source), recursive=True))
    there = sorted(Path(name) for name in names if not _hidden(name, source))
    files = [file for file in there if file.suffix.lower() in MEDIA]
    others.update(file for file in there if file.suffix.lower() not in (*MEDIA, *SIDECARS) and not file.is_dir())
    if not files:
        raise ArgumentError(f"{source} has no media: looked for files that end in {' '.join(MEDIA)}.")
    distinct: dict[str, Path] = {}
    for file in files:
        distinct.setdefault(os.path.realpath(file), file)  # links lead to a file on several ways
    yield from map(Clip, distinct.values())


def _hidden(name: str, source: str | Path) -> bool:
    below = os.path.relpath(name, source) if os.path.isdir(source) else os.path.basename(name)
    return any(part.startswith(".") for part in Path(below).parts)


def _absolute(clip: Clip) -> Clip:
    def full(file: Media | None) -> Path | None:
        return Path(os.path.abspath(file)) if isinstance(file, Path) else None

    return replace(clip, path=full(clip.path), audio=full(clip.audio), subtitles=full(clip.subtitles))
